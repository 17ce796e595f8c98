/* connection_internal.h: what connection.c (one client) and connections.c (all of them) share. */
#ifndef CONNECTION_INTERNAL_H
#define CONNECTION_INTERNAL_H

#include "connection.h"

#include "byte_buffer.h"
#include "resp_parser.h"

#include <event2/event_struct.h>

enum { CONNECTIONS_SCRATCH_BYTES = 2 * CONNECTION_READ_BYTES_MAX };

struct connection {
    struct connections *owner;
    struct connection *next, *previous;
    struct connection *ready_next, *resume_next;
    struct replica_client *client; /* NULL: lingering */
    int file;
    struct event read_event, write_event;
    struct byte_buffer input; /* the start of an unfinished request, or what is held back */
    size_t input_counted;     /* of `input` in owner->input_bytes */
    struct resp_parser parser;
    size_t lingered_bytes;
    bool reading;     /* read_event is added */
    bool writing;     /* write_event is added: the socket is full */
    bool held_back;   /* the replica wants no input now */
    bool at_end;      /* the client closed its sending side */
    bool input_ended; /* the client sends no more, or it is not listened to any more */
    bool end_told;    /* ... and the replica knows: by an error, or by our mark */
    bool end_marked;  /* by us, in the client's name: this error is not for the client */
    bool broken;      /* close without another word */
    bool on_ready_list, on_resume_list;
    struct backup_order *backup; /* the socket is to become this stream; NULL: is not */
};

/* ---- connection.c ---- */

/* Not in any list yet. */
struct connection *connection_create(struct connections *owner, int file, uint32_t listener);
/* Takes it out of every list. */
void connection_destroy(struct connection *connection);
/* Writes, and then sees whether this was the end. May free the connection. */
void connection_flush(struct connection *connection);
/* Parses what was held back. */
void connection_resume(struct connection *connection);

/* ---- connections.c ---- */

void connections_push_resume(struct connection *connection);
void connections_move_to_lingering(struct connection *connection);
/* Out of every list. */
void connections_forget(struct connection *connection);

#endif
