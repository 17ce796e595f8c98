/* allocate.c: allocation that cannot fail. */
#include "allocate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void allocate_abort(void)
{
    fputs("kvcli: out of memory\n", stderr);
    abort();
}

void *allocate_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (memory == NULL) {
        allocate_abort();
    }
    return memory;
}

void *allocate_resized(void *memory, size_t count, size_t size)
{
    void *resized = reallocarray(memory, count == 0 ? 1 : count, size);
    if (resized == NULL) {
        allocate_abort();
    }
    return resized;
}

char *allocate_copy(const void *text, size_t size)
{
    char *copy = allocate_zeroed(size + 1, 1);
    if (size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}
