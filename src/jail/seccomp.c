// SPDX-License-Identifier: Apache-2.0
#include "jail/seccomp.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#include "seccomp_code.h" // made by tools/seccomp-compile.c

#define SET_MODE_FILTER 1 // SECCOMP_SET_MODE_FILTER

const struct seccomp_program *seccomp_program(void)
{
#if defined(__x86_64__)
    static const struct seccomp_program program = {ARRAY_SIZE(seccomp_x86_64), seccomp_x86_64};
#elif defined(__aarch64__)
    static const struct seccomp_program program = {ARRAY_SIZE(seccomp_aarch64), seccomp_aarch64};
#else
#error "seccomp_policy.def is not compiled for this machine"
#endif
    return &program;
}

int seccomp_install(unsigned flags, struct sbx_error *err)
{
    if (!syscall(SYS_seccomp, SET_MODE_FILTER, flags, seccomp_program()))
        return 0;
    int code = err_sys(err, SBX_ERR_SETUP, errno, "cannot load the system-call filter");
    err_hint(err,
             "the kernel needs CONFIG_SECCOMP_FILTER; inside a container, its runtime must allow "
             "seccomp(2)");
    return code;
}
