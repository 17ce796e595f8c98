/* json.h: what kvcli adds to cJSON: out of memory aborts, and numbers are exact, which a cJSON number (a
 * double) is not. */
#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes the item over. */
void json_add(cJSON *object, const char *key, cJSON *item);
/* null when it is not known. */
void json_add_number(cJSON *object, const char *key, uint64_t value, bool known);
/* null when it is not known, or empty. */
void json_add_word(cJSON *object, const char *key, const char *word, bool known);
/* In one line, without a line end; free with cJSON_free(). Deletes the object. */
char *json_take_line(cJSON *object);

#endif
