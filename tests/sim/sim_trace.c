/* sim_trace.c: see sim_trace.h. */
#include "sim_trace.h"

#include "sim_node.h"

#include <inttypes.h>
#include <stdarg.h>

bool sim_trace_is_on(const struct sim *sim, enum sim_trace_level level)
{
    return sim->trace.out != NULL && sim->trace.level >= level;
}

static void print_state(FILE *out, const struct sim_node *node)
{
    const struct raft *raft = sim_node_raft(node);
    char role[32] = "down";
    if (raft != NULL) {
        (void)snprintf(role, sizeof role, "%s %" PRIu64, raft_role_name(raft_get_role(raft)),
                       raft_get_term(raft));
    } else if (node->state != SIM_NODE_DOWN) {
        (void)snprintf(role, sizeof role, "not formed");
    }
    (void)fprintf(out, "node %" PRIu64 "  %-18s", node->id, node->state == SIM_NODE_PAUSED ? "paused" : role);
}

void sim_trace(struct sim *sim, const struct sim_node *node, enum sim_trace_level level, const char *format,
               ...)
{
    if (!sim_trace_is_on(sim, level)) {
        return;
    }
    FILE *out = sim->trace.out;
    (void)fprintf(out, "%6" PRIu64 ".%06" PRIu64 "  ", sim->now_us / 1000000, sim->now_us % 1000000);
    if (node != NULL) {
        print_state(out, node);
    } else {
        (void)fprintf(out, "%-26s", "");
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', out);
}
