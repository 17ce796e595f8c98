/* command_rows.h: every command of kvd, one row each, sorted by name. Define COMMAND_ROW and include this
 * file.
 *
 * COMMAND_ROW(name, opcode, arity, flags, first key, last key, key step, function, check, group, since,
 * complexity, summary, syntax, key flags, tips, subcommands)
 *
 * Opcodes are on disk and travel between nodes: a number is never changed and never used again (the unit test
 * holds them). 101.. string, 201.. generic, 301.. server, 401.. connection, 501.. cluster, 900.. kvd's own.
 * After adding a row, the unit test of the table prints the new name index for command_table.c.
 *
 * No include guard: it is included several times.
 */

COMMAND_ROW(append, 109, 3, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_append, NULL,
            "string", "2.0.0", "O(1) amortised; kvd copies the value",
            "Adds bytes to the end of a value, or creates it.", "key value", "RW insert", NULL, NULL)
COMMAND_ROW(asking, 504, 1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_asking, NULL, "cluster", "3.0.0",
            "O(1)", "Does nothing: slots never move between nodes of kvd.", "", NULL, NULL, NULL)
COMMAND_ROW(auth, 404, -2, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_auth, NULL, "connection", "1.0.0",
            "O(1)", "Always an error: kvd has no passwords.", "[username] password", NULL, NULL, NULL)
COMMAND_ROW(client, 406, -2, COMMAND_LOCAL | COMMAND_NEEDS_VIEW | COMMAND_CONTAINER, 0, 0, 0, NULL, NULL,
            "connection", "2.4.0", "Depends on the subcommand.", "About the connections of this node.", "",
            NULL, NULL, COMMAND_CLIENT_SUBCOMMANDS)
COMMAND_ROW(cluster, 501, -2, COMMAND_LOCAL | COMMAND_NEEDS_VIEW | COMMAND_CONTAINER, 0, 0, 0, NULL, NULL,
            "cluster", "3.0.0", "Depends on the subcommand.",
            "Describes the cluster the way Redis Cluster does.", "", NULL, NULL, COMMAND_CLUSTER_SUBCOMMANDS)
COMMAND_ROW(command, 305, -1, COMMAND_LOCAL | COMMAND_CONTAINER, 0, 0, 0, command_command, NULL, "server",
            "2.8.13", "O(N) where N is the number of commands", "Describes all commands.", "", NULL,
            "nondeterministic_output_order", COMMAND_COMMAND_SUBCOMMANDS)
COMMAND_ROW(config, 306, -2, COMMAND_LOCAL | COMMAND_ADMIN | COMMAND_CONTAINER, 0, 0, 0, NULL, NULL, "server",
            "2.0.0", "Depends on the subcommand.", "Tells what Redis tools ask a server's configuration for.",
            "", NULL, NULL, COMMAND_CONFIG_SUBCOMMANDS)
COMMAND_ROW(dbsize, 301, 1, COMMAND_READ | COMMAND_FAST, 0, 0, 0, command_dbsize, NULL, "server", "1.0.0",
            "O(1)", "Counts the keys.", "", NULL, "request_policy:all_shards response_policy:agg_sum", NULL)
COMMAND_ROW(decr, 106, 2, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_decr, NULL, "string",
            "1.0.0", "O(1)", "Subtracts one from an integer.", "key", "RW access update", NULL, NULL)
COMMAND_ROW(decrby, 108, 3, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_decrby,
            command_check_decrby, "string", "1.0.0", "O(1)", "Subtracts a number from an integer.",
            "key decrement", "RW access update", NULL, NULL)
COMMAND_ROW(del, 201, -2, COMMAND_WRITE, 1, -1, 1, command_del, NULL, "generic", "1.0.0",
            "O(N) where N is the number of keys", "Removes keys.", "key [key ...]", "RM delete",
            "request_policy:multi_shard response_policy:agg_sum", NULL)
COMMAND_ROW(echo, 402, 2, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_echo, NULL, "connection", "1.0.0",
            "O(1)", "Returns the message.", "message", NULL, NULL, NULL)
COMMAND_ROW(exists, 202, -2, COMMAND_READ | COMMAND_FAST, 1, -1, 1, command_exists, NULL, "generic", "1.0.0",
            "O(N) where N is the number of keys", "Counts how many of the keys exist.", "key [key ...]", "RO",
            "request_policy:multi_shard response_policy:agg_sum", NULL)
COMMAND_ROW(expire, 203, -3, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_expire, command_check_expire,
            "generic", "1.0.0", "O(1)", "Sets when a key expires, in seconds from now.",
            "key seconds [NX | XX | GT | LT]", "RW update", NULL, NULL)
COMMAND_ROW(expireat, 209, -3, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_expireat, command_check_expire,
            "generic", "1.2.0", "O(1)", "Sets when a key expires, as a Unix time in seconds.",
            "key unix-time-seconds [NX | XX | GT | LT]", "RW update", NULL, NULL)
COMMAND_ROW(expiretime, 211, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_expiretime, NULL, "generic",
            "7.0.0", "O(1)", "Tells when a key expires, as a Unix time in seconds.", "key", "RO access", NULL,
            NULL)
COMMAND_ROW(flushall, 302, -1, COMMAND_WRITE, 0, 0, 0, command_flush, command_check_flush, "server", "1.0.0",
            "O(1)", "Removes all keys.", "[ASYNC | SYNC]", NULL,
            "request_policy:all_shards response_policy:all_succeeded", NULL)
COMMAND_ROW(flushdb, 303, -1, COMMAND_WRITE, 0, 0, 0, command_flush, command_check_flush, "server", "1.0.0",
            "O(1)", "Removes all keys: there is one database.", "[ASYNC | SYNC]", NULL,
            "request_policy:all_shards response_policy:all_succeeded", NULL)
COMMAND_ROW(get, 101, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_get, NULL, "string", "1.0.0", "O(1)",
            "Returns a value.", "key", "RO access", NULL, NULL)
COMMAND_ROW(getdel, 115, 2, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_getdel, NULL, "string", "6.2.0",
            "O(1)", "Returns a value and removes it.", "key", "RW access delete", NULL, NULL)
COMMAND_ROW(
    getex, 116, -2, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_getex, command_check_getex, "string",
    "6.2.0", "O(1)", "Returns a value and sets or removes its expiry.",
    "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    "RW access update", NULL, NULL)
COMMAND_ROW(getset, 114, 3, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_getset, NULL,
            "string", "1.0.0", "O(1)", "Sets a value and returns the old one.", "key value",
            "RW access update", NULL, NULL)
COMMAND_ROW(hello, 403, -1, COMMAND_LOCAL | COMMAND_NEEDS_VIEW | COMMAND_FAST, 0, 0, 0, command_hello, NULL,
            "connection", "6.0.0", "O(1)", "Chooses the protocol version and names the connection.",
            "[protover [AUTH username password] [SETNAME clientname]]", NULL, NULL, NULL)
COMMAND_ROW(incr, 105, 2, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_incr, NULL, "string",
            "1.0.0", "O(1)", "Adds one to an integer.", "key", "RW access update", NULL, NULL)
COMMAND_ROW(incrby, 107, 3, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_incrby,
            command_check_incrby, "string", "1.0.0", "O(1)", "Adds a number to an integer.", "key increment",
            "RW access update", NULL, NULL)
COMMAND_ROW(info, 304, -1, COMMAND_LOCAL | COMMAND_NEEDS_VIEW, 0, 0, 0, command_info, NULL, "server", "1.0.0",
            "O(1)", "Tells the node's state, in sections.", "[section [section ...]]", NULL,
            "nondeterministic_output request_policy:all_shards response_policy:special", NULL)
COMMAND_ROW(mget, 103, -2, COMMAND_READ | COMMAND_FAST, 1, -1, 1, command_mget, NULL, "string", "1.0.0",
            "O(N) where N is the number of keys", "Returns several values.", "key [key ...]", "RO access",
            "request_policy:multi_shard", NULL)
COMMAND_ROW(mset, 104, -3, COMMAND_WRITE | COMMAND_GROWS, 1, -1, 2, command_mset, command_check_pairs,
            "string", "1.0.1", "O(N) where N is the number of keys", "Sets several values at once.",
            "key value [key value ...]", "OW update",
            "request_policy:multi_shard response_policy:all_succeeded", NULL)
COMMAND_ROW(msetnx, 117, -3, COMMAND_WRITE | COMMAND_GROWS, 1, -1, 2, command_msetnx, command_check_pairs,
            "string", "1.0.1", "O(N) where N is the number of keys",
            "Sets several values at once if none of the keys exists.", "key value [key value ...]",
            "OW insert", "request_policy:multi_shard response_policy:agg_min", NULL)
COMMAND_ROW(persist, 207, 2, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_persist, NULL, "generic", "2.2.0",
            "O(1)", "Removes a key's expiry.", "key", "RW update", NULL, NULL)
COMMAND_ROW(pexpire, 204, -3, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_pexpire, command_check_expire,
            "generic", "2.6.0", "O(1)", "Sets when a key expires, in milliseconds from now.",
            "key milliseconds [NX | XX | GT | LT]", "RW update", NULL, NULL)
COMMAND_ROW(pexpireat, 210, -3, COMMAND_WRITE | COMMAND_FAST, 1, 1, 1, command_pexpireat,
            command_check_expire, "generic", "2.6.0", "O(1)",
            "Sets when a key expires, as a Unix time in milliseconds.",
            "key unix-time-milliseconds [NX | XX | GT | LT]", "RW update", NULL, NULL)
COMMAND_ROW(pexpiretime, 212, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_pexpiretime, NULL, "generic",
            "7.0.0", "O(1)", "Tells when a key expires, as a Unix time in milliseconds.", "key", "RO access",
            NULL, NULL)
COMMAND_ROW(ping, 401, -1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_ping, command_check_ping,
            "connection", "1.0.0", "O(1)", "Answers PONG, or the message.", "[message]", NULL,
            "request_policy:all_shards response_policy:all_succeeded", NULL)
COMMAND_ROW(psetex, 113, 4, COMMAND_WRITE | COMMAND_GROWS, 1, 1, 1, command_psetex, command_check_setex,
            "string", "2.6.0", "O(1)", "Sets a value that expires, in milliseconds.",
            "key milliseconds value", "OW update", NULL, NULL)
COMMAND_ROW(pttl, 206, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_pttl, NULL, "generic", "2.6.0",
            "O(1)", "Tells how many milliseconds a key still lives.", "key", "RO access",
            "nondeterministic_output", NULL)
COMMAND_ROW(quit, 407, -1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_quit, NULL, "connection", "1.0.0",
            "O(1)", "Closes the connection after the replies.", "", NULL, NULL, NULL)
COMMAND_ROW(raft, 308, -2, COMMAND_LOCAL | COMMAND_NEEDS_VIEW | COMMAND_ADMIN | COMMAND_CONTAINER, 0, 0, 0,
            NULL, NULL, "server", "kvd 0.1", "Depends on the subcommand.",
            "About the consensus between the nodes.", "", NULL, NULL, COMMAND_RAFT_SUBCOMMANDS)
COMMAND_ROW(readonly, 502, 1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_readonly, NULL, "cluster",
            "3.0.0", "O(1)", "Lets this connection read from a follower.", "", NULL, NULL, NULL)
COMMAND_ROW(readwrite, 503, 1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_readwrite, NULL, "cluster",
            "3.0.0", "O(1)", "Undoes READONLY.", "", NULL, NULL, NULL)
COMMAND_ROW(reset, 408, 1, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_reset, NULL, "connection", "6.2.0",
            "O(1)", "Makes the connection as it was when it was new.", "", NULL, NULL, NULL)
COMMAND_ROW(scan, 208, -2, COMMAND_READ, 0, 0, 0, command_scan, command_check_scan, "generic", "2.8.0",
            "O(1) for a call, O(N) for all keys", "Walks through the keys.",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]", NULL,
            "nondeterministic_output request_policy:special", NULL)
COMMAND_ROW(select, 405, 2, COMMAND_LOCAL | COMMAND_FAST, 0, 0, 0, command_select, NULL, "connection",
            "1.0.0", "O(1)", "Selects the database: only 0 exists.", "index", NULL, NULL, NULL)
COMMAND_ROW(set, 102, -3, COMMAND_WRITE | COMMAND_GROWS, 1, 1, 1, command_set, command_check_set, "string",
            "1.0.0", "O(1)", "Sets a value.",
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
            "PXAT unix-time-milliseconds | KEEPTTL]",
            "RW access update variable_flags", NULL, NULL)
COMMAND_ROW(setex, 112, 4, COMMAND_WRITE | COMMAND_GROWS, 1, 1, 1, command_setex, command_check_setex,
            "string", "2.0.0", "O(1)", "Sets a value that expires, in seconds.", "key seconds value",
            "OW update", NULL, NULL)
COMMAND_ROW(setnx, 111, 3, COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST, 1, 1, 1, command_setnx, NULL,
            "string", "1.0.0", "O(1)", "Sets a value if the key does not exist.", "key value", "OW insert",
            NULL, NULL)
COMMAND_ROW(strlen, 110, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_strlen, NULL, "string", "2.2.0",
            "O(1)", "Tells a value's size in bytes.", "key", "RO", NULL, NULL)
COMMAND_ROW(time, 307, 1, COMMAND_LOCAL | COMMAND_NEEDS_VIEW | COMMAND_FAST, 0, 0, 0, command_time, NULL,
            "server", "2.6.0", "O(1)", "Tells this node's clock.", "", NULL, "nondeterministic_output", NULL)
COMMAND_ROW(touch, 215, -2, COMMAND_READ | COMMAND_FAST, 1, -1, 1, command_exists, NULL, "generic", "3.2.1",
            "O(N) where N is the number of keys", "Counts how many of the keys exist.", "key [key ...]", "RO",
            "request_policy:multi_shard response_policy:agg_sum", NULL)
COMMAND_ROW(ttl, 205, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_ttl, NULL, "generic", "1.0.0", "O(1)",
            "Tells how many seconds a key still lives.", "key", "RO access", "nondeterministic_output", NULL)
COMMAND_ROW(type, 213, 2, COMMAND_READ | COMMAND_FAST, 1, 1, 1, command_type, NULL, "generic", "1.0.0",
            "O(1)", "Tells what kind of value a key has.", "key", "RO", NULL, NULL)
COMMAND_ROW(unlink, 214, -2, COMMAND_WRITE | COMMAND_FAST, 1, -1, 1, command_del, NULL, "generic", "4.0.0",
            "O(N) where N is the number of keys", "Removes keys, as DEL does.", "key [key ...]", "RM delete",
            "request_policy:multi_shard response_policy:agg_sum", NULL)
