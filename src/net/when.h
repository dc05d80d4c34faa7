// SPDX-License-Identifier: Apache-2.0
// Times of services. Layer: net.
#pragma once

#include <stdint.h>

// Milliseconds of Unix time for "2026-11-21T03:09:54.4+01:00" (RFC 3339, also with a space for T
// and without a zone, which is UTC); 0 for what is none.
int64_t when_parse(const char *text);
