/* hint.h: how much room there is behind a line on a terminal. Pure but for the locale's idea of characters.
 */
#ifndef HINT_H
#define HINT_H

#include <stddef.h>

/* Columns that the line takes: wide characters two, control characters (shown as ^X) two. */
size_t hint_width(const char *line, size_t size);
/* Columns left for a hint in the cursor's row when prompt and line take `used` columns: never up to the very
 * edge, where terminals wrap. */
size_t hint_room(size_t used, size_t columns);

#endif
