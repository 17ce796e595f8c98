/* listener.c: accepts connections. */
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_BURST_MAX = 64, PAUSE_MS = 100, COMPLAINT_INTERVAL_MS = 10000 };

static void pause_accepting(struct listener *listener, int problem)
{
    const struct timeval pause = {0, PAUSE_MS * 1000};

    (void)event_del(&listener->event);
    if (event_add(&listener->pause, &pause) != 0) {
        abort();
    }
    if (listener->complained_ms == 0 ||
        listener->loop->now_ms - listener->complained_ms >= COMPLAINT_INTERVAL_MS) {
        struct log_fields fields = {0};

        listener->complained_ms = listener->loop->now_ms;
        log_fields_add_text(&fields, "reason", strerror(problem));
        log_event(listener->loop->log, REPLICA_LOG_WARNING, "accepting-paused", fields.text);
    }
}

static void on_connection(evutil_socket_t file, short what, void *context)
{
    struct listener *listener = context;

    (void)what;
    loop_begin_turn(listener->loop);
    for (int i = 0; i < ACCEPT_BURST_MAX; i++) {
        int accepted = accept4(file, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (accepted >= 0) {
            listener->on_accepted(listener->context, accepted, listener->number);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* anything else is the trouble of that one connection */
    }
}

static void on_pause_over(evutil_socket_t file, short what, void *context)
{
    struct listener *listener = context;

    (void)file;
    (void)what;
    loop_begin_turn(listener->loop);
    if (event_add(&listener->event, NULL) != 0) {
        abort();
    }
}

void listener_start(struct listener *listener, struct loop *loop, int file, uint32_t number,
                    void (*on_accepted)(void *context, int file, uint32_t number), void *context)
{
    *listener = (struct listener){
        .loop = loop, .file = file, .number = number, .on_accepted = on_accepted, .context = context};
    if (event_assign(&listener->event, loop->base, file, EV_READ | EV_PERSIST, on_connection, listener) !=
            0 ||
        evtimer_assign(&listener->pause, loop->base, on_pause_over, listener) != 0 ||
        event_add(&listener->event, NULL) != 0) {
        abort();
    }
}

void listener_stop(struct listener *listener)
{
    if (listener->file >= 0) {
        (void)event_del(&listener->event);
        (void)event_del(&listener->pause);
        (void)close(listener->file);
        listener->file = -1;
    }
}
