/* config_table.c: every setting of kvd, one row each. */
#include "config_internal.h"
#include "streams.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KIB    ((uint64_t)1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define TIB    (1024 * GIB)
#define MINUTE ((uint64_t)60 * 1000)

#define AT(field) offsetof(struct config, field)

static const char *const follower_reads_choices[] = {"linearizable", "stale", NULL};
static const char *const log_level_choices[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_format_choices[] = {"text", "json", NULL};

_Static_assert(REPLICA_LOG_DEBUG == 0 && REPLICA_LOG_ERROR == 3, "log_level_choices is in this order");
_Static_assert(LOG_FORMAT_TEXT == 0 && LOG_FORMAT_JSON == 1, "log_format_choices is in this order");

#define GROUP_CLUSTER "Cluster"
#define GROUP_CLIENTS "Clients"
#define GROUP_TIMING  "Timing"
#define GROUP_STORAGE "Storage"
#define GROUP_LOG     "Messages"

const struct setting config_settings[] = {
    {GROUP_CLUSTER, "id", SETTING_NUMBER, AT(id), "1", 1, INT64_MAX, NULL, "NUMBER",
     "This node's number, one of those in `cluster`, or one of its own with `join`. A data directory belongs "
     "to one "
     "number for ever."},
    {GROUP_CLUSTER, "cluster", SETTING_LIST, AT(cluster), "", 0, 0, NULL, "ID=HOST:PORT,...",
     "The members that form a new cluster, each with the address of its bus, the same on every node. Empty: "
     "this node alone. Once the cluster is there its members are in its data, and change by RAFT ADD, REMOVE "
     "and "
     "REPLACE."},
    {GROUP_CLUSTER, "join", SETTING_LIST, AT(join), "", 0, 0, NULL, "HOST:PORT,...",
     "Instead of `cluster`: buses of members whom this node asks to be added, as long as its data directory "
     "is new. "
     "Ignored afterwards."},
    {GROUP_CLUSTER, "bus-listen", SETTING_TEXT, AT(bus_listen), "", 0, 0, NULL, "HOST:PORT[@HOST:PORT]",
     "Where this node listens for the other members. Empty: its own address in `cluster`; with `join`: where "
     "the "
     "first of `listen` is, 10000 ports higher; neither: nowhere. 0.0.0.0:PORT or [::]:PORT for every "
     "interface. "
     "After @: the address that a node which joins, or is alone, tells the others."},
    {GROUP_CLUSTER, "secret-file", SETTING_TEXT, AT(secret_file), "", 0, 0, NULL, "FILE",
     "A file with the secret that members prove to each other; line ends at its end do not count. All "
     "members have the same one, or none."},
    {GROUP_CLUSTER, "cluster-secret", SETTING_TEXT, AT(cluster_secret), "", 0, 0, NULL, "TEXT",
     "The same, as a value: 16 to 1024 bytes. Prefer the file or the environment: flags can be seen by "
     "every user of the machine."},

    {GROUP_CLIENTS, "listen", SETTING_LIST, AT(listen), "127.0.0.1:7000", 0, 0, NULL,
     "[NAME=]HOST:PORT[@HOST:PORT]",
     "Where clients connect; may be given up to 4 times, or separated by commas. After @: the address "
     "that clients are told in redirects; without it the address itself, or the machine's name when "
     "listening on every interface. Clients are sent to the leader's listener of the same NAME "
     "(\"client\" unless set)."},
    {GROUP_CLIENTS, "max-clients", SETTING_NUMBER, AT(clients_max), "10000", 1, 1000000, NULL, "NUMBER",
     "More clients than this are told so and closed. Lowered, with a warning, when the system allows "
     "fewer open files."},
    {GROUP_CLIENTS, "client-pending-bytes", SETTING_SIZE, AT(client_pending_bytes), "4MiB", 64 * KIB, 4 * GIB,
     NULL, "SIZE", "Requests and replies of one client in flight before no more is read from it."},
    {GROUP_CLIENTS, "pending-bytes", SETTING_SIZE, AT(pending_bytes), "256MiB", 1 * MIB, 64 * GIB, NULL,
     "SIZE",
     "The same for all clients together, for requests and for replies each; replies of writes may come to "
     "twice this. Clients that do not take their replies while others wait for this are cut off."},
    {GROUP_CLIENTS, "client-memory", SETTING_SIZE, AT(client_memory_bytes), "256MiB", 1 * MIB, 64 * GIB, NULL,
     "SIZE",
     "Memory for requests that have not arrived completely, of all clients together. Over it, clients "
     "that need more than 16 KiB get an error and are closed; with less than 32MiB the largest "
     "requests may not fit even alone."},
    {GROUP_CLIENTS, "follower-reads", SETTING_CHOICE, AT(follower_reads), "linearizable", 0, 0,
     follower_reads_choices, "linearizable|stale",
     "What a follower answers to a client that sent READONLY: the newest value, after asking the leader; "
     "or at once what it has."},

    {GROUP_TIMING, "election-timeout", SETTING_DURATION, AT(election_timeout_ms), "1s", 50, 10 * MINUTE, NULL,
     "TIME",
     "A follower that hears nothing from the leader for one to two times this starts an election. (A "
     "leader whose process dies is replaced much sooner: its connections break.)"},
    {GROUP_TIMING, "heartbeat-interval", SETTING_DURATION, AT(heartbeat_interval_ms), "100ms", 5, MINUTE,
     NULL, "TIME", "How often the leader says that it is there. At most a third of the election timeout."},
    {GROUP_TIMING, "unreachable-delay", SETTING_DURATION, AT(unreachable_delay_ms), "50ms", 1, MINUTE, NULL,
     "TIME", "An election starts within this time after the connection with the leader broke."},
    {GROUP_TIMING, "parking-time", SETTING_DURATION, AT(parking_ms), "1s", 0, MINUTE, NULL, "TIME",
     "How long a command waits for a leader to be elected before it is answered -CLUSTERDOWN."},
    {GROUP_TIMING, "command-timeout", SETTING_DURATION, AT(command_timeout_ms), "5s", 100, 10 * MINUTE, NULL,
     "TIME", "How long a write whose outcome is not known waits before it is answered -UNKNOWN."},

    {GROUP_STORAGE, "data", SETTING_TEXT, AT(data), "kvd-data", 0, 0, NULL, "DIRECTORY",
     "Where everything is kept. Created if missing. On a local filesystem, used by one kvd."},
    {GROUP_STORAGE, "entries-in-flight", SETTING_NUMBER, AT(entries_in_flight), "4", 1, 64, NULL, "NUMBER",
     "Log entries of the leader on their way to a majority at one time. Commands that arrive meanwhile "
     "share the next one, which leaves when it is as large as those on their way, or when none is."},
    {GROUP_STORAGE, "entry-bytes", SETTING_SIZE, AT(entry_bytes), "1MiB", 4 * KIB, 16 * MIB, NULL, "SIZE",
     "A log entry takes no more commands when it has this many bytes."},
    {GROUP_STORAGE, "checkpoint-log-bytes", SETTING_SIZE, AT(checkpoint_log_bytes), "256MiB", 64 * KIB,
     16 * GIB, NULL, "SIZE",
     "The map is written to disk after this many bytes of log, which a restart may have to replay; or when "
     "write-buffer-bytes is full, which small values reach first."},
    {GROUP_STORAGE, "checkpoint-idle", SETTING_DURATION, AT(checkpoint_idle_ms), "10s", 100, 60 * MINUTE,
     NULL, "TIME", "... or when there were no writes for this time."},
    {GROUP_STORAGE, "log-tail-bytes", SETTING_SIZE, AT(log_tail_bytes), "1GiB", 1 * MIB, 1 * TIB, NULL,
     "SIZE",
     "Log that is kept, although the map on disk has it, for members that were away; up to four times this "
     "while one is a little "
     "behind. One that needs more gets a snapshot."},
    {GROUP_STORAGE, "snapshot-rate", SETTING_SIZE, AT(snapshot_rate_bytes), "50MiB", STREAM_RATE_BYTES_MIN,
     64 * GIB, NULL, "SIZE",
     "The most that a snapshot sends in a second, to a member that was away for longer than the log is kept, "
     "or is new; and a backup, to whoever takes it."},
    {GROUP_STORAGE, "snapshot-pinned-bytes", SETTING_SIZE, AT(snapshot_pinned_bytes), "8GiB", 1 * MIB,
     64 * TIB, NULL, "SIZE",
     "A snapshot is given up, and begun anew, when it keeps more than this of the map's file from being used "
     "again (a backup too, but for the beginning anew): it "
     "sees the map as it was when it began, so what is overwritten meanwhile is kept."},
    {GROUP_STORAGE, "write-buffer-bytes", SETTING_SIZE, AT(write_buffer_bytes), "256MiB", 1 * MIB, 64 * GIB,
     NULL, "SIZE",
     "Memory for writes that are in the log but not in the map on disk yet; twice this while one is being "
     "written."},
    {GROUP_STORAGE, "disk-reserve", SETTING_SIZE, AT(disk_reserve_bytes), "32MiB", 1 * MIB, 1 * TIB, NULL,
     "SIZE",
     "Disk space kept allocated for log and data each, beyond what they use and may need next. When the disk "
     "cannot give it any more, commands that make the data grow are refused; deletions go on."},
    {GROUP_STORAGE, "scrub-rate", SETTING_SIZE, AT(scrub_rate_bytes), "2MiB", 0, 16 * GIB, NULL, "SIZE",
     "Log and data are read again in the background, so much of them each second, to find what the disk has "
     "altered. 0: never."},
    {GROUP_STORAGE, "scrub-pause", SETTING_DURATION, AT(scrub_pause_ms), "10m", 10, 7 * 24 * 60 * MINUTE,
     NULL, "TIME", "... with this pause before each time."},
    {GROUP_STORAGE, "log-map-size", SETTING_SIZE, AT(log_map_bytes), "64GiB", 16 * MIB, 16 * TIB, NULL,
     "SIZE",
     "The most that the log's file may grow to. Address space, not disk: the file has the size of what is "
     "in it. At least four times log-tail-bytes and checkpoint-log-bytes."},
    {GROUP_STORAGE, "data-map-size", SETTING_SIZE, AT(data_map_bytes), "1TiB", 16 * MIB, 64 * TIB, NULL,
     "SIZE",
     "The most that the data's file may grow to, in the same way. The same on all members. When the data "
     "takes "
     "a third of it, commands that need more room are refused."},

    {GROUP_LOG, "log-level", SETTING_CHOICE, AT(log_level), "info", 0, 0, log_level_choices,
     "debug|info|warning|error", "The least important messages that are written to standard error."},
    {GROUP_LOG, "log-format", SETTING_CHOICE, AT(log_format), "text", 0, 0, log_format_choices, "text|json",
     "One event is one line: key=value, or a JSON object."},
};

const size_t config_settings_count = sizeof config_settings / sizeof *config_settings;

const struct setting *config_find_setting(const char *name)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if (strcmp(config_settings[i].name, name) == 0) {
            return &config_settings[i];
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum { NAME_BYTES_MAX = 40 };

/* Levenshtein's distance: insertions, deletions and changes. */
static size_t distance(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    size_t row[NAME_BYTES_MAX + 1];

    if (a_size > NAME_BYTES_MAX || b_size > NAME_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];

            row[j] = least(diagonal + (a[i - 1] != b[j - 1]), least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b_size];
}

const struct setting *config_nearest_setting(const char *name)
{
    const struct setting *nearest = NULL;
    size_t nearest_distance = 4 < strlen(name) / 2 ? 4 : strlen(name) / 2 + 1;

    for (size_t i = 0; i < config_settings_count; i++) {
        size_t d = distance(name, config_settings[i].name);

        if (d < nearest_distance) {
            nearest = &config_settings[i];
            nearest_distance = d;
        }
    }
    return nearest;
}

void config_environment_name(const struct setting *setting, char *to, size_t to_bytes)
{
    size_t length = (size_t)snprintf(to, to_bytes, "KVD_%s", setting->name);

    for (size_t i = 0; i < length && i < to_bytes; i++) {
        to[i] = to[i] == '-' ? '_' : (char)toupper((unsigned char)to[i]);
    }
}
