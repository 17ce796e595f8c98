/* endpoint.c: hosts and ports as text. */
#include "endpoint.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool endpoint_parse_port(const char *text, size_t size, uint16_t *port)
{
    uint32_t value = 0;
    if (size == 0 || size > 5) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* Characters that cannot be in a host; they would also spoil messages that show it. */
static bool endpoint_host_valid(const char *host, size_t size)
{
    if (size >= ENDPOINT_HOST_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (host[i] <= ' ' || host[i] >= 0x7f || host[i] == '[' || host[i] == ']' || host[i] == ',') {
            return false;
        }
    }
    /* "::1" without a port must not be taken for host ":" and port 1. */
    bool only_colons = size > 0 && strspn(host, ":") >= size;
    return !only_colons;
}

bool endpoint_parse(const char *text, size_t size, uint16_t default_port, struct endpoint *endpoint)
{
    const char *host = text;
    size_t host_size = size;
    endpoint->port = default_port;
    if (size > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', size);
        if (end == NULL || end == text + 1) {
            return false;
        }
        host = text + 1;
        host_size = (size_t)(end - host);
        size_t rest = size - host_size - 2;
        if (rest > 0 && (end[1] != ':' || !endpoint_parse_port(end + 2, rest - 1, &endpoint->port))) {
            return false;
        }
    } else {
        const char *colon = memrchr(text, ':', size);
        if (colon != NULL) {
            host_size = (size_t)(colon - text);
            if (!endpoint_parse_port(colon + 1, size - host_size - 1, &endpoint->port)) {
                return false;
            }
        }
    }
    if (!endpoint_host_valid(host, host_size) || endpoint->port == 0 || size == 0) {
        return false;
    }
    memcpy(endpoint->host, host, host_size);
    endpoint->host[host_size] = '\0';
    return true;
}

const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES_MAX])
{
    bool brackets = strchr(endpoint->host, ':') != NULL;
    int size = snprintf(text, ENDPOINT_TEXT_BYTES_MAX, "%s%s%s:%u", brackets ? "[" : "", endpoint->host,
                        brackets ? "]" : "", (unsigned)endpoint->port);
    assert(size > 0 && size < ENDPOINT_TEXT_BYTES_MAX);
    return text;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

size_t endpoint_list_add(struct endpoint_list *list, const struct endpoint *endpoint)
{
    size_t i = 0;
    while (i < list->count && !endpoint_equal(&list->items[i], endpoint)) {
        i++;
    }
    if (i == list->count && list->count < ENDPOINT_LIST_MAX) {
        list->items[list->count++] = *endpoint;
    }
    return i;
}

bool endpoint_list_parse(struct endpoint_list *list, const char *text, const char **wrong, size_t *wrong_size)
{
    list->count = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        struct endpoint endpoint;
        if (!endpoint_parse(text, size, ENDPOINT_DEFAULT_PORT, &endpoint) || endpoint.host[0] == '\0') {
            if (wrong != NULL) {
                *wrong = text;
                *wrong_size = size;
            }
            return false;
        }
        endpoint_list_add(list, &endpoint);
        if (text[size] == '\0') {
            return true;
        }
        text += size + 1;
    }
}
