// SPDX-License-Identifier: Apache-2.0
// A directory for one test, removed with all in it.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/tree.h"

// Group set-up and tear-down: the path is *state.
static inline int scratch_setup(void **state)
{
    char template[] = "/tmp/sandboxes-test-XXXXXX";
    *state = mkdtemp(template) ? strdup(template) : NULL;
    return *state ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
    int result = tree_remove(AT_FDCWD, *state);
    free(*state);
    return result;
}
