/* config_value.c: single values: numbers, durations, sizes, addresses, as text and back. Pure. */
#include "config_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void *config_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

char *config_copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;

    return memcpy(config_allocate(bytes), text, bytes);
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"min", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0},
};

#define KIB UINT64_C(1024)
static const struct unit size_units[] = {
    {"b", 1},
    {"k", KIB},
    {"kb", KIB},
    {"kib", KIB},
    {"m", KIB *KIB},
    {"mb", KIB *KIB},
    {"mib", KIB *KIB},
    {"g", KIB *KIB *KIB},
    {"gb", KIB *KIB *KIB},
    {"gib", KIB *KIB *KIB},
    {"t", KIB *KIB *KIB *KIB},
    {"tb", KIB *KIB *KIB *KIB},
    {"tib", KIB *KIB *KIB *KIB},
    {NULL, 0},
};

/* Digits at the front; *rest is what follows. */
static bool parse_digits(const char *text, uint64_t *number, const char **rest)
{
    uint64_t value = 0;
    const char *at = text;

    while (*at >= '0' && *at <= '9') {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return false;
        }
        at++;
    }
    *number = value;
    *rest = at;
    return at != text;
}

static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *result)
{
    uint64_t number;
    const char *rest;

    if (!parse_digits(text, &number, &rest)) {
        return false;
    }
    while (*rest == ' ') {
        rest++;
    }
    if (*rest == '\0') {
        *result = number;
        return true;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcasecmp(unit->name, rest) == 0) {
            return !__builtin_mul_overflow(number, unit->factor, result);
        }
    }
    return false;
}

bool config_parse_duration(const char *text, uint64_t *ms)
{
    return parse_with_unit(text, duration_units, ms);
}

bool config_parse_size(const char *text, uint64_t *bytes)
{
    return parse_with_unit(text, size_units, bytes);
}

bool config_parse_number(const char *text, uint64_t *number)
{
    const char *rest;

    return parse_digits(text, number, &rest) && *rest == '\0';
}

void config_format_duration(uint64_t ms, char to[CONFIG_VALUE_BYTES_MAX])
{
    if (ms >= 1000 && ms % 1000 == 0) {
        (void)snprintf(to, CONFIG_VALUE_BYTES_MAX, "%" PRIu64 "s", ms / 1000);
    } else {
        (void)snprintf(to, CONFIG_VALUE_BYTES_MAX, "%" PRIu64 "ms", ms);
    }
}

void config_format_size(uint64_t bytes, char to[CONFIG_VALUE_BYTES_MAX])
{
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (unit < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(to, CONFIG_VALUE_BYTES_MAX, "%" PRIu64 "%s", bytes, names[unit]);
}

void config_format_value(const struct setting *setting, uint64_t value, char to[CONFIG_VALUE_BYTES_MAX])
{
    switch (setting->type) {
    case SETTING_NUMBER:
        (void)snprintf(to, CONFIG_VALUE_BYTES_MAX, "%" PRIu64, value);
        return;
    case SETTING_DURATION:
        config_format_duration(value, to);
        return;
    case SETTING_SIZE:
        config_format_size(value, to);
        return;
    case SETTING_CHOICE:
        (void)snprintf(to, CONFIG_VALUE_BYTES_MAX, "%s", setting->choices[value]);
        return;
    case SETTING_TEXT:
    case SETTING_LIST:
        break;
    }
    abort();
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = config_copy_text(text);
}

static bool set_choice(struct config *config, const struct setting *setting, const char *text, char *problem,
                       size_t problem_bytes)
{
    for (uint64_t i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], text) == 0) {
            *config_number(config, setting) = i;
            return true;
        }
    }
    (void)snprintf(problem, problem_bytes, "is not one of %s", setting->placeholder);
    return false;
}

bool config_set(struct config *config, const struct setting *setting, const char *text, char *problem,
                size_t problem_bytes)
{
    uint64_t value = 0;
    bool understood = false;
    const char *form = "";

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_LIST:
        set_text(config_text(config, setting), text);
        return true;
    case SETTING_CHOICE:
        return set_choice(config, setting, text, problem, problem_bytes);
    case SETTING_NUMBER:
        understood = config_parse_number(text, &value);
        form = "a whole number";
        break;
    case SETTING_DURATION:
        understood = config_parse_duration(text, &value);
        form = "a time such as 500ms or 5s";
        break;
    case SETTING_SIZE:
        understood = config_parse_size(text, &value);
        form = "a size such as 64MiB or 1GiB";
        break;
    }
    if (!understood) {
        (void)snprintf(problem, problem_bytes, "is not %s", form);
        return false;
    }
    if (value < setting->min || value > setting->max) {
        char low[CONFIG_VALUE_BYTES_MAX], high[CONFIG_VALUE_BYTES_MAX];

        config_format_value(setting, setting->min, low);
        config_format_value(setting, setting->max, high);
        (void)snprintf(problem, problem_bytes, "is outside the range %s to %s", low, high);
        return false;
    }
    *config_number(config, setting) = value;
    return true;
}

static bool host_is_plausible(const char *host, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = host[i];

        if (c <= ' ' || c >= 0x7f || c == ',' || c == '@' || c == '=' || c == '[' || c == ']' || c == '/') {
            return false;
        }
    }
    return true;
}

bool config_parse_address(const char *text, size_t size, char *host, uint16_t *port, uint16_t port_min)
{
    const char *host_start = text, *port_start;
    size_t host_size;
    char digits[6] = "";
    uint64_t number;

    if (size > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', size);

        if (end == NULL || end + 1 >= text + size || end[1] != ':') {
            return false;
        }
        host_start = text + 1;
        host_size = (size_t)(end - host_start);
        port_start = end + 2;
        if (host_size == 0) {
            return false;
        }
    } else {
        const char *colon = memchr(text, ':', size);

        /* A second colon: an IPv6 address without its brackets, where host and port cannot be told apart. */
        if (colon == NULL || memchr(colon + 1, ':', size - (size_t)(colon + 1 - text)) != NULL) {
            return false;
        }
        host_size = (size_t)(colon - text);
        port_start = colon + 1;
    }
    size_t port_size = size - (size_t)(port_start - text);

    if (port_size == 0 || port_size >= sizeof digits || host_size > BUS_HOST_BYTES_MAX ||
        !host_is_plausible(host_start, host_size)) {
        return false;
    }
    memcpy(digits, port_start, port_size);
    if (!config_parse_number(digits, &number) || number > UINT16_MAX || number < port_min) {
        return false;
    }
    if (host_size == 1 && *host_start == '*') {
        host_size = 0;
    }
    memcpy(host, host_start, host_size);
    host[host_size] = '\0';
    *port = (uint16_t)number;
    return true;
}
