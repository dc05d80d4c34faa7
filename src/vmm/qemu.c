// SPDX-License-Identifier: Apache-2.0
// QEMU's command line. Its documentation: qemu(1), docs/system/i386/microvm.rst. Layer: vmm.
#include "vmm/qemu.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

// Descriptors that it starts with, in the order of struct qemu_ends.
#define PORT_FD 10
#define MONITOR_FD 11
#define MEMORY_FD 12 // MEMORY_PATH
// 13 is QEMU_STATE_FD, 14 FROZEN_FD.
#define MEMORY_PATH "/proc/self/fd/12"
#define TSC_TRIES 20
#define TSC_PAUSE_NS 20000000
#define ARGS_MAX 80
#define TEXT_MAX 4096

struct arguments {
    char *list[ARGS_MAX + 1];
    size_t count;
    char text[TEXT_MAX];
    size_t used;
};

static void add(struct arguments *arguments, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct arguments *arguments, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *at = arguments->text + arguments->used;
    int length = vsnprintf(at, TEXT_MAX - arguments->used, format, args);
    va_end(args);
    if (arguments->count < ARGS_MAX && arguments->used + (size_t)length + 1 < TEXT_MAX) {
        arguments->list[arguments->count++] = at;
        arguments->used += (size_t)length + 1;
    }
}

// Nothing is there that is not asked for.
static void add_machine(struct arguments *a, const struct machine *machine)
{
    const char *memory = machine->saved ? ",memory-backend=memory" : "";
    add(a, "qemu");
    add(a, "-nodefaults");
    add(a, "-no-user-config");
    add(a, "-nographic");
    add(a, "-no-reboot");
    add(a, "-sandbox");
    add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(a, "-machine");
    // Of a machine that tells of its devices by ACPI alone, 'microvm', nothing emulated gives a
    // kernel time: it has no timer of old, and its clock can't be measured.
    if (machine->acpi)
        add(a, "pc,vmport=off%s", memory);
    else
        add(a, "microvm,acpi=off,isa-serial=%s,x-option-roms=off%s", machine->debug ? "on" : "off",
            memory);
    add(a, "-accel");
    add(a, machine->kvm ? "kvm" : "tcg,tb-size=32");
    add(a, "-cpu");
    // Of the emulated ones, x86-64-v2: what today's distributions ask for, and no more, since each
    // feature costs time when the guest boots.
    add(a, machine->kvm ? "host" : "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf-lm");
    add(a, "-bios");
    add(a, QEMU_FIRMWARE);
    add(a, "-smp");
    add(a, "%u", machine->cpus);
    add(a, "-m");
    add(a, "%uM", machine->memory_mb);
}

// The first three spare the guest what emulated time makes slow.
#define COMMAND_LINE                                                                               \
    "quiet tsc=reliable no_timer_check mitigations=off random.trust_cpu=on panic=-1 rdinit=/init " \
    "cryptomgr.notests ipv6.disable_ipv6=0 nokaslr"

#ifdef __x86_64__
struct moment {
    uint64_t ns, ticks;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Both at one time: of some tries the one that took least.
static struct moment moment_now(void)
{
    struct moment best = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TSC_TRIES; i++) {
        uint64_t before = now_ns(), ticks = __builtin_ia32_rdtsc(), took = now_ns() - before;
        if (took < least) {
            least = took;
            best = (struct moment){before + took / 2, ticks};
        }
    }
    return best;
}

/*
 * An emulated processor's counter is this machine's, but the guest has nothing to measure it by,
 * and would fall back to its timer: a clock in steps of 4 ms, and 250 interrupts a second while
 * idle.
 */
static uint32_t tsc_khz(void)
{
    const struct timespec pause = {0, TSC_PAUSE_NS};
    struct moment first = moment_now();
    nanosleep(&pause, NULL);
    struct moment last = moment_now();
    return (uint32_t)((last.ticks - first.ticks) * 1000000u / (last.ns - first.ns));
}
#else
static uint32_t tsc_khz(void)
{
    return 0;
}
#endif

static void add_kernel(struct arguments *a, const struct machine *machine)
{
    if (machine->saved == MACHINE_RESTORE) // it is in the saved memory
        return;
    add(a, "-kernel");
    add(a, QEMU_KERNEL);
    add(a, "-initrd");
    add(a, QEMU_INITRD);
    add(a, "-append");
    char clock[40] = "";
    uint32_t khz = machine->kvm ? 0 : tsc_khz();
    if (khz)
        snprintf(clock, sizeof(clock), " tsc_early_khz=%u", khz);
    add(a, COMMAND_LINE "%s%s%s", clock, qemu_rehearses(machine) ? " rehearse" : "",
        machine->debug ? " console=ttyS0 ignore_loglevel" : "");
    if (!machine->debug)
        return;
    add(a, "-serial");
    add(a, "file:/tmp/console");
}

// Files are what they look like from here, with QEMU's own rights: security_model=none.
static void add_share(struct arguments *a, const char *bus, const char *name, const char *path,
                      bool writable)
{
    add(a, "-fsdev");
    add(a, "local,id=%s,path=%s,security_model=none,readonly=%s,multidevs=remap", name, path,
        writable ? "off" : "on");
    add(a, "-device");
    add(a, "virtio-9p-%s,fsdev=%s,mount_tag=%s", bus, name, name);
}

static void add_devices(struct arguments *a, const struct machine *machine)
{
    const char *bus = machine->acpi ? "pci" : "device";
    add(a, "-chardev");
    add(a, "socket,id=agent,fd=%d", PORT_FD);
    add(a, "-device");
    add(a, "virtio-serial-%s,max_ports=2", bus);
    add(a, "-device");
    add(a, "virtserialport,chardev=agent,name=agent");
    add_share(a, bus, "image", QEMU_IMAGE, false);
    if (machine->mounts & MACHINE_MOUNTS_ARE_READ)
        add_share(a, bus, "read", MACHINE_MOUNTS_READ, false);
    if (machine->mounts & MACHINE_MOUNTS_ARE_WRITTEN)
        add_share(a, bus, "write", MACHINE_MOUNTS_WRITABLE, true);
    // It tells which memory it has free, and that is given back.
    add(a, "-device");
    add(a, "virtio-balloon-%s,free-page-reporting=on", bus);
    if (!machine->network)
        return;
    add(a, "-netdev");
    add(a, "user,id=net,ipv6=off,net=" MACHINE_NET "/25,host=" MACHINE_NET_GATEWAY
           ",dns=" MACHINE_NET_DNS ",dhcpstart=" MACHINE_NET_GUEST);
    add(a, "-device");
    add(a, "virtio-net-%s,netdev=net%s", bus, machine->acpi ? ",romfile=" : "");
}

/*
 * A saved guest is its memory in a file and the state of all else. Many run from one file, each
 * with its own copy of the pages that it writes. QEMU's documentation: devel/migration.rst,
 * ignore-shared.
 */
static void add_saved(struct arguments *a, const struct machine *machine)
{
    const bool save = machine->saved == MACHINE_SAVE;
    if (!machine->saved)
        return;
    add(a, "-object");
    add(a, "memory-backend-file,id=memory,size=%uM,share=%s,mem-path=%s", machine->memory_mb,
        save ? "on" : "off", save ? MEMORY_PATH : MACHINE_SAVED_MEMORY);
    add(a, "-chardev");
    add(a, "socket,id=monitor,fd=%d", MONITOR_FD);
    add(a, "-mon");
    add(a, "chardev=monitor,mode=%s", save ? "control" : "readline");
    if (save)
        return;
    add(a, "-incoming");
    add(a, "defer");
}

static void add_all(struct arguments *a, const struct machine *machine)
{
    add_machine(a, machine);
    add_kernel(a, machine);
    add_devices(a, machine);
    add_saved(a, machine);
}

static int place(const struct qemu_ends *ends)
{
    const int sources[] = {ends->port, ends->monitor, ends->memory, ends->state, ends->frozen};
    int high[ARRAY_SIZE(sources)]; // none of them is where another one goes
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        high[i] = sources[i] < 0 ? -1 : fcntl(sources[i], F_DUPFD_CLOEXEC, 32);
        if (sources[i] >= 0 && high[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        if (high[i] >= 0 && dup2(high[i], PORT_FD + (int)i) < 0)
            return -1;
    return 0;
}

static int run(struct arguments *arguments, const struct machine *machine,
               const struct qemu_ends *ends, int log_fd)
{
    if (qemu_give_up_rights(machine) < 0)
        return -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // which a change of user takes back
    // Its heap and its translations are touched in places: huge pages would hold mostly nothing.
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    if (dup2(log_fd, STDERR_FILENO) < 0 || place(ends) < 0)
        return -1;
    // Keyboard input is not its business, and nobody's to give.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return -1;
    char preload[] = "LD_PRELOAD=" QEMU_PRELOAD;
    char arenas[] = "MALLOC_ARENA_MAX=1"; // mallopt(3): its threads hardly ever meet there
    char boots[] = MACHINE_BOOTS "=1";
    char *environment[] = {arenas, preload, machine->saved != MACHINE_RESTORE ? boots : NULL, NULL};
    return execve(ends->thaws ? QEMU_THAW : QEMU_PROGRAM, arguments->list, environment);
}

pid_t qemu_start(const struct machine *machine, const struct qemu_ends *ends, int *ret_log)
{
    struct arguments arguments = {0};
    int log[2];
    add_all(&arguments, machine); // one that thaws shows it, and has been told
    if (fd_pipe(log) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run(&arguments, machine, ends, log[1]) < 0 ? 127 : 0);
    close(log[1]);
    if (pid < 0)
        close(log[0]);
    else
        *ret_log = log[0];
    return pid;
}
