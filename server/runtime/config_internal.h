/* config_internal.h: what the config_*.c files share. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config.h"

enum setting_type {
    SETTING_NUMBER,
    SETTING_DURATION, /* stored in ms */
    SETTING_SIZE,     /* stored in bytes */
    SETTING_TEXT,
    SETTING_LIST,   /* text; repeated, the values are joined with commas */
    SETTING_CHOICE, /* stored as the place in `choices` */
};

struct setting {
    const char *group;
    const char *name; /* as a flag, without the dashes */
    enum setting_type type;
    size_t offset; /* in struct config: uint64_t, or char * for TEXT and LIST */
    const char *default_text;
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *placeholder;    /* for the help */
    const char *help;
};

/* Settings of a group stand together. */
extern const struct setting config_settings[];
extern const size_t config_settings_count;

const struct setting *config_find_setting(const char *name);
/* The setting whose name is nearest to `name`, or NULL if none is near. */
const struct setting *config_nearest_setting(const char *name);
/* "KVD_ELECTION_TIMEOUT" in `to`. */
void config_environment_name(const struct setting *setting, char *to, size_t to_bytes);

static inline uint64_t *config_number(struct config *config, const struct setting *setting)
{
    return (uint64_t *)(void *)((char *)config + setting->offset);
}

static inline char **config_text(struct config *config, const struct setting *setting)
{
    return (char **)(void *)((char *)config + setting->offset);
}

static inline bool config_is_text(const struct setting *setting)
{
    return setting->type == SETTING_TEXT || setting->type == SETTING_LIST;
}

/* ---- values ---- */

enum { CONFIG_VALUE_BYTES_MAX = 64 };

/* "500ms", "5s", "2m"; a bare number is milliseconds. */
bool config_parse_duration(const char *text, uint64_t *ms);
/* "64MiB", "1GiB", "16kb"; a bare number is bytes; all units are powers of 1024. */
bool config_parse_size(const char *text, uint64_t *bytes);
bool config_parse_number(const char *text, uint64_t *number);
void config_format_duration(uint64_t ms, char to[CONFIG_VALUE_BYTES_MAX]);
void config_format_size(uint64_t bytes, char to[CONFIG_VALUE_BYTES_MAX]);
/* A value of this setting's numeric type, as one would write it. */
void config_format_value(const struct setting *setting, uint64_t value, char to[CONFIG_VALUE_BYTES_MAX]);
/* Sets one value. False: `problem` says why ("is not a duration such as 500ms or 5s"). */
bool config_set(struct config *config, const struct setting *setting, const char *text, char *problem,
                size_t problem_bytes);

/* "host:port", "[::1]:port", ":port" and "*:port" (host ""). `port_min` 0 or 1. */
bool config_parse_address(const char *text, size_t size, char *host, uint16_t *port, uint16_t port_min);

/* ---- errors, and the second half ---- */

void config_error_add(struct config_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* After all values are set: lists are taken apart, the secret is read, values are checked against each other.
 */
void config_finish(struct config *config, struct config_errors *errors);

void *config_allocate(size_t bytes); /* aborts when out of memory */
char *config_copy_text(const char *text);

#endif
