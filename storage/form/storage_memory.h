/* storage_memory.h: allocation that never fails: out of memory aborts, through one place.
 *
 * How much may be asked for is bounded before it comes here (entry, key and value limits, buffer_bytes_max).
 */
#ifndef STORAGE_MEMORY_H
#define STORAGE_MEMORY_H

#include <stddef.h>

void *storage_allocate(size_t size);      /* not cleared */
void *storage_allocate_zero(size_t size); /* cleared */
void *storage_reallocate(void *memory, size_t size);
/* A new string, printf-style; free() it. */
char *storage_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
