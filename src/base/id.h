// SPDX-License-Identifier: Apache-2.0
// Random identifiers. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// "sb-" and 12 characters of [a-z0-5], 60 random bits, with NUL.
#define ID_SIZE 16

int id_random(void *data, size_t size); // -1 and errno on failure
int id_new(char ret_id[ID_SIZE]);
bool id_valid(const char *id); // [a-z0-9-], 1 to 63 characters, not beginning with '-'
