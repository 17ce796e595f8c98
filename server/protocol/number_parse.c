/* number_parse.c: see number_parse.h. */
#include "number_parse.h"

#include <string.h>

bool number_parse_uint64(const uint8_t *bytes, size_t size, uint64_t *value)
{
    if (size == 0 || size > NUMBER_TEXT_BYTES_MAX) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)bytes[i] - '0';
        if (digit > 9) {
            return false;
        }
        if (sum > (UINT64_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool number_parse_int64(const uint8_t *bytes, size_t size, int64_t *value)
{
    if (size == 1 && bytes[0] == '0') {
        *value = 0;
        return true;
    }
    bool negative = size > 0 && bytes[0] == '-';
    if (negative) {
        bytes++;
        size--;
    }
    if (size == 0 || bytes[0] < '1' || bytes[0] > '9') {
        return false;
    }
    uint64_t magnitude;
    if (!number_parse_uint64(bytes, size, &magnitude)) {
        return false;
    }
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > limit) {
        return false;
    }
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

size_t number_write_uint64(char *to, uint64_t value)
{
    char digits[NUMBER_TEXT_BYTES_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t number_write_int64(char *to, int64_t value)
{
    if (value >= 0) {
        return number_write_uint64(to, (uint64_t)value);
    }
    to[0] = '-';
    return 1 + number_write_uint64(to + 1, 0 - (uint64_t)value);
}
