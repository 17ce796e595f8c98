/* key_access.h: keys as commands see them: what has expired is not there. For the folder's own files.
 *
 * "Expired" is decided by log time alone, so that all nodes agree. A read also looks at its clock: a key that
 * is due by the clock but not by log time makes the whole read wait (context->met_due_key).
 */
#ifndef KEY_ACCESS_H
#define KEY_ACCESS_H

#include "command.h"

/* True when the key is present and has not expired. The value's bytes live until the next change of the map.
 */
bool key_find(struct command_context *context, const struct argument *key, struct map_value *value);
/* The same for a value that map_scan() shows. */
bool key_is_visible(struct command_context *context, const struct map_value *value);
/* Sets a string, with the version of this command. An expiry that has passed removes the key. */
void key_store(struct command_context *context, const struct argument *key, const void *bytes, size_t size,
               uint64_t expiry_ms);
/* Sets the expiry of a present key (0: none); one that has passed removes the key. */
void key_store_expiry(struct command_context *context, const struct argument *key, uint64_t expiry_ms);

#endif
