/* raft_scenario.c: see raft_scenario.h. */
#include "raft_scenario.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "raft_script.h"

enum {
    CONTEXT_LINES = 4, /* around a difference */
};

struct line {
    const char *start;
    size_t size; /* without the end of the line */
};

/* The lines of a text; the caller frees them. */
static struct line *split(const char *text, size_t *count)
{
    struct line *lines = calloc(strlen(text) + 1, sizeof *lines);
    if (lines == NULL) {
        abort();
    }
    *count = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        lines[(*count)++] = (struct line){.start = text, .size = size};
        text += size + (text[size] == '\n' ? 1 : 0);
    }
    return lines;
}

static void add_line(struct script_text *text, const char *prefix, struct line line)
{
    script_text_add(text, "%s%.*s\n", prefix, (int)line.size, line.start);
}

void raft_scenario_play(const char *scenario, struct script_text *played)
{
    struct raft_script *script = raft_script_create();
    size_t count;
    struct line *lines = split(scenario, &count);
    bool below_command = false; /* what stands here is an expectation */
    for (size_t i = 0; i < count; i++) {
        if (lines[i].size >= 2 && strncmp(lines[i].start, "> ", 2) == 0) {
            add_line(played, "", lines[i]);
            char *command = strndup(lines[i].start + 2, lines[i].size - 2);
            raft_script_run(script, command, played);
            free(command);
            below_command = true;
        } else if (lines[i].size == 0 || lines[i].start[0] == '#' || !below_command) {
            add_line(played, "", lines[i]);
            below_command = false;
        }
    }
    free(lines);
    raft_script_destroy(script);
}

bool raft_scenario_is_broken(const char *played)
{
    size_t count;
    struct line *lines = split(played, &count);
    bool broken = false;
    for (size_t i = 0; i < count && !broken; i++) {
        broken = strncmp(lines[i].start, "ERROR: ", 7) == 0 || strncmp(lines[i].start, "BROKEN: ", 8) == 0;
    }
    free(lines);
    return broken;
}

static bool lines_equal(struct line a, struct line b)
{
    return a.size == b.size && memcmp(a.start, b.start, a.size) == 0;
}

/* common[i * (right_count + 1) + j]: how many lines the rests from i and j on have in common, in order. */
static uint32_t *count_common(const struct line *left, size_t left_count, const struct line *right,
                              size_t right_count)
{
    size_t width = right_count + 1;
    uint32_t *common = calloc((left_count + 1) * width, sizeof *common);
    if (common == NULL) {
        abort();
    }
    for (size_t i = left_count; i-- > 0;) {
        for (size_t j = right_count; j-- > 0;) {
            uint32_t below = common[(i + 1) * width + j];
            uint32_t beside = common[i * width + j + 1];
            common[i * width + j] = below > beside ? below : beside;
            if (lines_equal(left[i], right[j])) {
                common[i * width + j] = common[(i + 1) * width + j + 1] + 1;
            }
        }
    }
    return common;
}

/* True if line `at` of the left is within CONTEXT_LINES of a difference; `different`: the lines of the left
 * before which, or at which, the two differ. */
static bool is_near(const bool *different, size_t count, size_t at)
{
    size_t from = at < CONTEXT_LINES ? 0 : at - CONTEXT_LINES;
    for (size_t i = from; i <= at + CONTEXT_LINES && i <= count; i++) {
        if (different[i]) {
            return true;
        }
    }
    return false;
}

void raft_scenario_diff(const char *expected, const char *played, struct script_text *difference)
{
    size_t left_count;
    size_t right_count;
    struct line *left = split(expected, &left_count);
    struct line *right = split(played, &right_count);
    uint32_t *common = count_common(left, left_count, right, right_count);
    bool *different = calloc(left_count + 1, sizeof *different);
    if (different == NULL) {
        abort();
    }
    size_t width = right_count + 1;
    for (int pass = 0; pass < 2; pass++) { /* first where they differ, then what is shown */
        size_t i = 0;
        size_t j = 0;
        while (i < left_count || j < right_count) {
            if (i < left_count && j < right_count && lines_equal(left[i], right[j])) {
                if (pass == 1 && is_near(different, left_count, i)) {
                    add_line(difference, "  ", left[i]);
                }
                i++;
                j++;
                continue;
            }
            bool gone = j == right_count ||
                        (i < left_count && common[(i + 1) * width + j] >= common[i * width + j + 1]);
            different[i] = true;
            if (pass == 1) {
                add_line(difference, gone ? "- " : "+ ", gone ? left[i] : right[j]);
            }
            i += gone ? 1 : 0;
            j += gone ? 0 : 1;
        }
    }
    free(different);
    free(common);
    free(left);
    free(right);
}
