/* own_words.c: see own_words.h. */
#include "own_words.h"

#include <strings.h>

const struct own_word OWN_WORDS[] = {
    {"add", "id host:port [learner | voter]", "adds a node, and shows how it catches up", OWN_WORD_CHANGE, 2,
     3},
    {"address", "id host:port", "tells where the bus of a member is reached", OWN_WORD_CHANGE, 2, 2},
    {"backup", "file [--from host:port] [--stale]", "writes a node's data to a file, online", OWN_WORD_BACKUP,
     1, 1},
    {"clear", "", "clears the screen", OWN_WORD_PROMPT, 0, 0},
    {"exit", "", "ends, as do quit and Ctrl-D", OWN_WORD_PROMPT, 0, 0},
    {"help", "[command]", "this list, or one command", OWN_WORD_HELP, 0, 2},
    {"promote", "id", "makes a learner a voter, when it has caught up", OWN_WORD_CHANGE, 1, 1},
    {"quit", "", "ends, as do exit and Ctrl-D", OWN_WORD_PROMPT, 0, 0},
    {"remove", "id", "removes a member", OWN_WORD_CHANGE, 1, 1},
    {"replace", "old-id new-id host:port", "puts a new node in the place of a member, in one step",
     OWN_WORD_CHANGE, 3, 3},
    {"status", "", "every node and its state", OWN_WORD_STATUS, 0, 0},
    {"transfer", "[id]", "hands leadership over", OWN_WORD_CHANGE, 0, 1},
    {"verify", "file", "checks every byte of a backup", OWN_WORD_VERIFY, 1, 1},
};
const size_t OWN_WORDS_COUNT = sizeof OWN_WORDS / sizeof OWN_WORDS[0];

const struct own_word *own_words_find(const char *name)
{
    for (size_t i = 0; i < OWN_WORDS_COUNT; i++) {
        if (strcasecmp(name, OWN_WORDS[i].name) == 0) {
            return &OWN_WORDS[i];
        }
    }
    return NULL;
}
