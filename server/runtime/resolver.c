/* resolver.c: a thread for each lookup. What threads and loop share lives until the last of them has gone. */
#include "resolver.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HOST_BYTES_MAX = 256 };

struct resolver_shared {
    pthread_mutex_t mutex; /* of what follows */
    unsigned references;   /* the resolver and each running thread */
    bool closed;           /* nobody waits for results any more */
    int event_file;
    struct resolver_lookup *done;
};

struct resolver_lookup {
    struct resolver_shared *shared;
    struct resolver_lookup *next;
    char host[HOST_BYTES_MAX];
    uint16_t port;
    struct resolved result;
    resolver_callback callback; /* the loop's thread only; NULL: cancelled */
    void *context;
};

struct resolver {
    struct resolver_shared *shared;
    struct event event;
};

static void check(int result)
{
    if (result != 0) {
        abort();
    }
}

void resolver_resolve_now(const char *host, uint16_t port, bool numeric_only, struct resolved *resolved)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[8];

    *resolved = (struct resolved){0};
    hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0) | (*host == '\0' ? AI_PASSIVE : 0);
    (void)snprintf(service, sizeof service, "%u", port);
    resolved->problem = getaddrinfo(*host == '\0' ? NULL : host, service, &hints, &list);
    if (resolved->problem != 0) {
        return;
    }
    for (struct addrinfo *at = list; at != NULL && resolved->count < RESOLVER_ADDRESSES_MAX;
         at = at->ai_next) {
        if (at->ai_addrlen <= sizeof(struct sockaddr_storage)) {
            struct resolved_address *to = &resolved->addresses[resolved->count++];

            memcpy(&to->address, at->ai_addr, at->ai_addrlen);
            to->size = at->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    if (resolved->count == 0) {
        resolved->problem = EAI_NONAME;
    }
}

/* Drops a reference under the lock, and the whole thing with the last. */
static void release_locked(struct resolver_shared *shared)
{
    bool last = --shared->references == 0;

    check(pthread_mutex_unlock(&shared->mutex));
    if (last) {
        check(pthread_mutex_destroy(&shared->mutex));
        (void)close(shared->event_file);
        free(shared);
    }
}

static void report(struct resolver_lookup *lookup)
{
    struct resolver_shared *shared = lookup->shared;

    check(pthread_mutex_lock(&shared->mutex));
    if (shared->closed) {
        free(lookup);
    } else {
        uint64_t one = 1;

        lookup->next = shared->done;
        shared->done = lookup;
        if (write(shared->event_file, &one, sizeof one) != (ssize_t)sizeof one) {
            abort();
        }
    }
    release_locked(shared);
}

static void *look_up(void *context)
{
    struct resolver_lookup *lookup = context;

    resolver_resolve_now(lookup->host, lookup->port, false, &lookup->result);
    report(lookup);
    return NULL;
}

static void deliver(struct resolver_lookup *lookup)
{
    if (lookup->callback != NULL) {
        lookup->callback(lookup->context, &lookup->result);
    }
    free(lookup);
}

static void on_results(evutil_socket_t file, short what, void *context)
{
    struct resolver *resolver = context;
    uint64_t count;
    ssize_t got = read(file, &count, sizeof count);

    (void)got;
    (void)what;
    check(pthread_mutex_lock(&resolver->shared->mutex));
    struct resolver_lookup *done = resolver->shared->done;

    resolver->shared->done = NULL;
    check(pthread_mutex_unlock(&resolver->shared->mutex));
    while (done != NULL) {
        struct resolver_lookup *next = done->next;

        deliver(done);
        done = next;
    }
}

struct resolver *resolver_create(struct event_base *base)
{
    int event_file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (event_file < 0) {
        return NULL;
    }
    struct resolver *resolver = calloc(1, sizeof *resolver);
    struct resolver_shared *shared = calloc(1, sizeof *shared);

    if (resolver == NULL || shared == NULL) {
        abort();
    }
    check(pthread_mutex_init(&shared->mutex, NULL));
    shared->references = 1;
    shared->event_file = event_file;
    resolver->shared = shared;
    check(event_assign(&resolver->event, base, event_file, EV_READ | EV_PERSIST, on_results, resolver));
    check(event_add(&resolver->event, NULL));
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    (void)event_del(&resolver->event);
    check(pthread_mutex_lock(&resolver->shared->mutex));
    resolver->shared->closed = true;
    while (resolver->shared->done != NULL) {
        struct resolver_lookup *next = resolver->shared->done->next;

        free(resolver->shared->done);
        resolver->shared->done = next;
    }
    release_locked(resolver->shared);
    free(resolver);
}

static bool start_thread(struct resolver_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;

    check(pthread_attr_init(&attributes));
    check(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
    bool started = pthread_create(&thread, &attributes, look_up, lookup) == 0;

    check(pthread_attr_destroy(&attributes));
    return started;
}

struct resolver_lookup *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                       resolver_callback callback, void *context)
{
    struct resolver_lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL) {
        abort();
    }
    lookup->shared = resolver->shared;
    lookup->port = port;
    lookup->callback = callback;
    lookup->context = context;
    (void)snprintf(lookup->host, sizeof lookup->host, "%s", host);
    check(pthread_mutex_lock(&resolver->shared->mutex));
    resolver->shared->references++;
    check(pthread_mutex_unlock(&resolver->shared->mutex));
    resolver_resolve_now(host, port, true, &lookup->result);
    if (lookup->result.problem == 0) {
        report(lookup);
    } else if (!start_thread(lookup)) {
        check(pthread_mutex_lock(&resolver->shared->mutex));
        release_locked(resolver->shared);
        free(lookup);
        return NULL;
    }
    return lookup;
}

void resolver_cancel(struct resolver_lookup *lookup)
{
    if (lookup != NULL) {
        lookup->callback = NULL;
    }
}
