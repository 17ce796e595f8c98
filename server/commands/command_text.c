/* command_text.c: see command_text.h. */
#include "command_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint8_t lower_case(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool command_word_is(const struct argument *word, const char *lower)
{
    for (size_t i = 0; i < word->size; i++) {
        if (lower[i] == '\0' || lower_case(word->bytes[i]) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return lower[word->size] == '\0';
}

void command_text_append(struct byte_buffer *text, const char *format, ...)
{
    enum { FIRST_TRY_BYTES = 256 };
    size_t room = FIRST_TRY_BYTES;
    for (;;) {
        char *to = (char *)byte_buffer_reserve(text, room);
        va_list values;
        va_start(values, format);
        int written = vsnprintf(to, room, format, values);
        va_end(values);
        assert(written >= 0);
        if ((size_t)written < room) {
            byte_buffer_commit(text, (size_t)written);
            return;
        }
        room = (size_t)written + 1;
    }
}

/* ---- glob ---- */

struct glob {
    const uint8_t *at;
    const uint8_t *end;
    bool ignore_case;
};

static uint8_t glob_fold(const struct glob *glob, uint8_t byte)
{
    return glob->ignore_case ? lower_case(byte) : byte;
}

/* Behind '['. Steps over the class, also over one that is not closed; returns whether `byte` is in it. */
static bool glob_match_class(struct glob *glob, uint8_t byte)
{
    bool negated = glob->at < glob->end && *glob->at == '^';
    if (negated) {
        glob->at++;
    }
    bool found = false;
    while (glob->at < glob->end && *glob->at != ']') {
        const uint8_t *at = glob->at;
        size_t rest = (size_t)(glob->end - at);
        uint8_t low = at[0];
        uint8_t high = low;
        glob->at += 1;
        if (at[0] == '\\' && rest >= 2) {
            low = high = at[1];
            glob->at += 1;
        } else if (rest >= 3 && at[1] == '-') {
            high = at[2];
            glob->at += 2;
        }
        low = glob_fold(glob, low);
        high = glob_fold(glob, high);
        if (low > high) {
            uint8_t swap = low;
            low = high;
            high = swap;
        }
        found = found || (byte >= low && byte <= high);
    }
    if (glob->at < glob->end) {
        glob->at++;
    }
    return found != negated;
}

/* Steps over one element of the pattern that stands for one byte (so not '*'), and says whether it is this
 * one. */
static bool glob_match_byte(struct glob *glob, uint8_t byte)
{
    uint8_t folded = glob_fold(glob, byte);
    uint8_t element = *glob->at++;
    switch (element) {
    case '?':
        return true;
    case '[':
        return glob_match_class(glob, folded);
    case '\\':
        if (glob->at < glob->end) {
            element = *glob->at++;
        }
        return glob_fold(glob, element) == folded;
    default:
        return glob_fold(glob, element) == folded;
    }
}

bool command_glob_match(const uint8_t *pattern, size_t pattern_size, const uint8_t *bytes, size_t size,
                        bool ignore_case)
{
    struct glob glob = {.at = pattern, .end = pattern + pattern_size, .ignore_case = ignore_case};
    /* The pattern behind the last star, and the first byte that this star does not cover. */
    const uint8_t *after_star = NULL;
    size_t star_end = 0;
    size_t i = 0;
    while (i < size) {
        if (glob.at < glob.end && *glob.at == '*') {
            after_star = ++glob.at;
            star_end = i;
            continue;
        }
        if (glob.at < glob.end && glob_match_byte(&glob, bytes[i])) {
            i++;
            continue;
        }
        if (after_star == NULL) {
            return false;
        }
        /* The last star takes one byte more. Earlier stars need no second try: what lies between two stars
         * was found as far left as it can be. */
        glob.at = after_star;
        i = ++star_end;
    }
    while (glob.at < glob.end && *glob.at == '*') {
        glob.at++;
    }
    return glob.at == glob.end;
}
