// SPDX-License-Identifier: Apache-2.0
// Times of services. Layer: net.
#include "net/when.h"

#include <stdio.h>
#include <stdlib.h>

// Days since 1970-01-01 of a date of the Gregorian calendar.
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t fraction_ms(const char **text)
{
    int64_t ms = 0, scale = 100;
    if (**text != '.')
        return 0;
    for (++*text; **text >= '0' && **text <= '9'; ++*text, scale /= 10)
        ms += (**text - '0') * scale;
    return ms;
}

int64_t when_parse(const char *text)
{
    int year, month, day, hour, minute, second, used = 0, zone_hour, zone_minute;
    char sign;
    if (!text ||
        sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
               &second, &used) != 6 ||
        year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    text += used;
    int64_t ms = fraction_ms(&text);
    int64_t zone = 0;
    while (*text == ' ')
        text++;
    if (sscanf(text, "%1[+-]%2d:%2d", (char[2]){0}, &zone_hour, &zone_minute) == 3 ||
        sscanf(text, "%1[+-]%2d%2d", (char[2]){0}, &zone_hour, &zone_minute) == 3) {
        sign = *text;
        zone = (zone_hour * 60 + zone_minute) * (sign == '-' ? -60000LL : 60000LL);
    }
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return seconds * 1000 + ms - zone;
}
