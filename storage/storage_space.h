/* storage_space.h: how much room a store has on its disk. */
#ifndef STORAGE_SPACE_H
#define STORAGE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct storage_space {
    /* The reserve is not whole, and the disk has nothing to make it so: what makes the data grow should be
     * refused, what removes or must be written goes on. */
    bool low;
    uint64_t room_bytes;      /* that can be written without asking the disk for more */
    uint64_t disk_free_bytes; /* that the filesystem has left, for anybody */
};

#endif
