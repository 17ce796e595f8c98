/* hint.c: how much room there is behind a line on a terminal. */
#include "hint.h"

#include <string.h>
#include <wchar.h>

size_t hint_width(const char *line, size_t size)
{
    mbstate_t state;
    size_t width = 0;
    memset(&state, 0, sizeof state);
    while (size > 0) {
        wchar_t character;
        size_t bytes = mbrtowc(&character, line, size, &state);
        if (bytes == 0 || bytes > size) { /* a zero byte, or no character: shown somehow */
            memset(&state, 0, sizeof state);
            bytes = 1;
            width += 2;
        } else {
            int columns = wcwidth(character);
            width += columns < 0 ? 2 : (size_t)columns;
        }
        line += bytes;
        size -= bytes;
    }
    return width;
}

size_t hint_room(size_t used, size_t columns)
{
    size_t in_row = columns == 0 ? 0 : used % columns;
    return in_row == 0 || in_row + 1 >= columns ? 0 : columns - 1 - in_row;
}
