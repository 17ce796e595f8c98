/* process_memory.c: see process_memory.h. */
#include "process_memory.h"

#include <stdio.h>
#include <unistd.h>

uint64_t process_memory_resident_bytes(void)
{
    unsigned long long pages_all = 0, pages_resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL) {
        return 0;
    }
    int fields = fscanf(file, "%llu %llu", &pages_all, &pages_resident);

    (void)fclose(file);
    return fields == 2 ? (uint64_t)pages_resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
