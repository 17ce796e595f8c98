/* allocate.h: allocation that cannot fail: out of memory aborts. Everything is freed with free(). */
#ifndef ALLOCATE_H
#define ALLOCATE_H

#include <stddef.h>

/* Zeroed; `count` * `size` is checked against overflow. */
void *allocate_zeroed(size_t count, size_t size);
/* As realloc() of an array; new items are not zeroed. */
void *allocate_resized(void *memory, size_t count, size_t size);
/* A copy of `size` bytes with a zero byte after them. */
char *allocate_copy(const void *text, size_t size);

#endif
