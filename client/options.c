/* options.c: kvcli's command line and environment. */
#include "options.h"

#include "own_words.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char default_nodes[] = "127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002";

enum {
    OPTION_JSON = 256,
    OPTION_RAW,
    OPTION_HUMAN,
    OPTION_TIMEOUT,
    OPTION_WATCH,
    OPTION_INTERVAL,
    OPTION_FROM,
    OPTION_STALE,
    OPTION_NO_WAIT,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"cluster", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"no-raw", no_argument, NULL, OPTION_HUMAN},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"from", required_argument, NULL, OPTION_FROM},
    {"stale", no_argument, NULL, OPTION_STALE},
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

const char *options_help(void)
{
    return "usage: kvcli [options] [command [argument...]]\n"
           "       kvcli [options] status [--watch] [--interval 1s]\n"
           "       kvcli [options] add ID HOST:PORT [learner] | promote ID | remove ID\n"
           "                       | replace OLD-ID NEW-ID HOST:PORT | address ID HOST:PORT\n"
           "                       | transfer [ID] [--no-wait]\n"
           "       kvcli [options] backup FILE [--from HOST:PORT] [--stale]\n"
           "       kvcli verify FILE\n"
           "       kvcli [options] help [command]\n"
           "\n"
           "A client of kvd. It finds the leader from any node, follows redirects, and goes on to\n"
           "other nodes when one fails. Without a command it is interactive on a terminal; otherwise\n"
           "it executes one command per line of its standard input.\n"
           "\n"
           "options:\n"
           "  -c, --cluster HOST:PORT,...  nodes to ask first (the others are found); default:\n"
           "                               KVCLI_CLUSTER, or\n"
           "                               127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002\n"
           "      --timeout TIME           time for one command, retries included: 5s (default),\n"
           "                               500ms, 1m; for status: time for each node, default 1s\n"
           "      --json                   print one line of JSON per command\n"
           "      --raw, --no-raw          print replies as they are, or as for people; default: for\n"
           "                               people on a terminal, else raw\n"
           "  -x                           the last argument is read from standard input, as it is\n"
           "  -3                           speak RESP3\n"
           "      --watch                  status: again and again, until q or Ctrl-C\n"
           "      --interval TIME          status --watch: time between two looks, default 1s\n"
           "      --no-wait                add, promote, ...: end when the change is begun; else its\n"
           "                               progress is shown until it is done\n"
           "      --from HOST:PORT         backup: of this node; default: of a follower if there is one\n"
           "      --stale                  backup: of what the node has, also when there is no leader to\n"
           "                               ask what is newest\n"
           "      --help, --version\n"
           "\n"
           "exit codes:\n"
           "  0  the command was answered         status: a leader, and all nodes are well\n"
           "  1  the server answered an error     status: a leader, but something is wrong\n"
           "                                      add, ...: refused; backup, verify: failed\n"
           "  2  wrong use of kvcli, or its output could not be written\n"
           "  3  no leader could be reached in time, or it said TRYAGAIN all the time; the\n"
           "     command was certainly not executed\n"
           "                                      status: no leader, or no node answers\n"
           "  4  the outcome is unknown: the command was sent, but whether it was executed is not\n"
           "     known. It was not sent again. Look at the data before you repeat it\n"
           "  130  interrupted; a change that was begun goes on\n"
           "  Of several commands from standard input the highest code counts.\n"
           "\n"
           "environment:\n"
           "  KVCLI_CLUSTER   nodes, as for -c\n"
           "  NO_COLOR        no colours\n";
}

bool options_parse_duration(const char *text, uint64_t *milliseconds)
{
    static const struct {
        const char *unit;
        double milliseconds;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}};
    char *end;
    size_t size = strspn(text, "0123456789.");
    double value = strtod(text, &end);
    if (size == 0 || end != text + size) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double result = value * units[i].milliseconds;
        if (strcmp(end, units[i].unit) == 0 && result >= 1 && result <= 86400e3) {
            *milliseconds = (uint64_t)result;
            return true;
        }
    }
    return false;
}

static bool options_set_nodes(struct options *options, const char *text, const char *source, char *error,
                              size_t error_bytes)
{
    const char *wrong;
    size_t wrong_size;
    if (endpoint_list_parse(&options->nodes, text, &wrong, &wrong_size)) {
        return true;
    }
    snprintf(error, error_bytes, "%s: '%.*s' is not HOST:PORT", source,
             wrong_size > 80 ? 80 : (int)wrong_size, wrong);
    return false;
}

static bool options_set_duration(const char *name, const char *text, uint64_t *milliseconds, char *error,
                                 size_t error_bytes)
{
    if (options_parse_duration(text, milliseconds)) {
        return true;
    }
    snprintf(error, error_bytes, "%s: '%.40s' is not a time such as 5s, 500ms or 1m", name, text);
    return false;
}

static bool options_apply(struct options *options, int option, const char *value, char *error,
                          size_t error_bytes)
{
    switch (option) {
    case 'c':
        return options_set_nodes(options, value, "-c", error, error_bytes);
    case 'x':
        options->last_argument_from_stdin = true;
        return true;
    case '3':
        options->protocol = 3;
        return true;
    case OPTION_JSON:
        options->output = OUTPUT_JSON;
        return true;
    case OPTION_RAW:
        options->output = OUTPUT_RAW;
        return true;
    case OPTION_HUMAN:
        options->output = OUTPUT_HUMAN;
        return true;
    case OPTION_TIMEOUT:
        options->timeout_given = true;
        return options_set_duration("--timeout", value, &options->timeout_ms, error, error_bytes);
    case OPTION_WATCH:
        options->watch = true;
        return true;
    case OPTION_INTERVAL:
        return options_set_duration("--interval", value, &options->interval_ms, error, error_bytes);
    case OPTION_FROM:
        options->from_given =
            endpoint_parse(value, strlen(value), 0, &options->from) && options->from.host[0] != '\0';
        if (!options->from_given) {
            snprintf(error, error_bytes, "--from: '%.80s' is not HOST:PORT", value);
        }
        return options->from_given;
    case OPTION_STALE:
        options->stale = true;
        return true;
    case OPTION_NO_WAIT:
        options->no_wait = true;
        return true;
    case OPTION_HELP:
        options->action = OPTIONS_HELP;
        return true;
    case OPTION_VERSION:
        options->action = OPTIONS_VERSION;
        return true;
    default:
        return false;
    }
}

/* The options from `optind` up to the first word that is none. */
static bool options_parse_run(struct options *options, int argc, char *const *argv, char *error,
                              size_t error_bytes)
{
    for (;;) {
        int at = optind;
        int option = getopt_long(argc, argv, "+:c:x3", long_options, NULL);
        if (option == -1) {
            return true;
        }
        if (option == '?' || option == ':') {
            const char *word = at > 0 && at < argc ? argv[at] : argv[optind - 1];
            snprintf(error, error_bytes, option == ':' ? "%.80s needs a value" : "unknown option %.80s",
                     word);
            return false;
        }
        if (!options_apply(options, option, optarg, error, error_bytes)) {
            return false;
        }
    }
}

static enum options_action options_word_action(enum own_word_kind kind)
{
    switch (kind) {
    case OWN_WORD_STATUS:
        return OPTIONS_STATUS;
    case OWN_WORD_CHANGE:
        return OPTIONS_CHANGE;
    case OWN_WORD_BACKUP:
        return OPTIONS_BACKUP;
    case OWN_WORD_VERIFY:
        return OPTIONS_VERIFY;
    case OWN_WORD_PROMPT:
    case OWN_WORD_HELP:
        break;
    }
    return OPTIONS_COMMAND;
}

/* What stands behind one of our own words: arguments, and options between and behind them. */
static bool options_parse_word(struct options *options, const struct own_word *word, int argc,
                               char *const *argv, char *error, size_t error_bytes)
{
    options->word = word->name;
    for (;;) {
        if (!options_parse_run(options, argc, argv, error, error_bytes)) {
            return false;
        }
        if (optind >= argc) {
            break;
        }
        if (options->arguments_count == word->arguments_max) {
            snprintf(error, error_bytes,
                     word->arguments_max == 0 ? "%s takes no arguments, but got '%.80s'"
                                              : "%s: '%.80s' is one argument too many",
                     word->name, argv[optind]);
            return false;
        }
        options->arguments[options->arguments_count++] = argv[optind++];
    }
    bool asks = options->action != OPTIONS_COMMAND;
    if (!asks && options->arguments_count < word->arguments_min) {
        snprintf(error, error_bytes, "%s needs: %s", word->name, word->syntax);
        return false;
    }
    options->action = asks ? options->action : options_word_action(word->kind);
    return true;
}

/* Options that are for one word only. */
static bool options_check_place(const struct options *options, char *error, size_t error_bytes)
{
    const struct {
        bool given;
        enum options_action action;
        const char *text;
    } places[] = {
        {options->watch, OPTIONS_STATUS, "--watch is for 'kvcli status'"},
        {options->from_given, OPTIONS_BACKUP, "--from is for 'kvcli backup'"},
        {options->stale, OPTIONS_BACKUP, "--stale is for 'kvcli backup'"},
        {options->no_wait, OPTIONS_CHANGE, "--no-wait is for changes of the members, as 'kvcli add'"},
    };
    bool asks = options->action == OPTIONS_HELP || options->action == OPTIONS_VERSION;
    for (size_t i = 0; !asks && i < sizeof places / sizeof places[0]; i++) {
        if (places[i].given && options->action != places[i].action) {
            snprintf(error, error_bytes, "%s", places[i].text);
            return false;
        }
    }
    return true;
}

bool options_parse(struct options *options, int argc, char *const *argv, const char *environment_nodes,
                   char *error, size_t error_bytes)
{
    *options = (struct options){.protocol = 2, .timeout_ms = 5000, .interval_ms = 1000};
    bool from_environment = environment_nodes != NULL && environment_nodes[0] != '\0';
    if (!options_set_nodes(options, from_environment ? environment_nodes : default_nodes, "KVCLI_CLUSTER",
                           error, error_bytes)) {
        return false;
    }
    opterr = 0;
    optind = 0; /* makes getopt start afresh */
    if (!options_parse_run(options, argc, argv, error, error_bytes)) {
        return false;
    }
    options->first_argument = optind;
    bool asks = options->action != OPTIONS_COMMAND;
    const struct own_word *word = !asks && optind < argc ? own_words_find(argv[optind]) : NULL;
    bool own = word != NULL && options_word_action(word->kind) != OPTIONS_COMMAND;
    if (own) {
        optind++;
        if (!options_parse_word(options, word, argc, argv, error, error_bytes)) {
            return false;
        }
    }
    if (!options_check_place(options, error, error_bytes)) {
        return false;
    }
    if (options->last_argument_from_stdin && (own || (!asks && options->first_argument >= argc))) {
        snprintf(error, error_bytes, "-x needs a command whose last argument it is to read");
        return false;
    }
    return true;
}
