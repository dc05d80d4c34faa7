// SPDX-License-Identifier: Apache-2.0
/*
 * A seccomp program from a table: what the loop, libslirp, GLib's and libc's memory need, nothing
 * else. No new processes, programs, files for writing, executable memory; sockets for IPv4, IPv6
 * and the kernel's address lists only, so none of the machine's unix sockets. Layer: netstack.
 */
#include "netstack/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "add this architecture's audit number"
#endif

#define X32_BIT 0x40000000u

// Often used ones first: the program looks through them in this order.
static const uint16_t allowed[] = {
    SYS_read,
    SYS_write,
    SYS_recvfrom,
    SYS_sendto,
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_ppoll,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_connect,
    SYS_close,
    SYS_fcntl,
    SYS_shutdown,
    SYS_getsockname,
    SYS_getpeername,
    SYS_bind, // netlink; TCP ports are Landlock's
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_getrandom,
    // Memory.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    // Looking at /etc/resolv.conf.
    SYS_newfstatat,
    SYS_fstat,
    SYS_lseek,
#ifdef SYS_stat
    SYS_stat,
#endif
    // The end.
    SYS_exit_group,
    SYS_exit,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_restart_syscall,
    SYS_getpid,
    SYS_gettid,
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n) LOAD(args[n]) // its low half; both architectures are little-endian
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define SKIP_IF(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (count), 0)
#define SKIP_IF_SET(bits, count) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (count), 0)
#define SKIP_BELOW(value, count) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), 0, (count))
#define END(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define ALLOW END(SECCOMP_RET_ALLOW)
#define DENY(error) END(SECCOMP_RET_ERRNO | (error))
#define KILL END(SECCOMP_RET_KILL_PROCESS)

// A call with a condition on one argument.
#define GUARD_BITS(call, n, bits)                                                                  \
    SKIP_UNLESS(call, 4), LOAD_ARG(n), SKIP_IF_SET(bits, 1), ALLOW, DENY(EPERM)
#define GUARD_VALUE(call, n, value)                                                                \
    SKIP_UNLESS(call, 4), LOAD_ARG(n), SKIP_UNLESS(value, 1), ALLOW, DENY(EPERM)

static const struct sock_filter head[] = {
    LOAD(arch), SKIP_IF(ARCH, 1), KILL, LOAD(nr), SKIP_BELOW(X32_BIT, 1), KILL,
};

// The number is still loaded when a call did not match; each that does ends in a verdict.
static const struct sock_filter tail[] = {
    GUARD_BITS(SYS_mmap, 2, PROT_EXEC),
    GUARD_BITS(SYS_mprotect, 2, PROT_EXEC),
    GUARD_BITS(SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC),
    GUARD_VALUE(SYS_ioctl, 1, FIONREAD),
    // Sockets: not raw ones, and of three families.
    SKIP_UNLESS(SYS_socket, 11),
    LOAD_ARG(0),
    SKIP_IF(AF_NETLINK, 6),
    SKIP_IF(AF_INET, 1),
    SKIP_UNLESS(AF_INET6, 7),
    LOAD_ARG(1),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
    SKIP_IF(SOCK_RAW, 4),
    ALLOW,
    LOAD_ARG(2),
    SKIP_UNLESS(0, 1), // NETLINK_ROUTE
    ALLOW,
    DENY(EPERM),
};

#define PROGRAM_SIZE (ARRAY_SIZE(head) + 2 * ARRAY_SIZE(allowed) + ARRAY_SIZE(tail))

static size_t append(struct sock_filter *program, size_t at, const struct sock_filter *part,
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        program[at++] = part[i];
    return at;
}

int syscalls_restrict(struct sbx_error *err)
{
    struct sock_filter program[PROGRAM_SIZE];
    size_t at = append(program, 0, head, ARRAY_SIZE(head));
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
        const struct sock_filter pair[] = {SKIP_UNLESS(allowed[i], 1), ALLOW};
        at = append(program, at, pair, ARRAY_SIZE(pair));
    }
    at = append(program, at, tail, ARRAY_SIZE(tail));
    struct sock_fprog filter = {.len = (unsigned short)at, .filter = program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
        return err_sys(err, 0, errno, "seccomp");
    return 0;
}
