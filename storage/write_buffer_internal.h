/* write_buffer_internal.h: what write_buffer.c needs of write_buffer_expiry.c. */
#ifndef WRITE_BUFFER_INTERNAL_H
#define WRITE_BUFFER_INTERNAL_H

#include "write_buffer.h"

/* Makes an entry a tombstone, or present with this expiry, and keeps heap and count. */
void write_buffer_change_expiry(struct write_buffer *buffer, struct write_buffer_entry *entry, bool deleted,
                                uint64_t expiry_ms);

#endif
