/* node_status.c: the lines of RAFT STATUS. */
#include "node_status.h"

#include <stdio.h>
#include <string.h>

/* Words of a line; not ended by zero bytes. */
struct span {
    const char *text;
    size_t size;
};

static bool span_is(struct span span, const char *word)
{
    return strlen(word) == span.size && memcmp(span.text, word, span.size) == 0;
}

/* Splits at the first `mark`; false: it is not there. */
static bool span_split(struct span span, char mark, struct span *before, struct span *after)
{
    const char *at = memchr(span.text, mark, span.size);
    if (at == NULL) {
        return false;
    }
    *before = (struct span){.text = span.text, .size = (size_t)(at - span.text)};
    *after = (struct span){.text = at + 1, .size = span.size - before->size - 1};
    return true;
}

static uint64_t span_number(struct span span)
{
    uint64_t value = 0;
    for (size_t i = 0; i < span.size && span.text[i] >= '0' && span.text[i] <= '9'; i++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(span.text[i] - '0'), &value)) {
            return UINT64_MAX;
        }
    }
    return value;
}

static bool span_yes(struct span span)
{
    return span_is(span, "1") || span_is(span, "yes") || span_is(span, "true");
}

/* Cut to fit; bytes below `lowest`, and others that are not printable, become '?'. */
static void span_copy_from(struct span span, char lowest, char *to, size_t to_bytes)
{
    size_t size = span.size < to_bytes - 1 ? span.size : to_bytes - 1;
    for (size_t i = 0; i < size; i++) {
        to[i] = span.text[i] >= lowest && span.text[i] < 0x7f ? span.text[i] : '?';
    }
    to[size] = '\0';
}

/* A word: has no blanks. */
static void span_copy(struct span span, char *to, size_t to_bytes)
{
    span_copy_from(span, '!', to, to_bytes);
}

static void span_copy_sentence(struct span span, char *to, size_t to_bytes)
{
    span_copy_from(span, ' ', to, to_bytes);
}

/* Takes what stands before the first comma; false: nothing is left. */
static bool span_take_item(struct span *rest, struct span *item)
{
    struct span after = {0};
    if (rest->size == 0) {
        return false;
    }
    if (!span_split(*rest, ',', item, &after)) {
        *item = *rest;
    }
    *rest = after;
    return true;
}

static void endpoint_take_port(struct endpoint *endpoint, struct span value)
{
    uint64_t port = span_number(value);
    endpoint->port = port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void member_parse_number(struct node_status_member *member, struct span key, struct span value)
{
    const struct {
        const char *key;
        uint64_t *number;
    } numbers[] = {
        {"match", &member->match_index},
        {"snapshot_keys", &member->snapshot_keys},
        {"snapshot_keys_total", &member->snapshot_keys_total},
        {"snapshot_bytes", &member->snapshot_bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (span_is(key, numbers[i].key)) {
            *numbers[i].number = span_number(value);
        }
    }
}

static void member_parse_field(struct node_status_member *member, struct span key, struct span value)
{
    if (span_is(key, "host")) {
        span_copy(value, member->address.host, sizeof member->address.host);
    } else if (span_is(key, "port")) {
        endpoint_take_port(&member->address, value);
    } else if (span_is(key, "bus_host")) {
        span_copy(value, member->bus.host, sizeof member->bus.host);
    } else if (span_is(key, "bus_port")) {
        endpoint_take_port(&member->bus, value);
    } else if (span_is(key, "connected")) {
        member->connected = span_yes(value);
    } else if (span_is(key, "progress")) {
        span_copy(value, member->progress, sizeof member->progress);
        member->progress_known = value.size > 0 && !span_is(value, "unknown");
    } else if (span_is(key, "kind")) {
        span_copy(value, member->kind, sizeof member->kind);
    } else if (span_is(key, "goal")) {
        span_copy(value, member->goal, sizeof member->goal);
    } else if (span_is(key, "active")) {
        member->active = span_yes(value);
    } else {
        member_parse_number(member, key, value);
    }
}

/* `id`: what stands behind "member_". */
static void status_parse_member(struct node_status *status, struct span id, struct span fields)
{
    struct node_status_member member = {.id = span_number(id)};
    struct span field;
    while (span_take_item(&fields, &field)) {
        struct span key;
        struct span value;
        if (span_split(field, '=', &key, &value)) {
            member_parse_field(&member, key, value);
        }
    }
    if (member.address.host[0] == '\0') {
        member.address.port = 0;
    }
    if (member.id != 0 && status->members_count < NODE_STATUS_MEMBERS_MAX) {
        status->members[status->members_count++] = member;
    }
}

static void status_parse_differing(struct node_status *status, struct span ids)
{
    struct span item;
    while (span_take_item(&ids, &item)) {
        uint64_t id = span_number(item);
        if (id != 0 && status->differing_count < NODE_STATUS_MEMBERS_MAX) {
            status->differing[status->differing_count++] = id;
        }
    }
}

/* What is neither a number nor a word. */
static void status_parse_other(struct node_status *status, struct span key, struct span value)
{
    static const char member[] = "member_";
    size_t size = sizeof member - 1;
    if (span_is(key, "leader_ready")) {
        status->leader_ready = span_yes(value);
    } else if (span_is(key, "low_space")) {
        status->low_space = span_yes(value);
    } else if (span_is(key, "damage")) {
        span_copy_sentence(value, status->damage, sizeof status->damage);
    } else if (span_is(key, "digest_differs")) {
        status_parse_differing(status, value);
    } else if (key.size > size && memcmp(key.text, member, size) == 0) {
        status_parse_member(status, (struct span){.text = key.text + size, .size = key.size - size}, value);
    }
}

static void status_parse_field(struct node_status *status, struct span key, struct span value)
{
    const struct {
        const char *key;
        uint64_t *number;
    } numbers[] = {
        {"node_id", &status->node_id},
        {"term", &status->term},
        {"leader_id", &status->leader_id},
        {"transferee", &status->transferee},
        {"membership_index", &status->membership_index},
        {"commit_index", &status->commit_index},
        {"applied_index", &status->applied_index},
        {"last_index", &status->last_index},
        {"durable_index", &status->durable_index},
        {"first_index", &status->first_index},
        {"key_count", &status->key_count},
        {"uptime_ms", &status->uptime_ms},
    };
    const struct {
        const char *key;
        char *word;
    } words[] = {
        {"role", status->role},     {"cluster_id", status->cluster_id}, {"disk_id", status->disk_id},
        {"digest", status->digest}, {"version", status->version},       {"membership", status->membership},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (span_is(key, numbers[i].key)) {
            *numbers[i].number = span_number(value);
            return;
        }
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(key, words[i].key)) {
            span_copy(value, words[i].word, NODE_STATUS_WORD_BYTES_MAX);
            return;
        }
    }
    status_parse_other(status, key, value);
}

const struct node_status_member *node_status_find_member(const struct node_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->members_count; i++) {
        if (status->members[i].id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

bool node_status_names_differing(const struct node_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->differing_count; i++) {
        if (status->differing[i] == id) {
            return true;
        }
    }
    return false;
}

bool node_status_parse(struct node_status *status, const char *text, size_t size)
{
    struct span rest = {.text = text, .size = size};
    *status = (struct node_status){0};
    while (rest.size > 0) {
        struct span line = rest;
        struct span after = {0};
        struct span key;
        struct span value;
        if (!span_split(rest, '\n', &line, &after)) {
            line = rest;
        }
        rest = after;
        if (line.size > 0 && line.text[line.size - 1] == '\r') {
            line.size--;
        }
        if (span_split(line, ':', &key, &value)) {
            status_parse_field(status, key, value);
        }
    }
    return status->node_id != 0 && status->role[0] != '\0';
}
