// SPDX-License-Identifier: Apache-2.0
// Checks of single fields, shared by check.c and check_spec.c. Layer: core.
#pragma once

#include "core/check.h"

int check_absolute(const char *path, const char *what, struct sbx_error *err);
int check_user(const char *user, const char *what, struct sbx_error *err); // NULL is fine
int check_env(const struct sbx_pair *env, size_t count, const char *what, struct sbx_error *err);
int check_count(const void *array, size_t count, size_t most, const char *what,
                struct sbx_error *err);
