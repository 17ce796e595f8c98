/* startup.h: what must be in order before a node may run: its directory, its log, its identity, its sockets.
 *
 * Everything here happens once, blocks, and changes nothing on disk but what a new directory needs. A problem
 * is one sentence for a person and an exit code.
 */
#ifndef STARTUP_H
#define STARTUP_H

#include "config.h"
#include "data_directory.h"
#include "log_store.h"

struct startup_problem {
    enum replica_exit code;
    char text[1200];
};

struct startup {
    struct data_directory *directory;
    struct log_store *log;
    struct log_identity identity;
    int client_files[BUS_LISTENERS_MAX]; /* listening sockets; -1: none, or taken over */
    int bus_file;                        /* -1: a single node */
    uint32_t clients_max;                /* as far as the system allows */
};

/* True: *startup holds everything. False: *problem says what is wrong; nothing is held. */
bool startup_begin(const struct config *config, struct startup *startup, struct startup_problem *problem)
    __attribute__((warn_unused_result));
/* Closes what is still held; the log after the replica is gone. */
void startup_end(struct startup *startup);

void startup_random(void *bytes, size_t size);

#endif
