/* socket.c: the system calls around sockets. An option that cannot be set is not an error: nothing depends on
 * it. */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024 };

static void set_option(int file, int level, int name, int value)
{
    (void)setsockopt(file, level, name, &value, sizeof value);
}

static int listen_at(const struct resolved_address *address)
{
    int file = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (file < 0) {
        return -1;
    }
    set_option(file, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->address.ss_family == AF_INET6) {
        set_option(file, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (bind(file, (const struct sockaddr *)&address->address, address->size) == 0 &&
        listen(file, LISTEN_BACKLOG) == 0) {
        return file;
    }
    int problem = errno;

    (void)close(file);
    errno = problem;
    return -1;
}

/* For every interface, [::] is tried first: it takes IPv4 too. */
static int listen_at_any(uint16_t port)
{
    struct resolved resolved;

    resolver_resolve_now("::", port, true, &resolved);
    int file = resolved.problem == 0 ? listen_at(&resolved.addresses[0]) : -1;

    if (file < 0 && (resolved.problem != 0 || errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        resolver_resolve_now("0.0.0.0", port, true, &resolved);
        file = listen_at(&resolved.addresses[0]);
    }
    return file;
}

int socket_listen(const char *host, uint16_t port, char *problem, size_t problem_bytes)
{
    struct resolved resolved = {0};
    int file = -1;

    if (*host == '\0') {
        file = listen_at_any(port);
    } else {
        resolver_resolve_now(host, port, false, &resolved);
        if (resolved.problem != 0) {
            (void)snprintf(problem, problem_bytes, "Cannot listen on %s:%u: the name is not known here (%s).",
                           host, port, gai_strerror(resolved.problem));
            return -1;
        }
        for (uint32_t i = 0; i < resolved.count && file < 0; i++) {
            file = listen_at(&resolved.addresses[i]);
        }
    }
    if (file < 0) {
        const char *hint = errno == EADDRINUSE      ? " (another program, perhaps another kvd, listens there)"
                           : errno == EADDRNOTAVAIL ? " (this machine does not have that address)"
                           : errno == EACCES        ? " (ports below 1024 need a privilege)"
                                                    : "";

        (void)snprintf(problem, problem_bytes, "Cannot listen on %s:%u: %s%s.", *host == '\0' ? "*" : host,
                       port, strerror(errno), hint);
    }
    return file;
}

int socket_connect(const struct resolved_address *address, bool *in_progress)
{
    int file = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *in_progress = false;
    if (file < 0) {
        return -1;
    }
    if (connect(file, (const struct sockaddr *)&address->address, address->size) == 0) {
        return file;
    }
    if (errno == EINPROGRESS) {
        *in_progress = true;
        return file;
    }
    int problem = errno;

    (void)close(file);
    errno = problem;
    return -1;
}

void socket_prepare_client(int file)
{
    set_option(file, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(file, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(file, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_option(file, IPPROTO_TCP, TCP_KEEPINTVL, 20);
    set_option(file, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

void socket_prepare_member(int file, uint32_t user_timeout_ms)
{
    set_option(file, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(file, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(file, IPPROTO_TCP, TCP_KEEPIDLE, 2);
    set_option(file, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set_option(file, IPPROTO_TCP, TCP_KEEPCNT, 5);
    set_option(file, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout_ms);
}

static void format_address(const struct sockaddr_storage *address, socklen_t size, char *to, size_t to_bytes)
{
    char host[INET6_ADDRSTRLEN + 24], port[8];

    if (getnameinfo((const struct sockaddr *)address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(to, to_bytes, "?");
        return;
    }
    /* A client that came by IPv4 to an IPv6 listener. */
    const char *shown = strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL ? host + 7 : host;

    (void)snprintf(to, to_bytes, strchr(shown, ':') != NULL ? "[%s]:%s" : "%s:%s", shown, port);
}

void socket_format_peer(int file, char *to, size_t to_bytes)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    if (getpeername(file, (struct sockaddr *)&address, &size) != 0) {
        (void)snprintf(to, to_bytes, "?");
        return;
    }
    format_address(&address, size, to, to_bytes);
}

void socket_format_local(int file, char *to, size_t to_bytes)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    if (getsockname(file, (struct sockaddr *)&address, &size) != 0) {
        (void)snprintf(to, to_bytes, "?");
        return;
    }
    format_address(&address, size, to, to_bytes);
}

uint16_t socket_local_port(int file)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    if (getsockname(file, (struct sockaddr *)&address, &size) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
}
