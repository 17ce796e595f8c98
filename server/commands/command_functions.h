/* command_functions.h: the functions that the rows of the command table name. For the folder's own files.
 *
 * A command's function may rely on the arity of its row. Its check looks at the same words as the function
 * does, before the log; the function looks again, because what comes from the log is not taken on trust.
 */
#ifndef COMMAND_FUNCTIONS_H
#define COMMAND_FUNCTIONS_H

#include "command.h"

/* What HELLO and INFO tell clients, which look at it to learn what a server can do. */
#define COMMAND_REDIS_VERSION "7.0.15"

#define COMMAND_CHECK(name)                                                                                  \
    const char *name(const struct command *command, const struct argument *arguments, uint32_t count,        \
                     char *buffer, size_t buffer_bytes)

/* commands_string.c */
void command_get(struct command_context *context);
void command_mget(struct command_context *context);
void command_strlen(struct command_context *context);
void command_append(struct command_context *context);
void command_getdel(struct command_context *context);
void command_getset(struct command_context *context);
void command_mset(struct command_context *context);
void command_msetnx(struct command_context *context);
COMMAND_CHECK(command_check_pairs);

/* commands_set.c: SET, its older forms, and GETEX */
void command_set(struct command_context *context);
void command_setnx(struct command_context *context);
void command_setex(struct command_context *context);
void command_psetex(struct command_context *context);
void command_getex(struct command_context *context);
COMMAND_CHECK(command_check_set);
COMMAND_CHECK(command_check_setex);
COMMAND_CHECK(command_check_getex);

/* commands_counter.c */
void command_incr(struct command_context *context);
void command_decr(struct command_context *context);
void command_incrby(struct command_context *context);
void command_decrby(struct command_context *context);
COMMAND_CHECK(command_check_incrby);
COMMAND_CHECK(command_check_decrby);

/* commands_expiry.c */
void command_expire(struct command_context *context);
void command_pexpire(struct command_context *context);
void command_expireat(struct command_context *context);
void command_pexpireat(struct command_context *context);
void command_ttl(struct command_context *context);
void command_pttl(struct command_context *context);
void command_expiretime(struct command_context *context);
void command_pexpiretime(struct command_context *context);
void command_persist(struct command_context *context);
COMMAND_CHECK(command_check_expire);

/* commands_generic.c */
void command_del(struct command_context *context);
void command_exists(struct command_context *context);
void command_type(struct command_context *context);
void command_dbsize(struct command_context *context);
void command_flush(struct command_context *context);
void command_scan(struct command_context *context);
void command_purge(struct command_context *context);
COMMAND_CHECK(command_check_flush);
COMMAND_CHECK(command_check_scan);
COMMAND_CHECK(command_check_purge);

/* commands_connection.c */
void command_ping(struct command_context *context);
void command_echo(struct command_context *context);
void command_hello(struct command_context *context);
void command_auth(struct command_context *context);
void command_select(struct command_context *context);
void command_quit(struct command_context *context);
void command_reset(struct command_context *context);
void command_readonly(struct command_context *context);
void command_readwrite(struct command_context *context);
void command_asking(struct command_context *context);
COMMAND_CHECK(command_check_ping);

/* commands_client.c */
extern const struct command_subcommand COMMAND_CLIENT_SUBCOMMANDS[];
/* Names a connection, or answers an error and returns false: CLIENT SETNAME and HELLO's SETNAME. */
bool command_set_client_name(struct command_context *context, const struct argument *name);

/* commands_cluster.c */
extern const struct command_subcommand COMMAND_CLUSTER_SUBCOMMANDS[];

/* commands_raft.c */
extern const struct command_subcommand COMMAND_RAFT_SUBCOMMANDS[];
/* The lines of RAFT STATUS, each key with a prefix; for INFO, too. */
void command_write_raft_status(struct byte_buffer *text, const struct node_view *node, const char *prefix,
                               const char *line_end);

/* commands_info.c */
void command_info(struct command_context *context);

/* commands_server.c */
extern const struct command_subcommand COMMAND_CONFIG_SUBCOMMANDS[];
void command_time(struct command_context *context);

/* commands_command.c, command_docs.c */
extern const struct command_subcommand COMMAND_COMMAND_SUBCOMMANDS[];
void command_command(struct command_context *context);
void command_docs(struct command_context *context);

/* "get" or "client|setname"; *subcommand is NULL when none is named. NULL: unknown. */
const struct command *command_find_full(const struct argument *name,
                                        const struct command_subcommand **subcommand);

/* command_run.c: `arity` as in a row. */
bool command_arity_fits(int arity, uint32_t count);

/* command_help.c: the HELP subcommand of every container, from its rows. */
void command_help(struct command_context *context);

#endif
