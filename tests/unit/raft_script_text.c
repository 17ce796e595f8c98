/* raft_script_text.c: see raft_script_text.h. */
#include "raft_script_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void script_text_add(struct script_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *addition = NULL;
    int size = vasprintf(&addition, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    size_t needed = text->size + (size_t)size + 1;
    if (needed > text->capacity) {
        text->capacity = needed * 2;
        text->bytes = realloc(text->bytes, text->capacity);
        if (text->bytes == NULL) {
            abort();
        }
    }
    memcpy(text->bytes + text->size, addition, (size_t)size + 1);
    text->size += (size_t)size;
    free(addition);
}

void script_text_deinit(struct script_text *text)
{
    free(text->bytes);
    *text = (struct script_text){0};
}

const char *script_message_name(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MESSAGE_PRE_VOTE:
        return "pre-vote";
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
        return "pre-vote-response";
    case RAFT_MESSAGE_VOTE:
        return "vote";
    case RAFT_MESSAGE_VOTE_RESPONSE:
        return "vote-response";
    case RAFT_MESSAGE_APPEND:
        return "append";
    case RAFT_MESSAGE_APPEND_RESPONSE:
        return "append-response";
    case RAFT_MESSAGE_HEARTBEAT:
        return "heartbeat";
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
        return "heartbeat-response";
    case RAFT_MESSAGE_TIMEOUT_NOW:
        return "timeout-now";
    case RAFT_MESSAGE_READ_INDEX:
        return "read-index";
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        return "read-index-response";
    }
    return "unknown message";
}

void script_text_add_id(struct script_text *text, struct raft_entry_id id)
{
    if (id.index == 0) {
        script_text_add(text, "start");
    } else {
        script_text_add(text, "%" PRIu64 "(t%" PRIu64 ")", id.index, id.term);
    }
}

static void add_ids(struct script_text *text, const char *name, const raft_node_id *ids, uint32_t count)
{
    script_text_add(text, "%s", count == 0 ? "" : name);
    for (uint32_t i = 0; i < count; i++) {
        script_text_add(text, " %" PRIu64, ids[i]);
    }
}

void script_text_add_membership(struct script_text *text, const struct raft_membership *membership)
{
    add_ids(text, "voters", membership->voters, membership->voters_count);
    add_ids(text, " with outgoing", membership->outgoing, membership->outgoing_count);
    add_ids(text, " learners", membership->learners, membership->learners_count);
}

void script_text_add_entry(struct script_text *text, const struct raft_entry *entry)
{
    script_text_add_id(text, entry->id);
    struct raft_membership membership;
    uint32_t offset;
    if (entry->type == RAFT_ENTRY_MEMBERSHIP &&
        raft_membership_decode(entry->payload->bytes, entry->payload->size, &membership, &offset)) {
        script_text_add(text, " ");
        script_text_add_membership(text, &membership);
        script_text_add(text, offset < entry->payload->size ? " \"%.*s\"" : "%.*s",
                        (int)(entry->payload->size - offset), (const char *)entry->payload->bytes + offset);
    } else if (entry->payload == NULL) {
        script_text_add(text, " noop");
    } else {
        script_text_add(text, " %.*s", (int)entry->payload->size, (const char *)entry->payload->bytes);
    }
}

static void add_append(struct script_text *text, const struct raft_message *message)
{
    script_text_add(text, ", after ");
    script_text_add_id(text, message->log);
    script_text_add(text, message->entries_count == 0 ? ": nothing" : ": ");
    for (uint32_t i = 0; i < message->entries_count; i++) {
        script_text_add(text, i == 0 ? "" : ", ");
        script_text_add_entry(text, &message->entries[i]);
    }
    script_text_add(text, "; commit %" PRIu64, message->commit);
}

static void add_append_response(struct script_text *text, const struct raft_message *message)
{
    script_text_add(text, message->reject ? ", refused: not after " : ", holds up to ");
    script_text_add_id(text, message->log);
    if (message->reject) {
        script_text_add(text, ", hint ");
        script_text_add_id(text, message->hint);
    }
}

static void add_read_response(struct script_text *text, const struct raft_message *message, unsigned read)
{
    if (message->reject) {
        script_text_add(text, ", read %u refused", read);
    } else {
        script_text_add(text, ", read %u at index %" PRIu64, read, message->log.index);
    }
}

static void add_fields(struct script_text *text, const struct raft_message *message, unsigned read)
{
    switch (message->type) {
    case RAFT_MESSAGE_PRE_VOTE:
    case RAFT_MESSAGE_VOTE:
        script_text_add(text, ", log ends at ");
        script_text_add_id(text, message->log);
        script_text_add(text, message->force ? ", by force" : "");
        break;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
    case RAFT_MESSAGE_VOTE_RESPONSE:
        script_text_add(text, message->reject ? ", refused" : ", granted");
        break;
    case RAFT_MESSAGE_APPEND:
        add_append(text, message);
        break;
    case RAFT_MESSAGE_APPEND_RESPONSE:
        add_append_response(text, message);
        break;
    case RAFT_MESSAGE_HEARTBEAT:
        script_text_add(text, ", commit %" PRIu64, message->commit);
        break;
    case RAFT_MESSAGE_READ_INDEX:
        script_text_add(text, ", read %u", read);
        return; /* its round is the id of the read */
    case RAFT_MESSAGE_READ_INDEX_RESPONSE:
        add_read_response(text, message, read);
        return;
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
    case RAFT_MESSAGE_TIMEOUT_NOW:
        break;
    }
    if (message->round != 0) {
        script_text_add(text, ", round %" PRIu64, message->round);
    }
}

void script_text_add_message(struct script_text *text, const struct raft_message *message, unsigned read)
{
    script_text_add(text, "%s term %" PRIu64, script_message_name(message->type), message->term);
    add_fields(text, message, read);
}
