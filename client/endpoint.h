/* endpoint.h: where a node listens: a host (name, IPv4 or IPv6 address) and a port, read from text and
 * written to it. Pure: nothing is resolved here.
 *
 * Redirects and CLUSTER SLOTS give IPv6 addresses without brackets, so the last colon splits host from port;
 * people may write brackets.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENDPOINT_HOST_BYTES_MAX = 256,
    ENDPOINT_TEXT_BYTES_MAX = ENDPOINT_HOST_BYTES_MAX + 8, /* "[host]:65535" and the zero byte */
    ENDPOINT_LIST_MAX = 64,
    ENDPOINT_DEFAULT_PORT = 7000,
};

struct endpoint {
    char host[ENDPOINT_HOST_BYTES_MAX]; /* without brackets; "": the host that the words came from */
    uint16_t port;                      /* > 0 */
};

struct endpoint_list {
    struct endpoint items[ENDPOINT_LIST_MAX]; /* no two are equal */
    size_t count;
};

/* "host:port", "[v6]:port", "v6:port", ":port" (empty host); without a port `default_port` when that is not
 * 0. False: not an endpoint; *endpoint is undefined. */
bool endpoint_parse(const char *text, size_t size, uint16_t default_port, struct endpoint *endpoint);
/* "host:port", with brackets round what contains a colon. Returns `text`. */
const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES_MAX]);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Adds it unless it is there or the list is full. Returns its place; the list's count when it was full. */
size_t endpoint_list_add(struct endpoint_list *list, const struct endpoint *endpoint);
/* "host:port,host:port"; at least one, every host given. False: *list is undefined and, when `wrong` is not
 * NULL, it points at the part that is wrong, of *wrong_size bytes. */
bool endpoint_list_parse(struct endpoint_list *list, const char *text, const char **wrong,
                         size_t *wrong_size);

#endif
