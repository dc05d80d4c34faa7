// SPDX-License-Identifier: Apache-2.0
// The form of a row of seccomp_policy.def, for those who read the table: the compiler and the test.
// Layer: jail.
#pragma once

#include <stdint.h>

#define CONDITIONS_MAX 3
#define VALUES_MAX 8

enum condition_kind { COND_NONE, COND_IN, COND_ANY };

struct condition {
    enum condition_kind kind;
    uint32_t argument, mask;
    uint32_t values[VALUES_MAX];
    uint32_t count;
};

struct row {
    const char *names; // separated by single spaces
    const char *reason;
    uint32_t verdict; // SECCOMP_RET_*
    struct condition conditions[CONDITIONS_MAX];
};

#define COUNT_OF(...) (sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
#define IN(argument, mask, ...)                                                                    \
    {                                                                                              \
        COND_IN, (argument), (mask), {__VA_ARGS__}, COUNT_OF(__VA_ARGS__)                          \
    }
#define ANY(argument, bits)                                                                        \
    {                                                                                              \
        COND_ANY, (argument), UINT32_MAX, {(uint32_t)(bits)}, 1                                    \
    }

// The table's verdicts are ALLOW and names of error numbers.
#define ALLOW 0x7fff
#define VERDICT(verdict) ((verdict) == ALLOW ? 0x7fff0000U : 0x00050000U | (uint32_t)(verdict))

#define ROW(verdict, names, reason, ...) {names, reason, VERDICT(verdict), {__VA_ARGS__}},
