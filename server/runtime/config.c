/* config.c: reads the three sources, the weakest first, and collects what is wrong with them.
 *
 * Unknown names are errors everywhere, with one exception: environment variables that Kubernetes makes up for
 * a service called "kvd" (KVD_SERVICE_HOST, KVD_PORT_7000_TCP...) are not ours and are passed over.
 */
#include "config_internal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_BYTES_MAX = 200, ORIGIN_BYTES_MAX = 600 };

/* One pass over one source. */
struct source {
    struct config *config;
    struct config_errors *errors;
    bool refuse_doubles;
    uint64_t seen; /* bit i: setting i was given by this source */
};

void config_error_add(struct config_errors *errors, const char *format, ...)
{
    char line[CONFIG_TEXT_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);

    size_t before = errors->text == NULL ? 0 : strlen(errors->text) + 1;
    char *text = realloc(errors->text, before + strlen(line) + 1);

    if (text == NULL) {
        abort();
    }
    if (before > 0) {
        text[before - 1] = '\n';
    }
    memcpy(text + before, line, strlen(line) + 1);
    errors->text = text;
    errors->count++;
}

void config_errors_deinit(struct config_errors *errors)
{
    free(errors->text);
    *errors = (struct config_errors){0};
}

/* `origin` is where it stands: "kvd.conf:7", "environment variable KVD_ID", "flag --id". */
static void apply(struct source *source, const struct setting *setting, const char *origin, const char *value)
{
    size_t place = (size_t)(setting - config_settings);
    uint64_t bit = UINT64_C(1) << place;
    char problem[PROBLEM_BYTES_MAX] = "";

    assert(place < 64);
    /* A variable that some script forgot to fill must not quietly mean "no members" or "no secret". */
    if (value[strspn(value, " \t")] == '\0') {
        config_error_add(source->errors, "%s: %s is given without a value; leave it out for the default.",
                         origin, setting->name);
        return;
    }
    if ((source->seen & bit) != 0 && setting->type == SETTING_LIST) {
        char **text = config_text(source->config, setting);
        size_t bytes = strlen(*text) + strlen(value) + 2;
        char *joined = config_allocate(bytes);

        (void)snprintf(joined, bytes, "%s,%s", *text, value);
        free(*text);
        *text = joined;
        return;
    }
    if ((source->seen & bit) != 0 && source->refuse_doubles) {
        config_error_add(source->errors, "%s: %s is given a second time.", origin, setting->name);
        return;
    }
    source->seen |= bit;
    if (strlen(value) >= CONFIG_TEXT_BYTES_MAX) {
        config_error_add(source->errors, "%s: the value of %s is too long.", origin, setting->name);
    } else if (!config_set(source->config, setting, value, problem, sizeof problem)) {
        config_error_add(source->errors, "%s: %s: \"%.100s\" %s.", origin, setting->name, value, problem);
    }
}

static void report_unknown(struct source *source, const char *origin, const char *name)
{
    const struct setting *nearest = config_nearest_setting(name);

    if (nearest != NULL) {
        config_error_add(source->errors, "%s: there is no setting \"%.60s\". Did you mean \"%s\"?", origin,
                         name, nearest->name);
    } else {
        config_error_add(source->errors, "%s: there is no setting \"%.60s\" (kvd --help lists them all).",
                         origin, name);
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    for (size_t size = strlen(text); size > 0 && isspace((unsigned char)text[size - 1]); size--) {
        text[size - 1] = '\0';
    }
    return text;
}

/* Cuts a comment: a # at the start or after white space, outside quotes. */
static void cut_comment(char *line)
{
    bool quoted = false;

    for (char *at = line; *at != '\0'; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (*at == '#' && !quoted && (at == line || isspace((unsigned char)at[-1]))) {
            *at = '\0';
            return;
        }
    }
}

/* "name value", "name = value", name "a value". */
static void read_line(struct source *source, char *line, const char *origin)
{
    cut_comment(line);
    char *name = trim(line);

    if (*name == '\0') {
        return;
    }
    char *value = name + strcspn(name, "= \t");

    if (*value != '\0') {
        bool equals = *value == '=';

        *value++ = '\0';
        value = trim(value);
        if (!equals && *value == '=') {
            value = trim(value + 1);
        }
    }
    size_t size = strlen(value);

    if (size >= 2 && value[0] == '"' && value[size - 1] == '"') {
        value[size - 1] = '\0';
        value++;
    }
    const struct setting *setting = config_find_setting(name);

    if (setting != NULL) {
        apply(source, setting, origin, value);
    } else {
        report_unknown(source, origin, name);
    }
}

static void read_file(struct source *source, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0, bytes = 0;
    ssize_t size;

    if (file == NULL) {
        config_error_add(source->errors, "The configuration file %s cannot be read: %s.", path,
                         strerror(errno));
        return;
    }
    for (unsigned number = 1; (size = getline(&line, &capacity, file)) >= 0; number++) {
        char origin[ORIGIN_BYTES_MAX];

        bytes += (size_t)size;
        (void)snprintf(origin, sizeof origin, "%.500s:%u", path, number);
        if (bytes > CONFIG_FILE_BYTES_MAX || strlen(line) != (size_t)size) {
            config_error_add(source->errors, "%s: this is not a configuration file (too long, or not text).",
                             origin);
            break;
        }
        read_line(source, line, origin);
    }
    if (ferror(file)) {
        config_error_add(source->errors, "The configuration file %s cannot be read: %s.", path,
                         strerror(errno));
    }
    free(line);
    (void)fclose(file);
}

/* ---- the environment ------------------------------------------------------------------------- */

static bool is_of_kubernetes(const char *name)
{
    const char *port = strstr(name, "_PORT");

    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           (port != NULL && (port[5] == '\0' || (port[5] == '_' && isdigit((unsigned char)port[6]))));
}

static void read_variable(struct source *source, const char *name, size_t name_size, const char *value)
{
    char lower[64] = "", origin[ORIGIN_BYTES_MAX], variable[80];

    (void)snprintf(variable, sizeof variable, "%.*s", (int)(name_size < 79 ? name_size : 79), name);
    (void)snprintf(origin, sizeof origin, "environment variable %s", variable);
    for (size_t i = 0; i < sizeof lower - 1 && variable[4 + i] != '\0'; i++) {
        char c = variable[4 + i];

        lower[i] = c == '_' ? '-' : (char)tolower((unsigned char)c);
    }
    const struct setting *setting = config_find_setting(lower);
    char expected[80] = "";

    if (setting != NULL) {
        config_environment_name(setting, expected, sizeof expected);
    }
    if (setting != NULL && strcmp(expected, variable) == 0) {
        apply(source, setting, origin, value);
    } else if (!is_of_kubernetes(variable)) {
        const struct setting *nearest = setting != NULL ? setting : config_nearest_setting(lower);

        if (nearest != NULL) {
            config_environment_name(nearest, expected, sizeof expected);
        }
        config_error_add(source->errors, "%s: there is no such setting%s%s%s", origin,
                         nearest == NULL ? " (kvd --help lists them all)" : "; did you mean ", expected,
                         nearest == NULL ? "." : "?");
    }
}

static const char *environment_value(char *const *environment, const char *name)
{
    size_t size = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=') {
            return *environment + size + 1;
        }
    }
    return NULL;
}

static void read_environment(struct source *source, char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');

        if (strncmp(*environment, "KVD_", 4) != 0 || equals == NULL || equals < *environment + 4) {
            continue;
        }
        size_t size = (size_t)(equals - *environment);

        if (size != strlen("KVD_CONFIG") || strncmp(*environment, "KVD_CONFIG", size) != 0) {
            read_variable(source, *environment, size, equals + 1);
        }
    }
}

/* ---- flags ----------------------------------------------------------------------------------- */

struct flag {
    char name[64];
    const char *value; /* NULL: missing */
    int arguments;     /* how many of argv it took */
};

static bool takes_no_value(const char *name)
{
    return strcmp(name, "help") == 0 || strcmp(name, "version") == 0 || strcmp(name, "check-config") == 0 ||
           strcmp(name, "print-config-table") == 0;
}

/* False: it is not a flag at all. */
static bool read_flag(char *const *arguments, int left, struct flag *flag)
{
    const char *argument = arguments[0];

    *flag = (struct flag){.arguments = 1};
    if (strcmp(argument, "-h") == 0) {
        argument = "--help";
    } else if (strcmp(argument, "-v") == 0 || strcmp(argument, "-V") == 0) {
        argument = "--version";
    }
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0' || argument[2] == '=') {
        return false;
    }
    const char *equals = strchr(argument, '=');
    size_t size = equals != NULL ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;

    (void)snprintf(flag->name, sizeof flag->name, "%.*s", (int)(size < 63 ? size : 63), argument + 2);
    if (equals != NULL) {
        flag->value = equals + 1;
    } else if (!takes_no_value(flag->name) && left > 1) {
        flag->value = arguments[1];
        flag->arguments = 2;
    }
    return true;
}

/* The requests and --config; they count wherever they stand. */
static void find_requests(int count, char *const *arguments, enum config_request *request, const char **file)
{
    struct flag flag;

    for (int i = 1; i < count; i += flag.arguments) {
        if (!read_flag(arguments + i, count - i, &flag)) {
            continue;
        }
        if (strcmp(flag.name, "help") == 0) {
            *request = CONFIG_HELP;
            return;
        }
        if (strcmp(flag.name, "version") == 0) {
            *request = CONFIG_VERSION;
            return;
        }
        if (strcmp(flag.name, "print-config-table") == 0) {
            *request = CONFIG_PRINT_TABLE;
            return;
        }
        if (strcmp(flag.name, "check-config") == 0) {
            *request = CONFIG_CHECK;
        } else if (strcmp(flag.name, "config") == 0 && flag.value != NULL) {
            *file = flag.value;
        }
    }
}

static void read_flags(struct source *source, int count, char *const *arguments)
{
    struct flag flag;

    for (int i = 1; i < count; i += flag.arguments) {
        char origin[ORIGIN_BYTES_MAX];

        if (!read_flag(arguments + i, count - i, &flag)) {
            config_error_add(source->errors, "\"%.100s\" is not a flag: settings are given as --name value.",
                             arguments[i]);
            continue;
        }
        (void)snprintf(origin, sizeof origin, "flag --%s", flag.name);
        const struct setting *setting = config_find_setting(flag.name);

        if (takes_no_value(flag.name)) {
            if (flag.value != NULL) {
                config_error_add(source->errors, "%s: takes no value.", origin);
            }
        } else if (setting == NULL && strcmp(flag.name, "config") != 0) {
            report_unknown(source, origin, flag.name);
            flag.arguments = 1; /* what follows may be a flag */
            if (i + 1 < count && strncmp(arguments[i + 1], "--", 2) != 0 &&
                strchr(arguments[i], '=') == NULL) {
                flag.arguments = 2;
            }
        } else if (flag.value == NULL) {
            config_error_add(source->errors, "%s: a value is missing.", origin);
        } else if (setting != NULL) {
            apply(source, setting, origin, flag.value);
        }
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void set_defaults(struct config *config)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        char problem[PROBLEM_BYTES_MAX];
        bool fine =
            config_set(config, &config_settings[i], config_settings[i].default_text, problem, sizeof problem);

        assert(fine);
    }
}

bool config_read(struct config *config, int arguments_count, char *const *arguments, char *const *environment,
                 enum config_request *request, struct config_errors *errors)
{
    const char *file = NULL;

    *config = (struct config){0};
    *errors = (struct config_errors){0};
    *request = CONFIG_RUN;
    set_defaults(config);
    find_requests(arguments_count, arguments, request, &file);
    if (file == NULL) {
        file = environment_value(environment, "KVD_CONFIG");
    }
    config->config_file = config_copy_text(file == NULL ? "" : file);
    if (*request != CONFIG_RUN && *request != CONFIG_CHECK) {
        return true;
    }
    if (config->config_file[0] != '\0') {
        struct source source = {config, errors, true, 0};

        read_file(&source, config->config_file);
    }
    struct source from_environment = {config, errors, false, 0};
    struct source from_flags = {config, errors, false, 0};

    read_environment(&from_environment, environment);
    read_flags(&from_flags, arguments_count, arguments);
    config_finish(config, errors);
    return errors->count == 0;
}

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if (config_is_text(&config_settings[i])) {
            free(*config_text(config, &config_settings[i]));
        }
    }
    free(config->config_file);
    explicit_bzero(config, sizeof *config);
}
