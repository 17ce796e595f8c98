/* command_docs.c: COMMAND DOCS. The table has a command's arguments as one line of text, as help shows it;
 * here that line becomes the tree of arguments that redis-cli and others want.
 *
 * The line:  sequence = { item },  item = name | TOKEN { name } | "[" choice "]" | "<" choice ">",
 * choice = sequence { "|" sequence }. "[a b ...]" repeats the names before it: "key [key ...]". [ ] may be
 * left out, < > may not. Lines come from our own table: a wrong one is caught by an assertion, in the unit
 * test.
 */
#include "command_functions.h"
#include "command_text.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DOCS_NODES_MAX = 32, DOCS_WORD_BYTES_MAX = 32, DOCS_NODE_NONE = -1 };

enum docs_type { DOCS_NAME, DOCS_TOKEN, DOCS_BLOCK, DOCS_ONEOF };

struct docs_node {
    enum docs_type type;
    char name[DOCS_WORD_BYTES_MAX];
    char token[DOCS_WORD_BYTES_MAX]; /* "" none */
    bool optional;
    bool multiple;
    int first_child;
    int next;
};

struct docs_tree {
    const char *at; /* what is left of the line */
    int nodes_count;
    struct docs_node nodes[DOCS_NODES_MAX];
};

static int docs_add(struct docs_tree *tree, enum docs_type type)
{
    assert(tree->nodes_count < DOCS_NODES_MAX);
    tree->nodes[tree->nodes_count] =
        (struct docs_node){.type = type, .first_child = DOCS_NODE_NONE, .next = DOCS_NODE_NONE};
    return tree->nodes_count++;
}

static int *docs_end(struct docs_tree *tree, int *first)
{
    int *link = first;
    while (*link != DOCS_NODE_NONE) {
        link = &tree->nodes[*link].next;
    }
    return link;
}

static int docs_count(const struct docs_tree *tree, int first)
{
    int count = 0;
    for (int i = first; i != DOCS_NODE_NONE; i = tree->nodes[i].next) {
        count++;
    }
    return count;
}

/* The next word, '[' ']' '<' '>' '|' or a run of other characters, without taking it. Its size; 0 at the end.
 */
static size_t docs_peek(struct docs_tree *tree)
{
    while (*tree->at == ' ') {
        tree->at++;
    }
    if (*tree->at == '\0') {
        return 0;
    }
    size_t size = strcspn(tree->at, " []<>|");
    return size == 0 ? 1 : size;
}

static bool docs_peek_is(struct docs_tree *tree, const char *word)
{
    size_t size = docs_peek(tree);
    return size == strlen(word) && memcmp(tree->at, word, size) == 0;
}

static bool docs_take(struct docs_tree *tree, const char *word)
{
    if (!docs_peek_is(tree, word)) {
        return false;
    }
    tree->at += strlen(word);
    return true;
}

static void docs_take_word(struct docs_tree *tree, char to[DOCS_WORD_BYTES_MAX])
{
    size_t size = docs_peek(tree);
    assert(size > 0 && size < DOCS_WORD_BYTES_MAX);
    memcpy(to, tree->at, size);
    to[size] = '\0';
    tree->at += size;
}

static bool docs_at_name(struct docs_tree *tree)
{
    return docs_peek(tree) > 0 && islower((unsigned char)*tree->at);
}

static int docs_parse_name(struct docs_tree *tree)
{
    int node = docs_add(tree, DOCS_NAME);
    docs_take_word(tree, tree->nodes[node].name);
    return node;
}

/* TOKEN, TOKEN name, or TOKEN name name ... */
static int docs_parse_token(struct docs_tree *tree)
{
    char token[DOCS_WORD_BYTES_MAX];
    docs_take_word(tree, token);
    int first = DOCS_NODE_NONE;
    while (docs_at_name(tree)) {
        int name = docs_parse_name(tree);
        *docs_end(tree, &first) = name;
    }
    int node = first;
    if (docs_count(tree, first) != 1) {
        node = docs_add(tree, first == DOCS_NODE_NONE ? DOCS_TOKEN : DOCS_BLOCK);
        tree->nodes[node].first_child = first;
        for (size_t i = 0; i < sizeof token; i++) {
            tree->nodes[node].name[i] = (char)tolower((unsigned char)token[i]);
        }
    }
    memcpy(tree->nodes[node].token, token, sizeof token);
    return node;
}

/* "[key value ...]" after "key value": marks what it repeats, as one block if it is more than one name. */
static void docs_mark_repeated(struct docs_tree *tree, int *first, int repeated_count)
{
    int skipped = docs_count(tree, *first) - repeated_count;
    assert(skipped >= 0 && repeated_count > 0);
    int *link = first;
    while (skipped-- > 0) {
        link = &tree->nodes[*link].next;
    }
    if (repeated_count > 1) {
        int block = docs_add(tree, DOCS_BLOCK);
        memcpy(tree->nodes[block].name, "data", sizeof "data");
        tree->nodes[block].first_child = *link;
        *link = block;
    }
    tree->nodes[*link].multiple = true;
}

static int docs_parse_sequence(struct docs_tree *tree);

/* Behind '[' or '<': choices up to `end`, as one node. */
static int docs_parse_choice(struct docs_tree *tree, const char *end)
{
    int first = DOCS_NODE_NONE;
    do {
        int sequence = docs_parse_sequence(tree);
        assert(sequence != DOCS_NODE_NONE);
        if (tree->nodes[sequence].next != DOCS_NODE_NONE) {
            int block = docs_add(tree, DOCS_BLOCK);
            memcpy(tree->nodes[block].name, "block", sizeof "block");
            tree->nodes[block].first_child = sequence;
            sequence = block;
        }
        *docs_end(tree, &first) = sequence;
    } while (docs_take(tree, "|"));
    bool closed = docs_take(tree, end);
    assert(closed);
    if (tree->nodes[first].next == DOCS_NODE_NONE) {
        return first;
    }
    int node = docs_add(tree, DOCS_ONEOF);
    memcpy(tree->nodes[node].name, "option", sizeof "option");
    tree->nodes[node].first_child = first;
    return node;
}

/* True, and taken, if what follows is "[name ... ...]": *count names. */
static bool docs_take_repetition(struct docs_tree *tree, int *count)
{
    const char *start = tree->at;
    char word[DOCS_WORD_BYTES_MAX];
    *count = 0;
    if (docs_take(tree, "[")) {
        while (docs_at_name(tree)) {
            docs_take_word(tree, word);
            ++*count;
        }
        if (docs_take(tree, "...") && docs_take(tree, "]")) {
            return true;
        }
    }
    tree->at = start;
    return false;
}

static int docs_parse_sequence(struct docs_tree *tree)
{
    int first = DOCS_NODE_NONE;
    int repeated_count;
    while (docs_peek(tree) > 0 && !docs_peek_is(tree, "]") && !docs_peek_is(tree, ">") &&
           !docs_peek_is(tree, "|")) {
        if (docs_take_repetition(tree, &repeated_count)) {
            docs_mark_repeated(tree, &first, repeated_count);
            continue;
        }
        int node;
        if (docs_take(tree, "[")) {
            node = docs_parse_choice(tree, "]");
            tree->nodes[node].optional = true;
        } else if (docs_take(tree, "<")) {
            node = docs_parse_choice(tree, ">");
        } else if (docs_at_name(tree)) {
            node = docs_parse_name(tree);
        } else {
            node = docs_parse_token(tree);
        }
        *docs_end(tree, &first) = node;
    }
    return first;
}

/* ---- writing ---- */

static const char *docs_type_name(const struct docs_node *node)
{
    static const char *const INTEGERS[] = {"seconds",   "milliseconds", "count",    "cursor", "increment",
                                           "decrement", "index",        "protover", "slot",   "client-id"};
    switch (node->type) {
    case DOCS_TOKEN:
        return "pure-token";
    case DOCS_BLOCK:
        return "block";
    case DOCS_ONEOF:
        return "oneof";
    case DOCS_NAME:
        break;
    }
    if (strcmp(node->name, "key") == 0 || strcmp(node->name, "pattern") == 0) {
        return node->name;
    }
    if (strncmp(node->name, "unix-time", strlen("unix-time")) == 0) {
        return "unix-time";
    }
    for (size_t i = 0; i < sizeof INTEGERS / sizeof INTEGERS[0]; i++) {
        if (strcmp(node->name, INTEGERS[i]) == 0) {
            return "integer";
        }
    }
    return "string";
}

static void docs_reply_nodes(struct reply *reply, const struct docs_tree *tree, int first, bool has_keys)
{
    reply_array(reply, (size_t)docs_count(tree, first));
    for (int i = first; i != DOCS_NODE_NONE; i = tree->nodes[i].next) {
        const struct docs_node *node = &tree->nodes[i];
        const char *type = docs_type_name(node);
        bool is_key = strcmp(type, "key") == 0;
        if (is_key && !has_keys) {
            type = "string";
            is_key = false;
        }
        bool has_token = node->token[0] != '\0';
        bool is_leaf = node->first_child == DOCS_NODE_NONE;
        size_t flags_count = (node->optional ? 1u : 0u) + (node->multiple ? 1u : 0u);
        reply_map(reply, 2u + (node->type == DOCS_NAME ? 1u : 0u) + (is_key ? 1u : 0u) +
                             (has_token ? 1u : 0u) + (flags_count > 0 ? 1u : 0u) + (is_leaf ? 0u : 1u));
        reply_bulk_text(reply, "name");
        reply_bulk_text(reply, node->name);
        reply_bulk_text(reply, "type");
        reply_bulk_text(reply, type);
        if (node->type == DOCS_NAME) {
            reply_bulk_text(reply, "display_text");
            reply_bulk_text(reply, node->name);
        }
        if (is_key) {
            reply_bulk_text(reply, "key_spec_index");
            reply_integer(reply, 0);
        }
        if (has_token) {
            reply_bulk_text(reply, "token");
            reply_bulk_text(reply, node->token);
        }
        if (flags_count > 0) {
            reply_bulk_text(reply, "flags");
            reply_set(reply, flags_count);
            if (node->optional) {
                reply_simple(reply, "optional");
            }
            if (node->multiple) {
                reply_simple(reply, "multiple");
            }
        }
        if (!is_leaf) {
            reply_bulk_text(reply, "arguments");
            docs_reply_nodes(reply, tree, node->first_child, has_keys);
        }
    }
}

static void docs_reply_arguments(struct reply *reply, const char *syntax, bool has_keys)
{
    struct docs_tree tree = {.at = syntax};
    int first = docs_parse_sequence(&tree);
    assert(*tree.at == '\0');
    reply_bulk_text(reply, "arguments");
    docs_reply_nodes(reply, &tree, first, has_keys);
}

static void docs_reply_entry(struct reply *reply, const struct command *command,
                             const struct command_subcommand *subcommand)
{
    const char *syntax = subcommand == NULL ? command->syntax : subcommand->syntax;
    bool has_rows = subcommand == NULL && command->subcommands != NULL;
    reply_map(reply, 4u + (syntax[0] != '\0' ? 1u : 0u) + (has_rows ? 1u : 0u));
    reply_bulk_text(reply, "summary");
    reply_bulk_text(reply, subcommand == NULL ? command->summary : subcommand->summary);
    reply_bulk_text(reply, "since");
    reply_bulk_text(reply, command->since);
    reply_bulk_text(reply, "group");
    reply_bulk_text(reply, command->group);
    reply_bulk_text(reply, "complexity");
    reply_bulk_text(reply,
                    subcommand == NULL ? command->complexity : "O(1), or O(N) where N is what is listed");
    if (syntax[0] != '\0') {
        docs_reply_arguments(reply, syntax, command->first_key != 0);
    }
    if (!has_rows) {
        return;
    }
    size_t count = 0;
    while (command->subcommands[count].name != NULL) {
        count++;
    }
    reply_bulk_text(reply, "subcommands");
    reply_map(reply, count);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s|%s", command->name, command->subcommands[i].name);
        reply_bulk_text(reply, name);
        docs_reply_entry(reply, command, &command->subcommands[i]);
    }
}

static void docs_reply_named(struct command_context *context)
{
    size_t found = 0;
    for (int pass = 0; pass < 2; pass++) { /* first only counted: unknown names are left out */
        if (pass == 1) {
            reply_map(context->reply, found);
        }
        for (uint32_t i = 2; i < context->arguments_count; i++) {
            const struct command_subcommand *subcommand;
            const struct command *command = command_find_full(&context->arguments[i], &subcommand);
            char name[64];
            if (command == NULL) {
                continue;
            }
            if (pass == 0) {
                found++;
                continue;
            }
            snprintf(name, sizeof name, "%s%s%s", command->name, subcommand == NULL ? "" : "|",
                     subcommand == NULL ? "" : subcommand->name);
            reply_bulk_text(context->reply, name);
            docs_reply_entry(context->reply, command, subcommand);
        }
    }
}

void command_docs(struct command_context *context)
{
    if (context->arguments_count > 2) {
        docs_reply_named(context);
        return;
    }
    uint32_t count;
    const struct command *table = command_table(&count);
    reply_map(context->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_bulk_text(context->reply, table[i].name);
        docs_reply_entry(context->reply, &table[i], NULL);
    }
}
