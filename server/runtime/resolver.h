/* resolver.h: host names to addresses, off the loop.
 *
 * getaddrinfo() may take many seconds when a name server is away, and the name of a killed container vanishes
 * at the worst moment. So each lookup has a thread of its own; its callers are few (one per peer) and ask for
 * one thing at a time. Numeric addresses need no thread and are answered at once.
 */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <event2/event.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RESOLVER_ADDRESSES_MAX = 8 };

struct resolved_address {
    socklen_t size;
    struct sockaddr_storage address;
};

struct resolved {
    int problem; /* 0, or a code for gai_strerror() */
    uint32_t count;
    struct resolved_address addresses[RESOLVER_ADDRESSES_MAX];
};

struct resolver;
struct resolver_lookup;

/* NULL when the system gives no eventfd. */
struct resolver *resolver_create(struct event_base *base);
/* Lookups that still run are left to end by themselves; their callbacks are not called. NULL is allowed. */
void resolver_destroy(struct resolver *resolver);

typedef void (*resolver_callback)(void *context, const struct resolved *resolved);
/* Calls back on the loop's thread, later. The handle is valid until then, or until it is cancelled. NULL: no
 * thread could be had; try later. */
struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                       resolver_callback callback, void *context);
/* The callback will not be called. */
void resolver_cancel(struct resolver_lookup *lookup); /* NULL is allowed */

/* Blocks. For numeric addresses (`numeric_only`) it does not. host "" : every address, for listening. */
void resolver_resolve_now(const char *host, uint16_t port, bool numeric_only, struct resolved *resolved);

#endif
