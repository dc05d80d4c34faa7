// SPDX-License-Identifier: Apache-2.0
// errno(3) for processes that share memory, one for each stack of lean.h: takes the place of the C
// library's, which is found by a register that they share too. For programs of one thread. Layer:
// base.
#include <errno.h>

#include "base/lean.h"

#ifndef __GLIBC__
int *___errno_location(void); // what musl calls it by

int *__errno_location(void)
{
    static int numbers[LEAN_GUESTS + 1];
    return &numbers[lean_whose_stack(__builtin_frame_address(0))];
}

int *___errno_location(void)
{
    return __errno_location();
}
#endif
