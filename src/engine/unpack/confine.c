// SPDX-License-Identifier: Apache-2.0
/*
 * Confinement: resource limits, capabilities, Landlock, a seccomp filter. No chroot: a library that
 * loads modules on demand would find the archive's there. Layer: engine.
 */
#include "engine/unpack/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"

#define MEMORY_MAX (UINT64_C(2) << 30)
#define OPEN_FILES_MAX 32

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static int limit_resources(uint64_t bytes_max, struct sbx_error *err)
{
    const struct {
        int resource;
        uint64_t value;
    } limits[] = {
#ifndef SANITIZED // whose shadow memory is huge
        {RLIMIT_AS, MEMORY_MAX},
#endif
        {RLIMIT_FSIZE, bytes_max},
        {RLIMIT_NOFILE, OPEN_FILES_MAX},
        {RLIMIT_CORE, 0},
    };
    signal(SIGXFSZ, SIG_IGN); // EFBIG instead
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct rlimit limit = {limits[i].value, limits[i].value};
        if (setrlimit(limits[i].resource, &limit) < 0)
            return err_sys(err, 0, errno, "the unpacker cannot limit itself");
    }
    return 0;
}

// As root: enough to give files to their owners, and no more.
static int drop_capabilities(struct sbx_error *err)
{
    const uint64_t keep = CAPS_BIT(0 /* CHOWN */) | CAPS_BIT(1 /* DAC_OVERRIDE */) |
                          CAPS_BIT(3 /* FOWNER */) | CAPS_BIT(4 /* FSETID */);
    if (geteuid() == 0 && caps_keep(keep) < 0)
        return err_sys(err, 0, errno, "the unpacker cannot drop its capabilities");
    return 0;
}

// All that Landlock knows to forbid in files, as its version has it.
static uint64_t handled_rights(long version)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return rights;
}

static int restrict_files(int dir_fd, struct sbx_error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2) // none; or one that forbids hard links across directories
        return 0;
    struct landlock_ruleset_attr attributes = {.handled_access_fs = handled_rights(version)};
    cleanup_fd int rules =
        (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = attributes.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE &
                          ~(uint64_t)LANDLOCK_ACCESS_FS_MAKE_CHAR &
                          ~(uint64_t)LANDLOCK_ACCESS_FS_MAKE_BLOCK,
        .parent_fd = dir_fd,
    };
    if (rules < 0 ||
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys(err, 0, errno, "the unpacker cannot confine itself to its directory");
    return 0;
}

// System calls that unpacking never needs: programs, processes, network, mounts, other processes.
static const int forbidden[] = {
    SYS_execve,
    SYS_execveat,
    SYS_clone,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_open_by_handle_at,
    SYS_kill,
    SYS_tkill,
    SYS_prlimit64,
    SYS_personality,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
#ifdef SYS_clone3
    SYS_clone3,
#endif
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
#ifdef SYS_pidfd_send_signal
    SYS_pidfd_send_signal,
#endif
};

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define NUMBERS_END 0x40000000u // x32's begin here
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define NUMBERS_END UINT32_MAX
#endif

int confine_calls(struct sbx_error *err)
{
#ifdef ARCH
    enum { COUNT = ARRAY_SIZE(forbidden) };
    struct sock_filter code[5 + 2 * COUNT + 1] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NUMBERS_END, 1, 0),
    };
    size_t at = 5;
    for (size_t i = 0; i < COUNT; i++) {
        // The first return is also where x32's numbers land.
        code[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)forbidden[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)at, code};
    // For all threads; a positive number is one for which it failed.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return err_sys(err, 0, errno, "the unpacker cannot filter its system calls");
#endif
    return 0;
}

int confine_rights(int dir_fd, uint64_t bytes_max, struct sbx_error *err)
{
    int rc = limit_resources(bytes_max, err);
    if (rc == 0)
        rc = drop_capabilities(err);
    if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        rc = err_sys(err, 0, errno, "the unpacker cannot renounce privileges");
    return rc < 0 ? rc : restrict_files(dir_fd, err);
}
