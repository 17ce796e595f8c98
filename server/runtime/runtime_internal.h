/* runtime_internal.h: what the runtime*.c files share.
 *
 * runtime.c     a node put together, and the turn
 * runtime_io.c  what the replica asks of the world
 */
#ifndef RUNTIME_INTERNAL_H
#define RUNTIME_INTERNAL_H

#include "runtime.h"

#include "bus.h"
#include "cold_data.h"
#include "connection.h"
#include "disk_worker.h"
#include "listener.h"
#include "loop.h"
#include "streams.h"

#include <event2/event_struct.h>
#include <signal.h>

struct runtime {
    const struct config *config;
    struct startup startup;
    struct log log;
    struct loop loop;
    struct resolver *resolver;
    struct disk_workers *workers;
    struct streams *streams;
    struct connections connections;
    struct listener listeners[BUS_LISTENERS_MAX];
    struct bus *bus;
    int signal_file;
    sigset_t signals_before;
    struct event signal_event, disk_event, streams_event, timer;
    bool clients_exist; /* `connections` is made */
    bool shutting_down;
    bool stopping;
    bool at_once; /* do not wait for anything any more */
    enum replica_exit code;
    uint64_t resident_bytes, resident_read_ms;
    struct cold_data cold_data;
};

/* runtime_io.c */
struct replica_io runtime_io(struct runtime *runtime);
/* What the replica calls, too: `context` is the runtime. The first reason to stop counts. */
void runtime_stop(void *context, enum replica_exit code, const char *reason);
enum storage_status runtime_open_map(void *context, uint64_t hash_seed, struct map **map,
                                     struct storage_error *error);

#endif
