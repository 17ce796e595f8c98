/* process_memory.h: how much memory this process has. */
#ifndef PROCESS_MEMORY_H
#define PROCESS_MEMORY_H

#include <stdint.h>

/* Resident, mapped files included; 0: the system does not say. Reads a file of /proc. */
uint64_t process_memory_resident_bytes(void);

#endif
