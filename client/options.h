/* options.h: kvcli's command line and environment. Pure: nothing is printed or opened here. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a script can rely on; documented in options_help(). */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_SERVER_ERROR = 1, /* status: the cluster is degraded; else: refused, or failed */
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_NOT_EXECUTED = 3, /* status: there is no leader, or nobody can be reached */
    EXIT_CODE_UNKNOWN = 4,
    EXIT_CODE_INTERRUPTED = 130,
};

enum options_action {
    OPTIONS_COMMAND, /* argv[first_argument...] is a command; with none: interactive, or lines from stdin */
    OPTIONS_STATUS,
    OPTIONS_CHANGE, /* word and arguments are a change of the members, or of who leads */
    OPTIONS_BACKUP,
    OPTIONS_VERIFY,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

enum { OPTIONS_ARGUMENTS_MAX = 3 };

enum output_form {
    OUTPUT_AUTOMATIC, /* for people on a terminal, else raw */
    OUTPUT_HUMAN,
    OUTPUT_RAW,
    OUTPUT_JSON,
};

struct options {
    enum options_action action;
    struct endpoint_list nodes;
    enum output_form output;
    int protocol;
    bool last_argument_from_stdin;
    bool timeout_given;
    uint64_t timeout_ms;
    bool watch; /* status */
    uint64_t interval_ms;
    int first_argument;
    /* CHANGE, BACKUP, VERIFY: the word in lower case, and what stands behind it, borrowed from argv. */
    const char *word;
    const char *arguments[OPTIONS_ARGUMENTS_MAX];
    int arguments_count;
    bool from_given; /* backup: from this node */
    struct endpoint from;
    bool stale;       /* backup: also without a leader */
    bool no_wait;     /* changes: end when it is begun */
    uint64_t look_ms; /* changes: time between two looks at the members, for tests; 0: as usual */
};

/* `environment_nodes`: KVCLI_CLUSTER or NULL. False: wrong use, explained in `error`. */
bool options_parse(struct options *options, int argc, char *const *argv, const char *environment_nodes,
                   char *error, size_t error_bytes) __attribute__((warn_unused_result));
const char *options_help(void);
/* "5s", "500ms", "2m", "1.5" (seconds): more than nothing, at most a day. */
bool options_parse_duration(const char *text, uint64_t *milliseconds);

#endif
