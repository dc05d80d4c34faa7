// SPDX-License-Identifier: Apache-2.0
// The system calls that a sandbox may make: loads the program that the build has made of
// seccomp_policy.def. seccomp(2). Layer: jail.
#pragma once

#include <stdint.h>

#include "base/error.h"

// As struct sock_filter and struct sock_fprog of <linux/filter.h>, which a C library for static
// programs may lack.
struct seccomp_code {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct seccomp_program {
    uint16_t length;
    const struct seccomp_code *code;
};

// This machine's program.
const struct seccomp_program *seccomp_program(void);

// Binds the calling thread and all it will start, for good. no_new_privs must be set before. flags:
// SECCOMP_FILTER_FLAG_*, usually 0.
int seccomp_install(unsigned flags, struct sbx_error *err);
