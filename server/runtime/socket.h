/* socket.h: sockets with the options that kvd wants, and addresses as text. No events. */
#ifndef SOCKET_H
#define SOCKET_H

#include "resolver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A listening, non-blocking socket, or -1 with a sentence in `problem`. host "": every address. May block for
 * a name. */
int socket_listen(const char *host, uint16_t port, char *problem, size_t problem_bytes);
/* Starts to connect. -1, with errno set: failed at once. *in_progress: becomes writable when it is decided.
 */
int socket_connect(const struct resolved_address *address, bool *in_progress);

/* For clients: no delay, keepalive that finds a dead one in some minutes. */
void socket_prepare_client(int file);
/* For members: no delay; a silently dead connection ends `user_timeout_ms` after something was sent on it. */
void socket_prepare_member(int file, uint32_t user_timeout_ms);

/* "127.0.0.1:7000", "[::1]:7000"; "?" when unknown. */
void socket_format_peer(int file, char *to, size_t to_bytes);
void socket_format_local(int file, char *to, size_t to_bytes);
uint16_t socket_local_port(int file);

#endif
