/* json.c: see json.h. */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void json_add(cJSON *object, const char *key, cJSON *item)
{
    if (item == NULL || !cJSON_AddItemToObject(object, key, item)) {
        abort(); /* out of memory */
    }
}

void json_add_number(cJSON *object, const char *key, uint64_t value, bool known)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    json_add(object, key, known ? cJSON_CreateRaw(digits) : cJSON_CreateNull());
}

void json_add_word(cJSON *object, const char *key, const char *word, bool known)
{
    json_add(object, key, known && word[0] != '\0' ? cJSON_CreateString(word) : cJSON_CreateNull());
}

char *json_take_line(cJSON *object)
{
    char *line = cJSON_PrintUnformatted(object);
    if (line == NULL) {
        abort(); /* out of memory */
    }
    cJSON_Delete(object);
    return line;
}
