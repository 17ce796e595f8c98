/* storage_memory.c: see storage_memory.h. */
#include "storage_memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *storage_check_memory(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "storage: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

void *storage_allocate(size_t size)
{
    assert(size > 0);
    return storage_check_memory(malloc(size), size);
}

void *storage_allocate_zero(size_t size)
{
    assert(size > 0);
    return storage_check_memory(calloc(1, size), size);
}

void *storage_reallocate(void *memory, size_t size)
{
    assert(size > 0);
    return storage_check_memory(realloc(memory, size), size);
}

char *storage_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return storage_check_memory(length < 0 ? NULL : text, 0);
}
