// SPDX-License-Identifier: Apache-2.0
// What QEMU may do, besides the jail that it is in. Layer: vmm.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "vmm/qemu.h"

#ifndef SYS_fchmodat2 // Linux 6.6; the number is the same on all machines
#define SYS_fchmodat2 452
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#define DAC_OVERRIDE 1 // linux/capability.h
#define NO_FLAGS (-1)

/*
 * Who gets out of the guest into QEMU, and the guest itself by 9p, could otherwise leave a program
 * in a writable mount that gives whoever starts it on this machine the rights of the mount's owner.
 * Which arguments the mode, and the flags that give it a meaning, are.
 */
static const struct maker {
    int call, mode, flags;
} makers[] = {
#ifdef SYS_open // not on younger machines
    {SYS_open, 2, 1},
    {SYS_creat, 1, NO_FLAGS},
    {SYS_chmod, 1, NO_FLAGS},
    {SYS_mknod, 1, NO_FLAGS},
#endif
    {SYS_openat, 3, 2},
    {SYS_fchmod, 1, NO_FLAGS},
    {SYS_fchmodat, 2, NO_FLAGS},
    {SYS_fchmodat2, 2, NO_FLAGS},
    {SYS_mknodat, 2, NO_FLAGS},
};

#define SET_ID (S_ISUID | S_ISGID)
#define CREATES (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))
#define RULE_STEPS 7

// The lower half, of a machine whose lower half comes first.
#define ARGUMENT(number) (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)(number))

static size_t add_rule(struct sock_filter *to, const struct maker *maker)
{
    const struct sock_filter rule[RULE_STEPS] = {
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)maker->call, 0, RULE_STEPS - 1),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(maker->flags < 0 ? maker->mode : maker->flags)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, maker->flags < 0 ? SET_ID : CREATES, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(maker->mode)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SET_ID, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    for (size_t i = 0; i < RULE_STEPS; i++)
        to[i] = rule[i];
    return RULE_STEPS;
}

// Calls of other machines than ours, the jail's filter forbids.
static int forbid_set_id(void)
{
    struct sock_filter steps[ARRAY_SIZE(makers) * RULE_STEPS + 4] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        // Its mode is out of sight. Programs go on with openat(2).
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    size_t count = 3;
    for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
        count += add_rule(steps + count, &makers[i]);
    steps[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {(unsigned short)count, steps};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

// Its own, or the sandbox's root where the jail runs as an ordinary user: then that one is the
// owner.
static int become(uid_t user)
{
    if (getuid() == user)
        return 0;
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
        return -1;
    return setresgid(user, user, user) < 0 ? -1 : setresuid(user, user, user);
}

// The one that stays is for files of the image that their owner alone may read.
static int keep_one(bool root)
{
    if (caps_are_gone())
        return 0;
    if (caps_keep(CAPS_BIT(DAC_OVERRIDE)) < 0)
        return -1;
    return root ? 0 : prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, DAC_OVERRIDE, 0, 0);
}

int qemu_give_up_rights(const struct machine *machine)
{
    if (become(machine->user) < 0 || keep_one(machine->user == 0) < 0)
        return -1;
    return machine->mounts & MACHINE_MOUNTS_ARE_WRITTEN ? forbid_set_id() : 0;
}
