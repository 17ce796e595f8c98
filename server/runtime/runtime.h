/* runtime.h: one running node: the replica with a loop, sockets, threads and clocks round it.
 *
 * The loop (design section 5):
 *   events (inputs) -> connections that were held back -> replica_end_turn() -> bus output -> client output
 * That is the only place where anything leaves the node.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "config.h"
#include "startup.h"

struct runtime;

/* Everything is opened and listening when this returns; call before any thread exists (signals are blocked
 * here). NULL: *problem says why. `config` is borrowed. */
struct runtime *runtime_create(const struct config *config, struct startup_problem *problem);
/* Runs until the node stops: SIGTERM or SIGINT (a second one: at once), or by itself. The process' exit code.
 */
enum replica_exit runtime_run(struct runtime *runtime);
void runtime_destroy(struct runtime *runtime); /* NULL is allowed */

/* Where the clients' listener `number` really listens. */
uint16_t runtime_client_port(const struct runtime *runtime, uint32_t number);

#endif
