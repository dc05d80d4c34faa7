// SPDX-License-Identifier: Apache-2.0
/*
 * Unit: jail/seccomp. Runs the compiled programs of both machines over made-up calls, as the kernel
 * would, and compares them with a plain reading of the table; then says by hand what must be
 * refused.
 */
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SECCOMP_ALL_MACHINES
#include "base/cleanup.h"
#include "jail/seccomp.h"
#include "jail/seccomp_rows.h"
#include "seccomp_code.h"

static const struct row rows[] = {
#include "jail/seccomp_policy.def"
};

#define KNOWN_NUMBERS 600 // more than any machine has
#define KILL SECCOMP_RET_KILL_PROCESS
#define HIGH_BITS 0xdeadbeef00000000ULL

struct machine {
    uint32_t arch, scmp_arch;
    const struct seccomp_code *code;
    size_t length;
};

static const struct machine machines[] = {
    {AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, seccomp_x86_64, ARRAY_SIZE(seccomp_x86_64)},
    {AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, seccomp_aarch64, ARRAY_SIZE(seccomp_aarch64)},
};

// ---- the kernel's part: classic BPF over struct seccomp_data, as seccomp_check_filter() admits it

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;
    assert_true(offset % 4 == 0 && offset + 4 <= sizeof(*data));
    memcpy(&word, (const char *)data + offset, sizeof(word));
    return word;
}

static bool jumps(const struct seccomp_code *at, uint32_t a)
{
    switch (at->code) {
    case BPF_JMP | BPF_JEQ | BPF_K:
        return a == at->k;
    case BPF_JMP | BPF_JGE | BPF_K:
        return a >= at->k;
    case BPF_JMP | BPF_JSET | BPF_K:
        return a & at->k;
    default:
        fail_msg("unknown instruction 0x%x", at->code);
        return false;
    }
}

static uint32_t run(const struct machine *machine, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < machine->length; pc++) {
        const struct seccomp_code *at = &machine->code[pc];
        if (at->code == (BPF_RET | BPF_K))
            return at->k;
        if (at->code == (BPF_LD | BPF_W | BPF_ABS))
            a = load(data, at->k);
        else if (at->code == (BPF_ALU | BPF_AND | BPF_K))
            a &= at->k;
        else if (at->code == (BPF_JMP | BPF_JA))
            pc += at->k;
        else
            pc += jumps(at, a) ? at->jt : at->jf;
    }
    fail_msg("ran past the end");
    return 0;
}

// ---- the table read plainly

static bool row_names(const struct row *row, const char *name)
{
    char list[2048], *rest = list;
    snprintf(list, sizeof(list), "%s", row->names);
    for (char *word; (word = strsep(&rest, " "));)
        if (!strcmp(word, name))
            return true;
    return false;
}

static bool holds(const struct condition *condition, const uint64_t args[6])
{
    uint32_t value = (uint32_t)args[condition->argument] & condition->mask;
    if (condition->kind == COND_ANY)
        return value & condition->values[0];
    for (uint32_t i = 0; i < condition->count; i++)
        if (value == condition->values[i])
            return true;
    return condition->kind == COND_NONE;
}

// The rows that name a call, in order.
struct rows_of {
    const struct row *at[16];
    size_t count;
    bool checked;
};

static struct rows_of rows_of(const char *name)
{
    struct rows_of found = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!row_names(&rows[i], name))
            continue;
        assert_true(found.count < ARRAY_SIZE(found.at));
        found.at[found.count++] = &rows[i];
        found.checked |= rows[i].conditions[0].kind != COND_NONE;
    }
    return found;
}

static uint32_t expected(const struct rows_of *found, const uint64_t args[6])
{
    for (size_t i = 0; i < found->count; i++) {
        bool all = true;
        for (size_t c = 0; c < CONDITIONS_MAX; c++)
            all = all && holds(&found->at[i]->conditions[c], args);
        if (all)
            return found->at[i]->verdict;
    }
    return VERDICT(DEFAULT);
}

// Names of calls newer than libseccomp are found through the table itself.
static int number_of(const struct machine *machine, const char *name)
{
    static const struct {
        const char *name;
        int number;
    } newer[] = {
        {"cachestat", 451},      {"fchmodat2", 452},    {"map_shadow_stack", 453},
        {"futex_wake", 454},     {"futex_wait", 455},   {"futex_requeue", 456},
        {"statmount", 457},      {"listmount", 458},    {"lsm_get_self_attr", 459},
        {"mseal", 462},          {"setxattrat", 463},   {"removexattrat", 466},
        {"open_tree_attr", 467}, {"file_getattr", 468}, {"set_mempolicy_home_node", 450},
    };
    int number = seccomp_syscall_resolve_name_arch(machine->scmp_arch, name);
    for (size_t i = 0; number < 0 && i < ARRAY_SIZE(newer); i++)
        if (!strcmp(newer[i].name, name))
            number = newer[i].number;
    return number;
}

static uint32_t ask(const struct machine *machine, int number, const uint64_t args[6])
{
    struct seccomp_data data = {.nr = number, .arch = machine->arch};
    memcpy(data.args, args, sizeof(data.args));
    return run(machine, &data);
}

// Every combination of interesting values in the first three arguments, with and without high bits.
static const uint32_t values[] = {
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    9,
    10,
    12,
    15,
    16,
    17,
    29,
    31,
    38,
    40,
    58,
    62,
    132,
    255,
    262,
    0x80,
    0x11,
    0x003d0f00,
    0x01200000,
    CLONE_NEWNS,
    CLONE_NEWCGROUP,
    CLONE_NEWUTS,
    CLONE_NEWIPC,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_FILES,
    CLONE_FS,
    0x7fffffff,
    0x80000000,
    UINT32_MAX,
    S_IFCHR | 0600,
    S_IFBLK,
    S_IFREG | 0644,
    S_IFIFO,
    S_IFSOCK,
    TIOCSTI,
    TIOCLINUX,
    TIOCSETD,
    TIOCCONS,
    TIOCGWINSZ,
    TIOCSCTTY,
    FIONREAD,
    SOCK_STREAM | SOCK_CLOEXEC,
    SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
    SOCK_DGRAM | SOCK_NONBLOCK,
    PR_SET_NAME,
    PR_SET_MM,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECCOMP,
    ADDR_NO_RANDOMIZE,
    0x20008,
};

static void compare_call(const struct machine *machine, const char *name, int number)
{
    struct rows_of found = rows_of(name);
    size_t count = found.checked ? ARRAY_SIZE(values) : 1;
    for (size_t n = 0; n < count * count * count; n++) {
        uint64_t args[6] = {values[n % count], values[n / count % count],
                            values[n / count / count]};
        uint32_t want = expected(&found, args), got = ask(machine, number, args);
        for (size_t i = 0; i < 6; i++)
            args[i] |= HIGH_BITS;
        uint32_t got_high = ask(machine, number, args);
        if (got != want || got_high != want)
            fail_msg("%s(0x%x, 0x%x, 0x%x): 0x%x, with high bits 0x%x, the table says 0x%x", name,
                     (uint32_t)args[0], (uint32_t)args[1], (uint32_t)args[2], got, got_high, want);
    }
}

static void every_number_is_answered_as_the_table_says(void **state)
{
    (void)state;
    const uint64_t none[6] = {0};
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++)
        for (int number = 0; number < KNOWN_NUMBERS; number++) {
            char *name = seccomp_syscall_resolve_num_arch(machine->scmp_arch, number);
            if (name)
                compare_call(machine, name, number);
            else if (number > 470)
                assert_int_equal(ask(machine, number, none), VERDICT(ENOSYS));
            free(name);
        }
}

static void every_known_call_has_a_row(void **state)
{
    (void)state;
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++)
        for (int number = 0; number < KNOWN_NUMBERS; number++) {
            char *name = seccomp_syscall_resolve_num_arch(machine->scmp_arch, number);
            if (name && !rows_of(name).count)
                fail_msg("no row for %s", name);
            free(name);
        }
}

static void every_row_has_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(strlen(rows[i].reason) > 4);
        assert_null(strstr(rows[i].names, "  "));
    }
}

static void newer_calls_have_their_numbers(void **state)
{
    (void)state;
    const uint64_t none[6] = {0};
    const char *allowed[] = {"cachestat", "fchmodat2",  "map_shadow_stack", "futex_wake",
                             "mseal",     "setxattrat", "removexattrat"};
    const char *absent[] = {"statmount", "listmount", "lsm_get_self_attr", "file_getattr"};
    const char *refused[] = {"set_mempolicy_home_node", "open_tree_attr"};
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++) {
        for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
            assert_int_equal(ask(machine, number_of(machine, allowed[i]), none), SECCOMP_RET_ALLOW);
        for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
            assert_int_equal(ask(machine, number_of(machine, absent[i]), none), VERDICT(ENOSYS));
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
            assert_int_equal(ask(machine, number_of(machine, refused[i]), none), VERDICT(EPERM));
    }
}

// ---- what must be refused whatever the table says

static void other_machines_are_killed(void **state)
{
    (void)state;
    const uint32_t foreign[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_RISCV64, 0, UINT32_MAX};
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++)
        for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
            for (int number = -1; number < KNOWN_NUMBERS; number++) {
                struct seccomp_data data = {.nr = number, .arch = foreign[i]};
                assert_int_equal(run(machine, &data), KILL);
            }
    struct seccomp_data crossed = {.nr = 0, .arch = AUDIT_ARCH_AARCH64};
    assert_int_equal(run(&machines[0], &crossed), KILL);
}

static void x32_calls_do_not_exist(void **state)
{
    (void)state;
    const uint64_t none[6] = {0};
    for (uint32_t number = 0; number < 1024; number++)
        assert_int_equal(ask(&machines[0], (int)(number | 0x40000000U), none), VERDICT(ENOSYS));
    assert_int_equal(ask(&machines[0], (int)0x80000000U, none), VERDICT(ENOSYS));
    assert_int_equal(ask(&machines[0], -2, none), VERDICT(ENOSYS));
}

static void a_tracer_may_skip_a_call(void **state)
{
    (void)state;
    const uint64_t none[6] = {0};
    assert_int_equal(ask(&machines[0], -1, none), SECCOMP_RET_ALLOW);
}

struct case_of {
    const char *name;
    uint64_t args[6];
    uint32_t verdict;
};

#define NO VERDICT(EPERM)
#define YES SECCOMP_RET_ALLOW

// Rows of the list in docs/threats.md, said a second time and by hand.
static const struct case_of cases[] = {
    {"clone3", {0}, VERDICT(ENOSYS)},
    {"clone", {0x003d0f00}, YES}, // pthread_create
    {"clone", {0x01200011}, YES}, // fork
    {"clone", {0x4111}, YES},     // vfork, as posix_spawn
    {"clone", {CLONE_NEWUSER | 17}, NO},
    {"clone", {CLONE_NEWNS}, NO},
    {"clone", {HIGH_BITS | CLONE_NEWNET}, NO},
    {"unshare", {CLONE_NEWUSER}, NO},
    {"unshare", {0x80}, NO}, // time namespace
    {"unshare", {CLONE_NEWCGROUP | (1ULL << 32)}, NO},
    {"unshare", {CLONE_FILES}, YES},
    {"setns", {0}, NO},
    {"ioctl", {0, TIOCSTI}, NO},
    {"ioctl", {0, TIOCSTI | (1ULL << 32)}, NO},
    {"ioctl", {0, TIOCLINUX | HIGH_BITS}, NO},
    {"ioctl", {0, TIOCSETD}, NO},
    {"ioctl", {0, TIOCGWINSZ}, YES},
    {"prctl", {62 | HIGH_BITS}, NO},
    {"prctl", {PR_SET_NAME}, YES},
    {"personality", {UINT32_MAX}, YES},
    {"personality", {0}, YES},
    {"personality", {ADDR_NO_RANDOMIZE}, NO},
    {"personality", {HIGH_BITS | READ_IMPLIES_EXEC}, NO},
    {"mknodat", {0, 0, S_IFCHR | 0666}, NO},
    {"mknodat", {0, 0, S_IFBLK | HIGH_BITS}, NO},
    {"mknodat", {0, 0, S_IFIFO | 0666}, YES},
    {"socket", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}, YES},
    {"socket", {AF_INET6, SOCK_DGRAM, IPPROTO_UDP}, YES},
    {"socket", {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, YES},
    {"socket", {AF_INET, SOCK_RAW, IPPROTO_ICMP}, NO},
    {"socket", {AF_INET, SOCK_RAW | SOCK_NONBLOCK, 0}, NO},
    {"socket", {AF_INET | HIGH_BITS, SOCK_RAW | HIGH_BITS, 0}, NO},
    {"socket", {AF_PACKET, SOCK_RAW, 0x300}, NO},
    {"socket", {AF_PACKET, SOCK_DGRAM, 0x300}, VERDICT(EAFNOSUPPORT)},
    {"socket", {AF_INET, SOCK_STREAM, 132}, VERDICT(EPROTONOSUPPORT)}, // SCTP
    {"socket", {AF_INET, SOCK_SEQPACKET, 132}, VERDICT(EPROTONOSUPPORT)},
    {"socket", {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, YES},
    {"socket", {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}, VERDICT(EAFNOSUPPORT)},
    {"socket", {AF_NETLINK, SOCK_RAW, NETLINK_AUDIT}, VERDICT(EAFNOSUPPORT)},
    {"socket", {38, SOCK_SEQPACKET, 0}, VERDICT(EAFNOSUPPORT)}, // AF_ALG
    {"socket", {40, SOCK_STREAM, 0}, VERDICT(EAFNOSUPPORT)},    // AF_VSOCK
    {"socket", {AF_UNIX, SOCK_SEQPACKET, 0}, YES},
    {"socketpair", {AF_UNIX, SOCK_STREAM, 0}, YES},
    {"socketpair", {30, SOCK_STREAM, 0}, VERDICT(EAFNOSUPPORT)}, // TIPC
};

static void dangers_are_refused_by_their_arguments(void **state)
{
    (void)state;
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            int number = number_of(machine, cases[i].name);
            uint32_t got = ask(machine, number, cases[i].args);
            if (got != cases[i].verdict)
                fail_msg("case %zu, %s: 0x%x instead of 0x%x", i, cases[i].name, got,
                         cases[i].verdict);
        }
}

static void privileged_calls_are_refused(void **state)
{
    (void)state;
    static const char *names[] = {
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "perf_event_open",
        "fanotify_init",
        "quotactl",
        "quotactl_fd",
        "lookup_dcookie",
        "acct",
        "swapon",
        "swapoff",
        "iopl",
        "ioperm",
        "modify_ldt",
        "uselib",
        "mbind",
        "move_pages",
        "migrate_pages",
        "kcmp",
        "vmsplice",
        "memfd_secret",
        "process_madvise",
        "reboot",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "clock_settime",
        "settimeofday",
        "adjtimex",
        "clock_adjtime",
        "syslog",
        "pidfd_getfd",
        "name_to_handle_at",
        "open_by_handle_at",
        "sethostname",
        "setdomainname",
        "vhangup",
    };
    const uint64_t none[6] = {0};
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++)
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            int number = number_of(machine, names[i]);
            if (number >= 0 && ask(machine, number, none) != NO)
                fail_msg("%s is not refused", names[i]);
        }
}

static void no_jump_leaves_the_program(void **state)
{
    (void)state;
    for (const struct machine *machine = machines; machine < machines + ARRAY_SIZE(machines);
         machine++) {
        assert_true(machine->length < 256);
        for (size_t pc = 0; pc < machine->length; pc++) {
            const struct seccomp_code *at = &machine->code[pc];
            if (BPF_CLASS(at->code) == BPF_JMP)
                assert_true(pc + 1 + at->jt < machine->length && pc + 1 + at->jf < machine->length);
        }
        assert_int_equal(machine->code[machine->length - 1].code, BPF_RET | BPF_K);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_answered_as_the_table_says),
        cmocka_unit_test(every_known_call_has_a_row),
        cmocka_unit_test(every_row_has_a_reason),
        cmocka_unit_test(newer_calls_have_their_numbers),
        cmocka_unit_test(other_machines_are_killed),
        cmocka_unit_test(x32_calls_do_not_exist),
        cmocka_unit_test(a_tracer_may_skip_a_call),
        cmocka_unit_test(dangers_are_refused_by_their_arguments),
        cmocka_unit_test(privileged_calls_are_refused),
        cmocka_unit_test(no_jump_leaves_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
