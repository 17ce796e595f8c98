/* answer.c: one reply of a server as a tree. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Depth is bounded by the reader, so recursion is too. */
void answer_deinit(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        answer_deinit(&answer->elements[i]);
    }
    free(answer->elements);
    free(answer->text);
    *answer = (struct answer){.type = ANSWER_NIL};
}

bool answer_has_text(const struct answer *answer)
{
    return answer->text != NULL;
}

bool answer_is(const struct answer *answer, const char *word)
{
    return answer->text != NULL && strlen(word) == answer->size &&
           strncasecmp(answer->text, word, answer->size) == 0;
}

const struct answer *answer_map_find(const struct answer *map, const char *key)
{
    if (map->type != ANSWER_MAP && map->type != ANSWER_ARRAY) {
        return NULL;
    }
    for (size_t i = 0; i + 1 < map->count; i += 2) {
        if (answer_is(&map->elements[i], key)) {
            return &map->elements[i + 1];
        }
    }
    return NULL;
}
