// SPDX-License-Identifier: Apache-2.0
// Hostile checks that are one system call each, with arguments that do nothing where it is let
// through.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HIGH (1UL << 32)
#define PTR(x) ((long)(x))
#define NOWHERE PTR("/nonexistent/file")

// Newer than the headers of some distributions.
#define CALL_PIDFD_GETFD 438
#define CALL_OPEN_TREE 428
#define CALL_MOVE_MOUNT 429
#define CALL_FSOPEN 430
#define CALL_FSCONFIG 431
#define CALL_FSMOUNT 432
#define CALL_FSPICK 433
#define CALL_CLONE3 435
#define CALL_PROCESS_MADVISE 440
#define CALL_MOUNT_SETATTR 442
#define CALL_QUOTACTL_FD 443
#define CALL_MEMFD_SECRET 447
#define CALL_SET_MEMPOLICY_HOME_NODE 450

// What a call may answer beside EPERM, EACCES and ENOSYS without having done its work.
enum also { NOTHING, NO_FAMILY, ANY_ERROR };

struct call {
    const char *row;
    const char *name;
    long number;
    long args[6];
    enum also also;
};

static char page[4096] __attribute__((aligned(4096)));
static uint64_t zeroes[32];
static struct timespec soon;
// perf_event_attr: PERF_TYPE_SOFTWARE, size, PERF_COUNT_SW_TASK_CLOCK, user only.
static uint32_t perf_attr[32] = {1, 128, 1};
// bpf_attr of BPF_MAP_CREATE: array, key and value of 4 bytes, 1 entry.
static uint32_t bpf_map[32] = {2, 4, 4, 1};
static uint64_t bad_timex[26];
static struct iovec some = {page, sizeof(page)};
static uint64_t clone3_args[11];
static int pipe_ends[2];

#define UNSHARE(flag)                                                                              \
    {                                                                                              \
        "13", "unshare " #flag, SYS_unshare, {flag}, NOTHING                                       \
    }
#define CLONE(flag)                                                                                \
    {                                                                                              \
        "13", "clone " #flag, SYS_clone, {flag | SIGCHLD}, NOTHING                                 \
    }
#define SOCKET(name, family, type, protocol)                                                       \
    {                                                                                              \
        "33", "socket " name, SYS_socket, {family, type, protocol}, NO_FAMILY                      \
    }

static const struct call calls[] = {
    {"5", "kcmp on process 1", SYS_kcmp, {1, 1, 0, 0, 0}, NOTHING},
    {"5",
     "process_vm_readv of process 1",
     SYS_process_vm_readv,
     {1, PTR(&some), 1, PTR(&some), 1},
     NOTHING},
    {"10",
     "mount tmpfs",
     SYS_mount,
     {PTR("none"), PTR("/tmp"), PTR("tmpfs"), MS_NOSUID, 0},
     NOTHING},
    {"10", "mount proc", SYS_mount, {PTR("none"), PTR("/tmp"), PTR("proc"), 0, 0}, NOTHING},
    {"10", "mount cgroup2", SYS_mount, {PTR("none"), PTR("/tmp"), PTR("cgroup2"), 0, 0}, NOTHING},
    {"10", "mount bind", SYS_mount, {PTR("/"), PTR("/tmp"), 0, MS_BIND, 0}, NOTHING},
    {"10", "mount make-shared", SYS_mount, {0, PTR("/"), 0, MS_SHARED, 0}, NOTHING},
    {"10", "fsopen", CALL_FSOPEN, {PTR("tmpfs"), 0}, NOTHING},
    {"10", "fsconfig", CALL_FSCONFIG, {-1, 0, 0, 0, 0}, NOTHING},
    {"10", "fsmount", CALL_FSMOUNT, {-1, 0, 0}, NOTHING},
    {"10", "fspick", CALL_FSPICK, {AT_FDCWD, PTR("/"), 0}, NOTHING},
    {"10", "open_tree", CALL_OPEN_TREE, {AT_FDCWD, PTR("/"), 1 | O_CLOEXEC}, NOTHING},
    {"10", "move_mount", CALL_MOVE_MOUNT, {-1, PTR(""), AT_FDCWD, PTR("/tmp"), 4}, NOTHING},
    {"10", "mount_setattr", CALL_MOUNT_SETATTR, {AT_FDCWD, PTR("/"), 0, PTR(zeroes), 32}, NOTHING},
    {"12", "umount2 /proc", SYS_umount2, {PTR("/proc"), MNT_DETACH | 8}, NOTHING},
    {"12", "pivot_root", SYS_pivot_root, {PTR("."), PTR(".")}, NOTHING},
    {"12", "chroot", SYS_chroot, {PTR("/")}, NOTHING},
    UNSHARE(CLONE_NEWUSER),
    UNSHARE(CLONE_NEWUSER | CLONE_NEWNS),
    UNSHARE(CLONE_NEWNS),
    UNSHARE(CLONE_NEWNET),
    UNSHARE(CLONE_NEWPID),
    UNSHARE(CLONE_NEWIPC),
    UNSHARE(CLONE_NEWUTS),
    UNSHARE(CLONE_NEWCGROUP),
    UNSHARE(CLONE_NEWTIME),
    CLONE(CLONE_NEWUSER),
    CLONE(CLONE_NEWNS),
    CLONE(CLONE_NEWNET),
    CLONE(CLONE_NEWPID),
    CLONE(CLONE_NEWCGROUP),
    {"13", "clone3", CALL_CLONE3, {PTR(clone3_args), sizeof(clone3_args)}, NOTHING},
    {"15", "setns by descriptor", SYS_setns, {-1, CLONE_NEWNS}, NOTHING},
    {"17", "keyctl session keyring", SYS_keyctl, {0, -3, 0}, NOTHING},
    {"17", "keyctl join session", SYS_keyctl, {1, 0}, NOTHING},
    {"17", "add_key", SYS_add_key, {PTR("user"), PTR("x"), PTR("y"), 1, -3}, NOTHING},
    {"17", "request_key", SYS_request_key, {PTR("user"), PTR("x"), 0, -3}, NOTHING},
    {"18", "bpf map", SYS_bpf, {0, PTR(bpf_map), sizeof(bpf_map)}, NOTHING},
    {"18", "bpf program", SYS_bpf, {5, PTR(zeroes), 128}, NOTHING},
    {"19", "userfaultfd", SYS_userfaultfd, {0}, NOTHING},
    {"19", "userfaultfd user mode", SYS_userfaultfd, {1}, NOTHING},
    {"20", "io_uring_setup", SYS_io_uring_setup, {1, PTR(zeroes)}, NOTHING},
    {"20", "io_uring_enter", SYS_io_uring_enter, {-1, 0, 0, 0, 0, 0}, NOTHING},
    {"20", "io_uring_register", SYS_io_uring_register, {-1, 0, 0, 0}, NOTHING},
    {"21", "perf_event_open", SYS_perf_event_open, {PTR(perf_attr), 0, -1, -1, 0}, NOTHING},
    {"22", "fanotify_init", SYS_fanotify_init, {0x200, 0}, NOTHING},
    {"22", "fanotify_mark", SYS_fanotify_mark, {-1, 1, 1, AT_FDCWD, NOWHERE}, NOTHING},
    {"22", "quotactl", SYS_quotactl, {0x80000400, NOWHERE, 0, PTR(page)}, NOTHING},
    {"22", "quotactl_fd", CALL_QUOTACTL_FD, {-1, 0x80000400, 0, PTR(page)}, NOTHING},
    {"22", "lookup_dcookie", SYS_lookup_dcookie, {1, PTR(page), sizeof(page)}, NOTHING},
    {"22", "acct", SYS_acct, {NOWHERE}, NOTHING},
    {"22", "swapon", SYS_swapon, {NOWHERE, 0}, NOTHING},
    {"22", "swapoff", SYS_swapoff, {NOWHERE}, NOTHING},
    {"22", "personality", SYS_personality, {ADDR_NO_RANDOMIZE}, NOTHING},
    {"22", "mbind", SYS_mbind, {PTR(page), sizeof(page), 0, 0, 0, 0}, NOTHING},
    {"22", "set_mempolicy", SYS_set_mempolicy, {0, 0, 0}, NOTHING},
    {"22", "home node", CALL_SET_MEMPOLICY_HOME_NODE, {PTR(page), sizeof(page), 0, 0}, NOTHING},
    {"22", "move_pages", SYS_move_pages, {0, 0, 0, 0, 0, 0}, NOTHING},
    {"22", "migrate_pages", SYS_migrate_pages, {0, 0, 0, 0}, NOTHING},
    {"22", "kcmp", SYS_kcmp, {1, 1, 0, 0, 0}, NOTHING},
    {"22", "vmsplice", SYS_vmsplice, {-1, PTR(&some), 1, 0}, NOTHING},
    {"22", "memfd_secret", CALL_MEMFD_SECRET, {0}, NOTHING},
    {"22", "process_madvise", CALL_PROCESS_MADVISE, {-1, PTR(&some), 1, 4, 0}, NOTHING},
    {"22",
     "name_to_handle_at",
     SYS_name_to_handle_at,
     {AT_FDCWD, PTR("/"), PTR(page), PTR(zeroes), 0},
     NOTHING},
    {"22", "open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, PTR(page), 0}, NOTHING},
#ifdef __x86_64__
    {"22", "iopl", SYS_iopl, {3}, NOTHING},
    {"22", "ioperm", SYS_ioperm, {0x80, 1, 1}, NOTHING},
    {"22", "modify_ldt", SYS_modify_ldt, {0, PTR(page), sizeof(page)}, NOTHING},
    {"22", "uselib", SYS_uselib, {NOWHERE}, NOTHING},
    {"22", "_sysctl", SYS__sysctl, {PTR(zeroes)}, NOTHING},
#endif
    {"22", "nfsservctl", SYS_nfsservctl, {0, 0, 0}, NOTHING},
    {"23", "reboot with a bad magic", SYS_reboot, {1, 2, 3, 0}, NOTHING},
    {"23", "kexec_load", SYS_kexec_load, {0, 0, 0, -1}, NOTHING},
    {"23", "kexec_file_load", SYS_kexec_file_load, {-1, -1, 0, 0, -1}, NOTHING},
    {"23", "init_module", SYS_init_module, {PTR(page), 0, PTR("")}, NOTHING},
    {"23", "finit_module", SYS_finit_module, {-1, PTR(""), 0}, NOTHING},
    {"23", "delete_module", SYS_delete_module, {PTR("no-such-module"), O_NONBLOCK}, NOTHING},
    {"24", "clock_settime", SYS_clock_settime, {0, PTR(&soon)}, NOTHING},
    {"24", "settimeofday", SYS_settimeofday, {PTR(zeroes), 0}, NOTHING},
    {"24", "adjtimex", SYS_adjtimex, {PTR(bad_timex)}, NOTHING},
    {"24", "clock_adjtime", SYS_clock_adjtime, {0, PTR(bad_timex)}, NOTHING},
    {"25", "syslog read all", SYS_syslog, {3, PTR(page), sizeof(page)}, NOTHING},
    {"25", "syslog size", SYS_syslog, {10, 0, 0}, NOTHING},
#ifdef __x86_64__
    {"27", "getpid of the x32 ABI", SYS_getpid | 0x40000000, {0}, NOTHING},
    {"27", "unshare of the x32 ABI", SYS_unshare | 0x40000000, {CLONE_NEWUSER}, NOTHING},
#endif
    {"28", "TIOCSTI with high bits", SYS_ioctl, {0, (long)(TIOCSTI | HIGH), PTR("\n")}, NOTHING},
    {"28",
     "TIOCLINUX with high bits",
     SYS_ioctl,
     {0, (long)(TIOCLINUX | HIGH), PTR(page)},
     NOTHING},
    {"28", "clone with high bits", SYS_clone, {(long)(CLONE_NEWUSER | SIGCHLD | HIGH)}, NOTHING},
    {"28", "unshare with high bits", SYS_unshare, {(long)(CLONE_NEWUSER | HIGH)}, ANY_ERROR},
    {"28",
     "personality with high bits",
     SYS_personality,
     {(long)(ADDR_NO_RANDOMIZE | HIGH)},
     NOTHING},
    {"28",
     "raw socket with high bits",
     SYS_socket,
     {(long)(AF_INET | HIGH), (long)(SOCK_RAW | HIGH), IPPROTO_ICMP},
     NOTHING},
    {"28",
     "core scheduling with high bits",
     SYS_prctl,
     {(long)(62 | HIGH), 0, 0, 0, PTR(zeroes)},
     NOTHING},
    {"30", "TIOCSTI", SYS_ioctl, {0, TIOCSTI, PTR("\n")}, NOTHING},
    {"30", "TIOCLINUX", SYS_ioctl, {0, TIOCLINUX, PTR(page)}, NOTHING},
    {"30", "TIOCSETD", SYS_ioctl, {0, TIOCSETD, PTR(zeroes)}, NOTHING},
    {"30", "TIOCCONS", SYS_ioctl, {-1, TIOCCONS, 0}, NOTHING},
    SOCKET("raw ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP),
    SOCKET("raw TCP", AF_INET, SOCK_RAW, IPPROTO_TCP),
    SOCKET("raw IPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6),
    SOCKET("packet", AF_PACKET, SOCK_RAW, 0x300),
    SOCKET("packet, datagrams", AF_PACKET, SOCK_DGRAM, 0x300),
    SOCKET("old packet", AF_INET, SOCK_PACKET, 0x300),
    SOCKET("netfilter", AF_NETLINK, SOCK_RAW, 12),
    SOCKET("netlink diag", AF_NETLINK, SOCK_RAW, 4),
    SOCKET("netlink xfrm", AF_NETLINK, SOCK_RAW, 6),
    SOCKET("netlink audit", AF_NETLINK, SOCK_RAW, 9),
    SOCKET("netlink generic", AF_NETLINK, SOCK_RAW, 16),
    SOCKET("vsock", 40, SOCK_STREAM, 0),
    SOCKET("kernel crypto", 38, SOCK_SEQPACKET, 0),
    SOCKET("bluetooth", 31, SOCK_RAW, 1),
    SOCKET("X.25", 9, SOCK_SEQPACKET, 0),
    SOCKET("RDS", 21, SOCK_SEQPACKET, 0),
    SOCKET("TIPC", 30, SOCK_SEQPACKET, 0),
    SOCKET("CAN", 29, SOCK_RAW, 1),
    SOCKET("XDP", 44, SOCK_RAW, 0),
    SOCKET("SMC", 43, SOCK_STREAM, 0),
    SOCKET("Qualcomm router", 42, SOCK_DGRAM, 0),
    SOCKET("KCM", 41, SOCK_DGRAM, 0),
    SOCKET("NFC", 39, SOCK_STREAM, 0),
    SOCKET("SCTP", AF_INET, SOCK_STREAM, 132),
    SOCKET("DCCP", AF_INET, 6, 33),
    {"54", "core scheduling", SYS_prctl, {62, 1, 0, 0, 0}, NOTHING},
    {"16", "unshare time namespace", SYS_unshare, {CLONE_NEWTIME}, NOTHING},
};

size_t calls_count(void)
{
    return sizeof(calls) / sizeof(calls[0]);
}

const char *calls_row(size_t index)
{
    return calls[index].row;
}

const char *calls_name(size_t index)
{
    return calls[index].name;
}

// Arguments that must be made while running: a clock that is set to what it says, a tick out of
// range, clone3 of a user namespace.
static void make_arguments(void)
{
    clock_gettime(CLOCK_REALTIME, &soon);
    zeroes[0] = (uint64_t)soon.tv_sec;
    zeroes[1] = (uint64_t)soon.tv_nsec / 1000;
    struct timex *timex = (struct timex *)bad_timex;
    timex->modes = ADJ_TICK;
    timex->tick = 1;
    clone3_args[0] = CLONE_NEWUSER;
    clone3_args[4] = SIGCHLD;
    if (!pipe(pipe_ends))
        some.iov_len = 1;
}

void calls_run(size_t index, struct result *result)
{
    const struct call *call = &calls[index];
    make_arguments();
    if (call->number != SYS_settimeofday)
        memset(zeroes, 0, sizeof(zeroes));
    if (call->number == SYS_perf_event_open)
        perf_attr[10] = 0x60; // exclude_kernel, exclude_hv
    const long *args = call->args;
    pid_t self = getpid();
    long returned = syscall(call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
    int refusal = errno;
    if (returned == 0 && getpid() != self)
        _exit(0); // a child that clone should not have made
    bool family =
        refusal == EAFNOSUPPORT || refusal == EPROTONOSUPPORT || refusal == ESOCKTNOSUPPORT;
    if (returned < 0 && ((call->also == NO_FAMILY && family) || call->also == ANY_ERROR))
        return result_ok(result, "%s", strerrorname_np(refusal));
    errno = refusal;
    result_refused(result, returned);
}
