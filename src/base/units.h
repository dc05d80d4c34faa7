// SPDX-License-Identifier: Apache-2.0
// Quantities as people write and read them: "5m", "512m", "1.5". Layer: base.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Each returns 0, or -1 when the text is no such quantity or does not fit; ret_* is untouched then.

// Decimal integer within [min, max].
int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value);

// "90" (seconds), "1.5s", "250ms", "5m", "2h", "1d", "1h30m". Not negative.
int units_parse_duration(const char *text, int64_t *ret_ms);

// "4096", "512k", "1.5g", "64MiB": powers of 1024, optional "b" or "ib", any case.
int units_parse_bytes(const char *text, uint64_t *ret_bytes);

// "1.5" as 1500. At most three digits after the point.
int units_parse_millis(const char *text, int64_t *ret_millis);

#define UNITS_SIZE 24

// Short forms for tables: "3m", "2h", "12.5M". `text` has room for UNITS_SIZE bytes.
const char *units_duration(int64_t ms, char text[UNITS_SIZE]);
const char *units_bytes(uint64_t bytes, char text[UNITS_SIZE]);
