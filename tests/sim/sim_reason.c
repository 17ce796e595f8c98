/* sim_reason.c: see sim_reason.h. */
#include "sim_reason.h"

#include <string.h>

enum { REASON_WORDS = 11, WORD_BYTES = 64 }; /* "kind=correctness at 1.234 s: " and seven more */

/* The next word of the reason, without its digits, and of a hexadecimal number nothing. */
static const char *take_word(const char *text, char word[WORD_BYTES])
{
    size_t used = 0;
    text += strspn(text, " ");
    bool is_address = strncmp(text, "0x", 2) == 0;
    for (; *text != '\0' && *text != ' '; text++) {
        bool is_kept = !is_address && (*text < '0' || *text > '9') && used + 1 < WORD_BYTES;
        if (is_kept) {
            word[used++] = *text;
        }
    }
    word[used] = '\0';
    return text;
}

bool sim_reason_is_alike(const struct sim_result *one, const struct sim_result *other)
{
    const char *a = strstr(one->text, "kind=");
    const char *b = strstr(other->text, "kind=");
    if (one->failure != other->failure || one->failure == SIM_HISTORY || a == NULL || b == NULL) {
        return one->failure == other->failure;
    }
    for (uint32_t i = 0; i < REASON_WORDS; i++) {
        char of_a[WORD_BYTES];
        char of_b[WORD_BYTES];
        a = take_word(a, of_a);
        b = take_word(b, of_b);
        if (strcmp(of_a, of_b) != 0) {
            return false;
        }
    }
    return true;
}
