/* address_lookup.c: getaddrinfo() with a deadline. */
#include "address_lookup.h"

#include "allocate.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Shared by the one who waits and the thread; whoever comes last frees it. */
struct address_lookup_job {
    pthread_mutex_t mutex;
    bool done;      /* the thread has its result */
    bool abandoned; /* nobody waits any more */
    int done_fd;
    int code;
    struct addrinfo *found;
    char host[ENDPOINT_HOST_BYTES_MAX];
    char port[8];
};

static int address_lookup_ask(const char *host, const char *port, int flags, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    *found = NULL;
    return getaddrinfo(host, port, &hints, found);
}

static void address_lookup_job_free(struct address_lookup_job *job)
{
    if (job->found != NULL) {
        freeaddrinfo(job->found);
    }
    close(job->done_fd);
    pthread_mutex_destroy(&job->mutex);
    free(job);
}

static void *address_lookup_thread(void *argument)
{
    struct address_lookup_job *job = argument;
    struct addrinfo *found;
    int code = address_lookup_ask(job->host, job->port, 0, &found);
    pthread_mutex_lock(&job->mutex);
    job->code = code;
    job->found = found;
    job->done = true;
    bool abandoned = job->abandoned;
    if (!abandoned) {
        uint64_t one = 1;
        ssize_t written = write(job->done_fd, &one, sizeof one);
        assert(written == (ssize_t)sizeof one);
    }
    pthread_mutex_unlock(&job->mutex);
    if (abandoned) {
        address_lookup_job_free(job);
    }
    return NULL;
}

static enum address_lookup_result address_lookup_fail(char *error, size_t error_bytes, int code)
{
    snprintf(error, error_bytes, "%s", gai_strerror(code));
    return ADDRESS_LOOKUP_NOT_FOUND;
}

static struct address_lookup_job *address_lookup_start(const struct endpoint *endpoint, const char *port)
{
    struct address_lookup_job *job = allocate_zeroed(1, sizeof *job);
    pthread_mutex_init(&job->mutex, NULL);
    snprintf(job->host, sizeof job->host, "%s", endpoint->host);
    snprintf(job->port, sizeof job->port, "%s", port);
    job->done_fd = eventfd(0, EFD_CLOEXEC);
    pthread_t thread;
    if (job->done_fd < 0 || pthread_create(&thread, NULL, address_lookup_thread, job) != 0) {
        address_lookup_job_free(job);
        return NULL;
    }
    pthread_detach(thread);
    return job;
}

enum address_lookup_result address_lookup_find(const struct endpoint *endpoint,
                                               const struct deadline *deadline, struct addrinfo **found,
                                               char *error, size_t error_bytes)
{
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    int code = address_lookup_ask(endpoint->host, port, AI_NUMERICHOST | AI_NUMERICSERV, found);
    if (code != EAI_NONAME) {
        return code == 0 ? ADDRESS_LOOKUP_FOUND : address_lookup_fail(error, error_bytes, code);
    }
    struct address_lookup_job *job = address_lookup_start(endpoint, port);
    if (job == NULL) {
        return address_lookup_fail(error, error_bytes, EAI_AGAIN);
    }
    enum deadline_result waited = deadline_wait(deadline, job->done_fd, POLLIN);
    pthread_mutex_lock(&job->mutex);
    bool done = job->done;
    job->abandoned = !done;
    pthread_mutex_unlock(&job->mutex);
    if (!done) {
        return waited == DEADLINE_CANCELLED ? ADDRESS_LOOKUP_CANCELLED : ADDRESS_LOOKUP_TIMED_OUT;
    }
    code = job->code;
    *found = job->found;
    job->found = NULL;
    address_lookup_job_free(job);
    return code == 0 ? ADDRESS_LOOKUP_FOUND : address_lookup_fail(error, error_bytes, code);
}
