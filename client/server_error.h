/* server_error.h: what an error that a server answered tells a client to do. Pure.
 *
 * By the contract of the server, the "not now" errors and TRYAGAIN are sent only for commands that were
 * certainly not executed and will not be; UNKNOWN means that the command may or may not have been executed,
 * and must never be retried blindly.
 */
#ifndef SERVER_ERROR_H
#define SERVER_ERROR_H

#include "answer.h"
#include "endpoint.h"

enum server_error {
    SERVER_ERROR_NONE,      /* the answer is no error */
    SERVER_ERROR_FINAL,     /* to be shown */
    SERVER_ERROR_MOVED,     /* to be followed */
    SERVER_ERROR_NOT_NOW,   /* CLUSTERDOWN, LOADING, MASTERDOWN: to be tried again later, elsewhere */
    SERVER_ERROR_TRY_AGAIN, /* TRYAGAIN: the same; of the leader: to be tried again there */
    SERVER_ERROR_UNKNOWN,   /* the outcome is not known */
};

struct server_redirect {
    unsigned slot;
    struct endpoint target; /* its host is empty when it is that of the node that answered */
};

/* *redirect is set with SERVER_ERROR_MOVED only. A MOVED that cannot be read is SERVER_ERROR_FINAL. */
enum server_error server_error_classify(const struct answer *answer, struct server_redirect *redirect);
/* The size of the error's code, its first word, when it is one ("WRONGTYPE"); else 0. */
size_t server_error_code_size(const struct answer *answer);

#endif
