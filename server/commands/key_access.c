/* key_access.c: see key_access.h. */
#include "key_access.h"

#include <assert.h>

static bool is_past(uint64_t expiry_ms, uint64_t now_ms)
{
    return expiry_ms > 0 && expiry_ms <= now_ms;
}

bool key_is_visible(struct command_context *context, const struct map_value *value)
{
    if (is_past(value->expiry_ms, context->log_time_ms)) {
        return false;
    }
    if (context->can_wait && is_past(value->expiry_ms, context->clock_ms)) {
        assert((context->command->flags & COMMAND_WRITE) == 0); /* for writes the two times are one */
        context->met_due_key = true;
        return false;
    }
    return true;
}

bool key_find(struct command_context *context, const struct argument *key, struct map_value *value)
{
    return map_get(context->map, key->bytes, key->size, value) && key_is_visible(context, value);
}

void key_store(struct command_context *context, const struct argument *key, const void *bytes, size_t size,
               uint64_t expiry_ms)
{
    if (is_past(expiry_ms, context->log_time_ms)) {
        map_delete(context->map, key->bytes, key->size);
        return;
    }
    struct map_value value = {
        .type = MAP_VALUE_STRING,
        .version = context->version,
        .expiry_ms = expiry_ms,
        .bytes = bytes,
        .size = size,
    };
    map_put(context->map, key->bytes, key->size, &value);
}

void key_store_expiry(struct command_context *context, const struct argument *key, uint64_t expiry_ms)
{
    if (is_past(expiry_ms, context->log_time_ms)) {
        map_delete(context->map, key->bytes, key->size);
    } else {
        map_put_expiry(context->map, key->bytes, key->size, context->version, expiry_ms);
    }
}
