// SPDX-License-Identifier: Apache-2.0
// Quantities as people write and read them. Layer: base.
#include "base/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    const char *at = text;
    int negative = *at == '-';
    at += negative;
    int64_t value = 0;
    if (!isdigit((unsigned char)*at))
        return -1;
    for (; isdigit((unsigned char)*at); at++) {
        int digit = *at - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return -1;
    }
    if (*at || value < min || value > max)
        return -1;
    *ret_value = value;
    return 0;
}

// Reads "12" or "1.25" and leaves *text behind it. The value is whole + thousandths / 1000; digits
// past the third are cut, so that "0.0001" is nothing rather than wrong.
static int read_decimal(const char **text, uint64_t *ret_whole, uint64_t *ret_thousandths)
{
    const char *at = *text;
    uint64_t whole = 0, part = 0;
    if (!isdigit((unsigned char)*at))
        return -1;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole))
            return -1;
    if (*at == '.') {
        at++;
        if (!isdigit((unsigned char)*at))
            return -1;
        uint64_t scale = 100;
        for (; isdigit((unsigned char)*at); at++, scale /= 10)
            part += (uint64_t)(*at - '0') * scale;
    }
    *text = at;
    *ret_whole = whole;
    *ret_thousandths = part;
    return 0;
}

// (whole + thousandths / 1000) * factor.
static int scale_decimal(uint64_t whole, uint64_t thousandths, uint64_t factor, uint64_t *ret_value)
{
    uint64_t value, part;
    if (__builtin_mul_overflow(whole, factor, &value) ||
        __builtin_mul_overflow(thousandths, factor, &part) ||
        __builtin_add_overflow(value, part / 1000, &value))
        return -1;
    *ret_value = value;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000},
};

static const struct unit byte_units[] = {
    {"", 1}, {"b", 1}, {"k", 1ULL << 10}, {"m", 1ULL << 20}, {"g", 1ULL << 30}, {"t", 1ULL << 40},
};

static uint64_t find_factor(const struct unit *units, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(units[i].name) == length && strncasecmp(units[i].name, name, length) == 0)
            return units[i].factor;
    return 0;
}

// One "5m" of "1h5m"; a number alone counts seconds and must be the only one.
static int read_duration_part(const char **text, int first, uint64_t *total)
{
    uint64_t whole, part, value;
    if (read_decimal(text, &whole, &part) < 0)
        return -1;
    size_t length = 0;
    while (isalpha((unsigned char)(*text)[length]))
        length++;
    int bare = length == 0 && first && !**text;
    uint64_t factor = bare ? 1000 : find_factor(time_units, ARRAY_SIZE(time_units), *text, length);
    if (factor == 0 || scale_decimal(whole, part, factor, &value) < 0)
        return -1;
    *text += length;
    return __builtin_add_overflow(*total, value, total) ? -1 : 0;
}

int units_parse_duration(const char *text, int64_t *ret_ms)
{
    uint64_t total = 0;
    int first = 1;
    do {
        if (read_duration_part(&text, first, &total) < 0)
            return -1;
        first = 0;
    } while (*text);
    if (total > INT64_MAX)
        return -1;
    *ret_ms = (int64_t)total;
    return 0;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    uint64_t whole, part;
    if (read_decimal(&text, &whole, &part) < 0)
        return -1;
    size_t length = strlen(text);
    if (length > 1 && (strcasecmp(text + 1, "ib") == 0 || strcasecmp(text + 1, "b") == 0))
        length = 1;
    uint64_t factor = find_factor(byte_units, ARRAY_SIZE(byte_units), text, length);
    return factor == 0 ? -1 : scale_decimal(whole, part, factor, ret_bytes);
}

int units_parse_millis(const char *text, int64_t *ret_millis)
{
    uint64_t whole, part, value;
    if (read_decimal(&text, &whole, &part) < 0 || *text ||
        scale_decimal(whole, part, 1000, &value) < 0 || value > INT64_MAX)
        return -1;
    *ret_millis = (int64_t)value;
    return 0;
}

const char *units_duration(int64_t ms, char text[UNITS_SIZE])
{
    static const struct {
        int64_t below, unit;
        const char *name;
    } rows[] = {{1000, 1, "ms"},
                {120 * 1000LL, 1000, "s"},
                {120 * 60000LL, 60000, "m"},
                {48 * 3600000LL, 3600000, "h"},
                {INT64_MAX, 86400000, "d"}};
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(rows) && ms >= rows[i].below)
        i++;
    snprintf(text, UNITS_SIZE, "%" PRId64 "%s", ms / rows[i].unit, rows[i].name);
    return text;
}

const char *units_bytes(uint64_t bytes, char text[UNITS_SIZE])
{
    static const char names[] = "BKMGTPE";
    size_t i = 0;
    uint64_t unit = 1;
    while (i + 2 < sizeof(names) && bytes / unit >= 1024) {
        unit <<= 10;
        i++;
    }
    uint64_t tenths = i == 0 ? 0 : bytes % unit * 10 / unit;
    if (tenths && bytes / unit < 100)
        snprintf(text, UNITS_SIZE, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit, tenths, names[i]);
    else
        snprintf(text, UNITS_SIZE, "%" PRIu64 "%c", bytes / unit, names[i]);
    return text;
}
