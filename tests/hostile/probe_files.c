// SPDX-License-Identifier: Apache-2.0
// Hostile checks: the kernel's files, devices, cgroups, limits of what can be written.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GIB (1024ULL * 1024 * 1024)

// Opening alone harms nothing, whatever the file does when it is written.
static void none_opens(const char *const *paths, size_t count, int flags, struct result *result)
{
    struct result worst = {.verdict = BLOCKED};
    result_ok(&worst, "absent");
    for (size_t i = 0; i < count; i++) {
        int fd = open(paths[i], flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        result_absent(result, fd);
        if (fd >= 0) {
            close(fd);
            return result_open(result, "%s opens", paths[i]);
        }
        if (result->verdict == OPEN)
            return result_open(result, "%s: %s", paths[i], strerror(errno));
    }
}

// Nothing can be read: no such file, no right, or empty (something empty lies over it).
static void none_reads(const char *const *paths, size_t count, struct result *result)
{
    char text[64];
    result_ok(result, "absent or empty");
    for (size_t i = 0; i < count; i++)
        if (read_text(paths[i], text, sizeof(text)) > 0)
            return result_open(result, "%s can be read", paths[i]);
}

static void none_lists(const char *const *paths, size_t count, struct result *result)
{
    result_ok(result, "absent or empty");
    for (size_t i = 0; i < count; i++) {
        DIR *dir = opendir(paths[i]);
        for (struct dirent *entry; dir && (entry = readdir(dir));)
            if (entry->d_name[0] != '.')
                return result_open(result, "%s holds %.60s", paths[i], entry->d_name);
        if (dir)
            closedir(dir);
    }
}

static void settings(const struct world *world, struct result *result)
{
    static const char *const paths[] = {
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/sysrq-trigger",
        "/proc/sys/vm/panic_on_oom",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/kptr_restrict",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/kernel/hotplug",
        "/proc/sys/kernel/shmmax",
        "/proc/sys/kernel/msgmax",
        "/proc/sys/fs/mqueue/msg_max",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ping_group_range",
        "/proc/sys/user/max_user_namespaces",
        "/proc/irq/default_smp_affinity",
        "/proc/bus/pci/00/00.0",
        "/proc/mtrr",
        "/proc/fs/nfsd/threads",
    };
    none_opens(paths, COUNT(paths), O_WRONLY, result);
}

static void kernel_files(const struct world *world, struct result *result)
{
    static const char *const paths[] = {
        "/proc/cmdline",       "/proc/kcore",      "/proc/kmsg",        "/proc/kallsyms",
        "/proc/keys",          "/proc/timer_list", "/proc/sched_debug", "/proc/config.gz",
        "/proc/latency_stats", "/proc/interrupts", "/proc/slabinfo",    "/proc/vmallocinfo",
        "/proc/pagetypeinfo",  "/proc/kpagecount", "/proc/kpageflags",  "/proc/kpagecgroup",
        "/proc/timer_stats",   "/dev/kmsg",        "/dev/mem",
    };
    none_reads(paths, COUNT(paths), result);
}

static void kernel_directories(const struct world *world, struct result *result)
{
    static const char *const paths[] = {"/proc/acpi", "/proc/scsi", "/proc/asound"};
    none_lists(paths, COUNT(paths), result);
}

static void sys_writing(const struct world *world, struct result *result)
{
    static const char *const paths[] = {
        "/sys/kernel/uevent_helper",
        "/sys/power/state",
        "/sys/power/wake_lock",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/kexec_crash_size",
        "/sys/module/kernel/parameters/crash_kexec_post_notifiers",
        "/sys/kernel/profiling",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/devices/system/cpu/cpu0/online",
        "/sys/devices/system/memory/probe",
        "/sys/firmware/efi/vars/new_var",
    };
    none_opens(paths, COUNT(paths), O_WRONLY, result);
}

static void sys_reading(const struct world *world, struct result *result)
{
    static const char *const paths[] = {
        "/sys/kernel/notes",
        "/sys/kernel/vmcoreinfo",
        "/sys/kernel/btf/vmlinux",
        "/sys/firmware/dmi/tables/DMI",
        "/sys/firmware/acpi/tables/DSDT",
        "/sys/class/net/eth0/address",
        "/sys/class/dmi/id/product_uuid",
        "/sys/kernel/uevent_seqnum",
        "/sys/module/kernel/parameters/panic",
    };
    none_reads(paths, COUNT(paths), result);
}

static void sys_directories(const struct world *world, struct result *result)
{
    static const char *const paths[] = {"/sys/firmware",
                                        "/sys/kernel/debug",
                                        "/sys/kernel/tracing",
                                        "/sys/kernel/security",
                                        "/sys/fs/bpf",
                                        "/sys/block",
                                        "/sys/devices/virtual/powercap"};
    none_lists(paths, COUNT(paths), result);
}

// ---- devices

static void devices_by_name(const struct world *world, struct result *result)
{
    static const char *const paths[] = {
        "/dev/mem",
        "/dev/kmem",
        "/dev/port",
        "/dev/kmsg",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/net/tun",
        "/dev/loop0",
        "/dev/loop-control",
        "/dev/mapper/control",
        "/dev/vda",
        "/dev/sda",
        "/dev/nvme0n1",
        "/dev/vsock",
        "/dev/vhost-net",
        "/dev/vhost-vsock",
        "/dev/hwrng",
        "/dev/hpet",
        "/dev/rtc0",
        "/dev/ttyS0",
        "/dev/tty0",
        "/dev/tty1",
        "/dev/console",
        "/dev/vcs",
        "/dev/input/event0",
        "/dev/uinput",
        "/dev/cpu/0/msr",
        "/dev/cpu/0/cpuid",
        "/dev/dri/card0",
        "/dev/fb0",
        "/dev/snd/seq",
        "/dev/userfaultfd",
        "/dev/btrfs-control",
        "/dev/autofs",
        "/dev/cuse",
        "/dev/ppp",
        "/dev/rfkill",
        "/dev/watchdog",
        "/dev/nvram",
        "/dev/snapshot",
        "/dev/vmci",
        "/dev/virtio-ports",
        "/dev/mqueue/hostile",
    };
    for (size_t i = 0; i < COUNT(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0)
            return result_open(result, "%s opens", paths[i]);
        if (errno != ENOENT && errno != ENOTDIR && errno != EPERM && errno != EACCES)
            return result_open(result, "%s: %s", paths[i], strerror(errno));
    }
    result_ok(result, "absent");
}

// Only what a program needs and nothing can be done with.
static bool harmless(dev_t device)
{
    unsigned high = major(device), low = minor(device);
    bool memory = high == 1 && (low == 3 || low == 5 || low == 7 || low == 8 || low == 9);
    bool terminal = (high == 5 && (low == 0 || low == 2)) || (high >= 136 && high <= 143);
    return memory || terminal;
}

static bool find_device(const char *path, int depth, char *ret_found, size_t size)
{
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        char below[4096];
        struct stat info;
        snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(below, &info) < 0)
            continue;
        if (S_ISBLK(info.st_mode) || (S_ISCHR(info.st_mode) && !harmless(info.st_rdev))) {
            snprintf(ret_found, size, "%.150s", below);
            found = true;
        }
        if (S_ISDIR(info.st_mode) && depth)
            found = find_device(below, depth - 1, ret_found, size);
    }
    if (dir)
        closedir(dir);
    return found;
}

static void devices_by_scan(const struct world *world, struct result *result)
{
    char found[200];
    if (find_device("/dev", 4, found, sizeof(found)))
        return result_open(result, "%s", found);
    result_ok(result, "none but the harmless ones");
}

static void make_node(const struct world *world, mode_t type, dev_t device, struct result *result)
{
    const char *const places[] = {world->writable, "/dev", "/dev/shm", "/tmp", "/run", "/home"};
    for (size_t i = 0; i < COUNT(places); i++) {
        char path[4096];
        if (!places[i])
            continue;
        snprintf(path, sizeof(path), "%s/hostile-node", places[i]);
        long made = mknod(path, type | 0600, device);
        result_absent(result, made);
        int fd = made < 0 ? -1 : open(path, O_RDONLY | O_NONBLOCK);
        int refusal = errno;
        if (made >= 0)
            unlink(path);
        if (fd >= 0)
            return result_open(result, "a device in %s opens", places[i]);
        if (made >= 0)
            result_ok(result, "nodev: %s", strerrorname_np(refusal));
    }
}

static void make_character_device(const struct world *world, struct result *result)
{
    make_node(world, S_IFCHR, makedev(1, 11), result);
}

static void make_block_device(const struct world *world, struct result *result)
{
    make_node(world, S_IFBLK, makedev(254, 0), result);
}

static void make_whiteout(const struct world *world, struct result *result)
{
    make_node(world, S_IFCHR, makedev(0, 0), result);
}

// ---- cgroups

static void cgroup_writing(const struct world *world, struct result *result)
{
    static const char *const files[] = {
        "",
        "/cgroup.procs",
        "/tasks",
        "/release_agent",
        "/notify_on_release",
        "/cgroup.subtree_control",
        "/memory.max",
        "/memory.limit_in_bytes",
        "/pids.max",
        "/cpu.max",
        "/devices.allow",
    };
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[4096], path[1024], type[64];
    result_ok(result, "no cgroup file system");
    while (mounts && fgets(line, sizeof(line), mounts)) {
        if (sscanf(line, "%*s %1023s %63s", path, type) != 2 || strncmp(type, "cgroup", 6) != 0)
            continue;
        result_ok(result, "read-only");
        for (size_t i = 0; i < COUNT(files); i++) {
            char file[2048];
            snprintf(file, sizeof(file), "%s%s", path, files[i]);
            if (!access(file, W_OK))
                return result_open(result, "%.150s can be written", file);
        }
    }
}

// ---- limits of writable file systems

static void bounded_mounts(const struct world *world, struct result *result)
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[4096], path[1024], type[64], options[1024];
    result_ok(result, "all bounded");
    while (mounts && fgets(line, sizeof(line), mounts)) {
        struct statvfs info;
        if (sscanf(line, "%*s %1023s %63s %1023s", path, type, options) != 3 ||
            strcmp(type, "tmpfs") != 0 || strncmp(options, "rw", 2) != 0 || statvfs(path, &info))
            continue;
        if (!info.f_blocks || info.f_blocks * info.f_frsize > 64 * GIB)
            return result_open(result, "%.100s has no size", path);
        if (!info.f_files)
            return result_open(result, "%.100s has no limit of files", path);
    }
}

static void no_device_mounts(const struct world *world, struct result *result)
{
    // Not /dev/shm: it may lie on /dev, where the check above has tried to make one.
    static const char *const places[] = {"/", "/tmp", "/home", "/var/tmp", "/run"};
    for (size_t i = 0; i < COUNT(places); i++) {
        struct statvfs info;
        if (!statvfs(places[i], &info) && !(info.f_flag & ST_NODEV))
            return result_open(result, "%s honours device nodes", places[i]);
    }
    result_ok(result, "nodev");
}

// Paths of the host would tell names of its accounts. What a user mounts is known to be from there.
static void mount_sources(const struct world *world, struct result *result)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char line[8192];
    result_ok(result, "no paths of the host");
    while (mounts && fgets(line, sizeof(line), mounts)) {
        char *layers = strstr(line, "lowerdir=");
        if (layers && memchr(layers, '/', strcspn(layers, " ,\n")))
            return result_open(result, "%.*s", (int)strcspn(layers, ",\n"), layers);
    }
}

const struct probe file_probes[] = {
    {"7", "kernel settings", settings},
    {"8", "kernel files", kernel_files},
    {"8", "kernel directories", kernel_directories},
    {"9", "writing to /sys", sys_writing},
    {"9", "reading from /sys", sys_reading},
    {"9", "directories of /sys", sys_directories},
    {"31", "devices by name", devices_by_name},
    {"31", "devices by scan", devices_by_scan},
    {"32", "make a character device", make_character_device},
    {"32", "make a block device", make_block_device},
    {"32", "make a whiteout", make_whiteout},
    {"32", "nodev mounts", no_device_mounts},
    {"40", "cgroups", cgroup_writing},
    {"47", "writable mounts are bounded", bounded_mounts},
    {"57", "list of mounts", mount_sources},
    {0},
};
