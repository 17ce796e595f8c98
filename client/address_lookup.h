/* address_lookup.h: addresses of a host, with a deadline.
 *
 * getaddrinfo() has none: the name of a container that was just killed may take the resolver many seconds. So
 * it runs in a thread that is left to itself when the time is up. Numeric addresses need no thread.
 */
#ifndef ADDRESS_LOOKUP_H
#define ADDRESS_LOOKUP_H

#include "deadline.h"
#include "endpoint.h"

#include <netdb.h>

enum address_lookup_result {
    ADDRESS_LOOKUP_FOUND,
    ADDRESS_LOOKUP_NOT_FOUND, /* `error` says why */
    ADDRESS_LOOKUP_TIMED_OUT,
    ADDRESS_LOOKUP_CANCELLED,
};

/* ADDRESS_LOOKUP_FOUND: *found is a list for freeaddrinfo(). */
enum address_lookup_result address_lookup_find(const struct endpoint *endpoint,
                                               const struct deadline *deadline, struct addrinfo **found,
                                               char *error, size_t error_bytes)
    __attribute__((warn_unused_result));

#endif
