/* history_operation.h: one operation of a client on one key, as the client saw it: what it asked, from when
 * to when, and what it knows of the end.
 *
 * A command with several keys is one operation per key. Where its answer says nothing about the single key
 * (the count of DEL a b, the OK of FLUSHALL), the outcome is HISTORY_DONE_UNCHECKED. An operation that
 * certainly had no effect (-CLUSTERDOWN, MOVED, refused before the log) does not belong in a history; nor
 * does one that answered with an error which the model does not know (a value over the limit).
 *
 * Which command is which operation:
 *   SETEX, PSETEX      SET with HISTORY_EXPIRY          MGET             a GET per key
 *   MSET               a SET per key                    MSETNX -> 1      a SETNX -> 1 per key (-> 0: none)
 *   INCR, DECR, DECRBY INCRBY                           UNLINK, FLUSHALL DEL
 *   EXPIREAT, PEXPIRE  EXPIRE                           TOUCH            EXISTS
 *   PTTL, EXPIRETIME   TTL (only the sign is looked at)
 * A MSETNX of several keys that answers 0 had no effect, and which key refused it is not known: it is left
 * out. TYPE is an EXISTS.
 *
 * GT and LT compare two expiries of which only windows are known, and two times of the servers' clock can be
 * one time here. So where the windows meet, EXPIRE GT and LT may have been done or refused: their answer says
 * which, and is wrong only where the windows leave no doubt. They are never HISTORY_DONE_UNCHECKED.
 */
#ifndef HISTORY_OPERATION_H
#define HISTORY_OPERATION_H

#include <stddef.h>
#include <stdint.h>

enum history_kind {
    HISTORY_GET,
    HISTORY_SET,
    HISTORY_GETSET,
    HISTORY_GETDEL,
    HISTORY_SETNX,
    HISTORY_DEL,
    HISTORY_EXISTS,
    HISTORY_INCRBY,
    HISTORY_APPEND,
    HISTORY_STRLEN,
    HISTORY_EXPIRE,
    HISTORY_PERSIST,
    HISTORY_TTL,
    HISTORY_GETEX,
};
enum { HISTORY_KINDS_COUNT = HISTORY_GETEX + 1 };

/* Bits of `options`. */
enum history_option {
    HISTORY_NX = 1,             /* SET, EXPIRE */
    HISTORY_XX = 2,             /* SET, EXPIRE */
    HISTORY_RETURN_OLD = 4,     /* SET ... GET */
    HISTORY_KEEPTTL = 8,        /* SET */
    HISTORY_EXPIRY = 16,        /* SET, GETEX: it sets the expiry of the window; EXPIRE always does */
    HISTORY_REMOVE_EXPIRY = 32, /* GETEX ... PERSIST */
    HISTORY_GT = 64,            /* EXPIRE: only to a later time; none is the latest of all */
    HISTORY_LT = 128,           /* EXPIRE: only to an earlier time */
};

enum history_outcome {
    HISTORY_DONE,           /* `reply` was received */
    HISTORY_DONE_UNCHECKED, /* it took effect in that time; the reply says nothing about this key */
    HISTORY_UNKNOWN, /* it took effect at some time after invoked_us, or will, or never; but not twice */
};

enum history_reply { HISTORY_OK, HISTORY_NIL, HISTORY_INTEGER, HISTORY_BYTES, HISTORY_ERROR };

/* Bytes are borrowed. Times are simulated and true: no node's clock is in them. */
struct history_operation {
    uint64_t client;
    uint64_t connection; /* of this client; see `sequence` */
    uint64_t sequence;   /* the order in which the client sent its operations on one connection: later ones
                          * are called and, unless the outcome is unknown, answered no earlier */

    uint64_t invoked_us;
    uint64_t returned_us; /* looked at unless the outcome is unknown; >= invoked_us */

    enum history_kind kind;
    enum history_outcome outcome;
    uint32_t options;
    const uint8_t *bytes; /* the value of SET, GETSET, SETNX, APPEND */
    size_t size;
    int64_t delta;
    /* If it sets an expiry: when, at the earliest and at the latest, the key may go and must have gone.
     * Clocks that differ and a relative time that starts at an unknown moment make the window. A time that
     * has passed already is allowed (EXPIRE key -1: 0 and 0). earliest <= latest; UINT64_MAX: no bound. */
    uint64_t expiry_earliest_us;
    uint64_t expiry_latest_us;

    /* HISTORY_DONE only. An error is INCRBY's: not an integer, or it would overflow. */
    enum history_reply reply;
    int64_t reply_integer;
    const uint8_t *reply_bytes;
    size_t reply_size;
};

#endif
