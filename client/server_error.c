/* server_error.c: what an error that a server answered tells a client to do. */
#include "server_error.h"

#include <assert.h>
#include <string.h>

size_t server_error_code_size(const struct answer *answer)
{
    size_t size = 0;
    while (size < answer->size && ((answer->text[size] >= 'A' && answer->text[size] <= 'Z') ||
                                   answer->text[size] == '_' || answer->text[size] == '-')) {
        size++;
    }
    return size == answer->size || answer->text[size] == ' ' ? size : 0;
}

static bool code_is(const struct answer *answer, size_t size, const char *code)
{
    return strlen(code) == size && memcmp(answer->text, code, size) == 0;
}

/* " <slot> <host>:<port>", host perhaps empty. */
static bool server_redirect_parse(const char *text, size_t size, struct server_redirect *redirect)
{
    const char *end = text + size;
    unsigned slot = 0;
    if (size < 2 || *text++ != ' ') {
        return false;
    }
    const char *digits = text;
    while (text < end && *text >= '0' && *text <= '9' && text - digits < 6) {
        slot = slot * 10 + (unsigned)(*text++ - '0');
    }
    if (text == digits || text == end || *text++ != ' ' || slot > 16383) {
        return false;
    }
    redirect->slot = slot;
    return endpoint_parse(text, (size_t)(end - text), 0, &redirect->target);
}

enum server_error server_error_classify(const struct answer *answer, struct server_redirect *redirect)
{
    static const char *const not_now[] = {"CLUSTERDOWN", "LOADING", "MASTERDOWN"};
    if (answer->type != ANSWER_ERROR) {
        return SERVER_ERROR_NONE;
    }
    assert(answer->text != NULL);
    size_t size = server_error_code_size(answer);
    if (code_is(answer, size, "UNKNOWN")) {
        return SERVER_ERROR_UNKNOWN;
    }
    if (code_is(answer, size, "TRYAGAIN")) {
        return SERVER_ERROR_TRY_AGAIN;
    }
    if (code_is(answer, size, "MOVED")) {
        bool valid = server_redirect_parse(answer->text + size, answer->size - size, redirect);
        return valid ? SERVER_ERROR_MOVED : SERVER_ERROR_FINAL;
    }
    for (size_t i = 0; i < sizeof not_now / sizeof not_now[0]; i++) {
        if (code_is(answer, size, not_now[i])) {
            return SERVER_ERROR_NOT_NOW;
        }
    }
    return SERVER_ERROR_FINAL;
}
