/* client_info.h: what a connected client said about itself, and what CLIENT LIST shows. Plain data. */
#ifndef CLIENT_INFO_H
#define CLIENT_INFO_H

#include <stdbool.h>
#include <stdint.h>

enum { CLIENT_NAME_BYTES_MAX = 128, CLIENT_ADDRESS_BYTES_MAX = 64 };

struct client_info {
    uint64_t id;                                  /* unique on this node since it started, from 1 */
    char address[CLIENT_ADDRESS_BYTES_MAX];       /* "127.0.0.1:50412" or "[::1]:50412" */
    char local_address[CLIENT_ADDRESS_BYTES_MAX]; /* ours */
    int file_descriptor;
    uint32_t listener;   /* which listener it came in by */
    uint64_t created_ms; /* node_view.now_ms's clock */
    uint64_t last_command_ms;
    char name[CLIENT_NAME_BYTES_MAX]; /* CLIENT SETNAME, HELLO SETNAME; "" */
    char library_name[CLIENT_NAME_BYTES_MAX];
    char library_version[CLIENT_NAME_BYTES_MAX];
    const char *last_command; /* static, from the table; NULL */
    int protocol;             /* 2 or 3 */
    bool readonly;            /* READONLY was sent: may read from a follower */
    bool asking;
    uint64_t queued_commands;
    uint64_t query_bytes;  /* unparsed input */
    uint64_t output_bytes; /* replies not sent yet */
};

#endif
