/* config_print.c: the table of settings for people: help, Markdown, and the effective values as a file. */
#include "config_internal.h"
#include "offline.h"

#include <inttypes.h>
#include <string.h>

enum { HELP_INDENT = 8, HELP_COLUMNS = 92, RANGE_BYTES_MAX = 2 * CONFIG_VALUE_BYTES_MAX + 8 };

/* Words, wrapped and indented. */
static void print_wrapped(FILE *to, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > HELP_COLUMNS - HELP_INDENT) {
            (void)fputc('\n', to);
            column = 0;
        }
        (void)fprintf(to, "%*s%.*s", column == 0 ? HELP_INDENT : 1, "", (int)word, text);
        column += word + (column > 0);
        text += word;
        text += strspn(text, " ");
    }
    (void)fputc('\n', to);
}

/* "50ms to 600s", or "" where any text is good. */
static void format_range(const struct setting *setting, char to[RANGE_BYTES_MAX])
{
    char low[CONFIG_VALUE_BYTES_MAX], high[CONFIG_VALUE_BYTES_MAX];

    *to = '\0';
    if (config_is_text(setting) || setting->type == SETTING_CHOICE) {
        return;
    }
    config_format_value(setting, setting->min, low);
    config_format_value(setting, setting->max, high);
    if (setting->max == INT64_MAX) {
        (void)snprintf(to, RANGE_BYTES_MAX, "%s and up", low);
    } else {
        (void)snprintf(to, RANGE_BYTES_MAX, "%s to %s", low, high);
    }
}

void config_print_errors(const struct config_errors *errors, FILE *to)
{
    (void)fprintf(to, "kvd: bad settings:\n%s\nkvd --help explains them all.\n", errors->text);
}

void config_print_help(FILE *to)
{
    const char *group = "";

    (void)fputs(
        "kvd: a replicated key-value store server that speaks the Redis protocol.\n"
        "\n"
        "  kvd                          a single node, clients on 127.0.0.1:7000, data in ./kvd-data\n"
        "  kvd --config FILE            settings from a file\n"
        "  kvd --id 1 --cluster 1=node1:17000,2=node2:17000,3=node3:17000 --listen 0.0.0.0:7000\n"
        "                               one node of three; the other two differ in --id only\n",
        to);
    offline_print_help(to);
    (void)fputs(
        "\n"
        "  --help                       this text\n"
        "  --version                    the version\n"
        "  --check-config               print the effective settings and exit, or say what is wrong\n"
        "  --print-config-table         all settings as a Markdown table\n"
        "\n"
        "Settings are given as --name value or --name=value, as environment variables (KVD_NAME, with _ for "
        "-),\n"
        "or as lines \"name value\" of the configuration file (# starts a comment; KVD_CONFIG may name the\n"
        "file). Flags win over the environment, and that over the file.\n"
        "Times: 500ms, 5s, 2m. Sizes: 64KiB, 16MiB, 1GiB.\n",
        to);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        char range[RANGE_BYTES_MAX];

        if (strcmp(group, setting->group) != 0) {
            group = setting->group;
            (void)fprintf(to, "\n%s\n", group);
        }
        format_range(setting, range);
        (void)fprintf(to, "\n    --%s %s\n", setting->name, setting->placeholder);
        print_wrapped(to, setting->help);
        if (setting->default_text[0] != '\0') {
            (void)fprintf(to, "%*sDefault: %s%s%s%s\n", HELP_INDENT, "", setting->default_text,
                          range[0] == '\0' ? "" : " (", range, range[0] == '\0' ? "" : ")");
        }
    }
    (void)fputs(
        "\nExit codes: 0 stopped as asked, 2 bad settings, 3 cannot start, 4 the cluster refuses this node,\n"
        "5 the disk failed, 6 what is on the disk is damaged.\n",
        to);
}

static void print_cell(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            (void)fputc('\\', to);
        }
        (void)fputc(*text, to);
    }
}

void config_print_table(FILE *to)
{
    (void)fputs("| Setting | Value | Default | What it does |\n| --- | --- | --- | --- |\n", to);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        char range[RANGE_BYTES_MAX];

        format_range(setting, range);
        (void)fprintf(to, "| `%s` | `", setting->name);
        print_cell(to, setting->placeholder);
        (void)fprintf(to, "`%s%s | ", range[0] == '\0' ? "" : "<br>", range);
        if (setting->default_text[0] != '\0') {
            (void)fprintf(to, "`%s`", setting->default_text);
        }
        (void)fputs(" | ", to);
        print_cell(to, setting->help);
        (void)fputs(" |\n", to);
    }
}

void config_print_effective(const struct config *config, FILE *to)
{
    const char *group = "";

    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        const void *field = (const char *)config + setting->offset;
        char value[CONFIG_VALUE_BYTES_MAX];

        if (strcmp(group, setting->group) != 0) {
            (void)fprintf(to, "%s# %s\n", i == 0 ? "" : "\n", setting->group);
            group = setting->group;
        }
        if (!config_is_text(setting)) {
            config_format_value(setting, *(const uint64_t *)field, value);
            (void)fprintf(to, "%s = %s\n", setting->name, value);
            continue;
        }
        const char *text = *(char *const *)field;

        if (text[0] == '\0') {
            (void)fprintf(to, "# %s is not set\n", setting->name);
        } else if (strcmp(setting->name, "cluster-secret") == 0) {
            (void)fprintf(to, "# %s is set, and not shown\n", setting->name);
        } else {
            bool quote = text[strcspn(text, " #\t")] != '\0';

            (void)fprintf(to, quote ? "%s = \"%s\"\n" : "%s = %s\n", setting->name, text);
        }
    }
}
