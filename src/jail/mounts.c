// SPDX-License-Identifier: Apache-2.0
// The root file system of a sandbox. Layer: jail.
#include "jail/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/mount_api.h"
#include "base/mount_point.h"
#include "base/node.h"
#include "jail/ids.h"
#include "jail/names.h"
#include "wire/machine.h"

#define ROOT "root"
// JAIL_LAYERS_MAX names of at most 4 characters each, and less than 100 besides.
#define OVERLAY_OPTIONS_MAX 1024
// Terminals of one sandbox; the machine has 4,096 for all.
#define PTYS_MAX "max=256"
#define DISK_BYTES_BEGIN (2ull << 30) // most often what will be asked for: it takes no memory

static int do_mount(const char *what, const char *source, const char *target, const char *type,
                    unsigned long flags, const char *data, struct sbx_error *err)
{
    if (mount(source, target, type, flags, data) < 0)
        return jail_fail(err, what, "cannot mount %s on '%s'", what, target);
    return 0;
}

// First id of the sandbox as the process that mounts sees it.
static unsigned owner(const struct jail *jail)
{
    return jail->privileged ? jail->ids.base : jail->ids.inside;
}

static uint64_t disk_bytes(const struct jail *jail)
{
    return jail->request ? jail->spec.disk_bytes : DISK_BYTES_BEGIN;
}

static void disk_options(struct jail *jail, char *out, size_t size)
{
    uint64_t bytes = jail->disk_bytes = disk_bytes(jail);
    // An inode takes about 1 KiB of kernel memory; one for each 4 KiB of disk is plenty.
    snprintf(out, size, "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=0755,uid=%u,gid=%u", bytes,
             bytes / 4096 + 1024, owner(jail), owner(jail));
}

static int change_root(struct sbx_error *err)
{
    // pivot_root(2), "pivot_root(".", ".")": the old root lies over the new one until it is
    // detached.
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return jail_fail(err, "pivot_root", "cannot enter the new root");
    return 0;
}

// Where there is nothing else: no old root has to go.
static int open_disk_bare(struct jail *jail, struct sbx_error *err)
{
    char options[128];
    disk_options(jail, options, sizeof(options));
    bare_close(&jail->bare);
    int code = do_mount("tmpfs", "tmpfs", BARE_DISK, "tmpfs", MS_NOSUID, options, err);
    if (code == 0 && (chdir(BARE_DISK) < 0 || chroot(".") < 0))
        return jail_fail(err, "tmpfs", "cannot enter the sandbox's disk");
    return code;
}

// The sandbox's own memory-backed disk: every writable place is on it, so its size is the quota.
int mounts_open_disk(struct jail *jail, struct sbx_error *err)
{
    if (jail->bare.mounts_fd >= 0)
        return open_disk_bare(jail, err);
    char options[128];
    // With real root any directory will do: it is gone from here at once.
    const char *target = jail->privileged ? "/proc" : jail->dir;
    // Nothing mounted here may travel back, and host mounts made later have no business here.
    int code = do_mount("private mounts", NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL, err);
    if (code < 0)
        return code;
    disk_options(jail, options, sizeof(options));
    code = do_mount("tmpfs", "tmpfs", target, "tmpfs", MS_NOSUID, options, err);
    if (code == 0 && chdir(target) < 0)
        return jail_fail(err, "tmpfs", "cannot enter '%s'", target);
    if (jail->privileged && jail->spec.network == SBX_NETWORK_HOST)
        jail->resolv_fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
    return code == 0 && jail->privileged ? change_root(err) : code;
}

// Gives the disk the size that was asked for.
static int resize_disk(struct jail *jail, struct sbx_error *err)
{
    char options[128];
    if (jail->disk_bytes == disk_bytes(jail))
        return 0;
    disk_options(jail, options, sizeof(options));
    return do_mount("tmpfs", NULL, ".", NULL, MS_REMOUNT | MS_NOSUID, options, err);
}

// Made directly in the overlay's upper layer, which saves a mount and a copy-up for each.
static const struct node nodes[] = {
    {ROOT, S_IFDIR | 0755, NULL, 0, 0},       {"up0", S_IFDIR | 0755, NULL, 0, 0},
    {"work0", S_IFDIR | 0700, NULL, 0, 0},    {"up0/proc", S_IFDIR | 0555, NULL, 0, 0},
    {"up0/sys", S_IFDIR | 0555, NULL, 0, 0},  {"up0/dev", S_IFDIR | 0755, NULL, 0, 0},
    {"up0/tmp", S_IFDIR | 01777, NULL, 0, 0}, {"proc", S_IFDIR | 0555, NULL, 0, 0},
};

// New files belong to the sandbox's root while this holds (setfsuid(2)), and again to us after.
static void create_as(const struct jail *jail, bool sandbox)
{
    if (!jail->privileged)
        return;
    uint32_t id = sandbox ? jail->ids.base : 0;
    syscall(SYS_setfsgid, id);
    syscall(SYS_setfsuid, id);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // which every change of credentials takes back: prctl(2)
}

static int make_nodes(const struct jail *jail, struct sbx_error *err)
{
    mode_t saved = umask(0);
    create_as(jail, true);
    const struct node *failed = node_make_all(nodes, ARRAY_SIZE(nodes));
    if (!failed)
        failed = node_make_all(node_dev, ARRAY_SIZE(node_dev));
    int code = failed ? jail_fail(err, "tmpfs", "cannot make '%s'", failed->path) : 0;
    create_as(jail, false);
    umask(saved);
    return code;
}

static int make_names(const struct jail *jail, struct sbx_error *err)
{
    if (!names_are_needed(jail))
        return 0;
    mode_t saved = umask(0);
    create_as(jail, true);
    int code = names_write(jail, err);
    create_as(jail, false);
    umask(saved);
    return code;
}

// Layer i by a short name here: the detached copy put on it, or a link. The sandbox can read the
// names in its list of mounts, where paths of this machine, and so of its accounts, have no
// business.
static int place_layer(const struct jail *jail, size_t i, int fd, struct sbx_error *err)
{
    char name[24];
    const char *path = jail->spec.layers[i].value;
    snprintf(name, sizeof(name), "l%zu", i);
    int failed = fd < 0 ? symlink(path, name) : mkdir(name, 0755) < 0 || mount_move(fd, name) < 0;
    return failed ? jail_fail(err, "overlay", "cannot use the image directory '%s'", path) : 0;
}

struct overlay {
    size_t first, count; // layers
    unsigned number;     // of its upN and workN
};

static int overlay_options(const struct jail *jail, const struct overlay *overlay, const int *fds,
                           char *out, size_t size, struct sbx_error *err)
{
    size_t at =
        (size_t)snprintf(out, size, "upperdir=up%u,workdir=work%u%s,lowerdir=", overlay->number,
                         overlay->number, jail->privileged ? "" : ",userxattr");
    for (size_t i = overlay->first; i < overlay->first + overlay->count; i++) {
        int code = place_layer(jail, i, fds[i], err);
        if (code < 0)
            return code;
        at += (size_t)snprintf(out + at, size - at, "%sl%zu", i > overlay->first ? ":" : "", i);
    }
    return 0;
}

static int make_upper(const struct jail *jail, unsigned number)
{
    char upper[16], work[16];
    snprintf(upper, sizeof(upper), "up%u", number);
    snprintf(work, sizeof(work), "work%u", number);
    create_as(jail, true);
    int failed = mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0;
    create_as(jail, false);
    return failed ? -1 : 0;
}

static int mount_overlay(const struct jail *jail, const struct overlay *overlay, const int *fds,
                         struct sbx_error *err)
{
    char options[OVERLAY_OPTIONS_MAX], target[1024];
    const char *inside = jail->spec.layers[overlay->first].name;
    snprintf(target, sizeof(target), "%s%s", ROOT, inside);
    if (overlay->number > 0 && make_upper(jail, overlay->number) < 0)
        return jail_fail(err, "tmpfs", "cannot make the writable layer of '%s'", inside);
    int code = overlay_options(jail, overlay, fds, options, sizeof(options), err);
    return code < 0 ? code
                    : do_mount("overlay", "overlay", target, "overlay", MS_NOSUID | MS_NODEV,
                               options, err);
}

uint32_t mounts_count(const struct box_spec *spec)
{
    uint32_t count = 0;
    for (size_t i = 0; i < spec->layer_count; i++)
        count += i == 0 || strcmp(spec->layers[i].name, spec->layers[i - 1].name) != 0;
    return count;
}

// Neighbouring layers of one target are one overlay.
static int mount_layers(const struct jail *jail, const int *fds, struct sbx_error *err)
{
    const struct sbx_pair *layers = jail->spec.layers;
    size_t total = jail->spec.layer_count;
    unsigned number = 0;
    for (size_t first = 0, end; first < total; first = end) {
        for (end = first + 1; end < total && strcmp(layers[end].name, layers[first].name) == 0;)
            end++;
        struct overlay overlay = {.first = first, .count = end - first, .number = number++};
        int code = mount_overlay(jail, &overlay, fds, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// Without real root a device can only be borrowed from this machine's /dev.
static int bind_device(const struct node *device)
{
    char source[32];
    int fd = open(device->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    snprintf(source, sizeof(source), "/%s", device->path);
    return fd < 0 || close(fd) < 0 ? -1 : mount(source, device->path, NULL, MS_BIND, NULL);
}

// For QEMU, which says if it can't be used. Known later than the others: a spare half has them
// already.
static void add_kvm(const struct jail *jail)
{
    static const struct node kvm = {"dev/kvm", S_IFCHR | 0666, NULL, 10, 232};
    mode_t saved = umask(0);
    (void)(jail->privileged ? node_make(&kvm) : bind_device(&kvm));
    umask(saved);
}

// A directory of the disk that, unlike the root, honours the few device nodes that we put there.
static int mount_devices(const struct jail *jail, struct sbx_error *err)
{
    int code = do_mount("device", "dev", "dev", NULL, MS_BIND, NULL, err);
    if (code < 0)
        return code;
    mode_t saved = umask(0);
    int failed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(node_devices) && !failed; i++)
        failed = jail->privileged ? node_make(&node_devices[i]) : bind_device(&node_devices[i]);
    umask(saved);
    if (failed)
        return jail_fail(err, "device", "cannot make the devices of the sandbox");
    return do_mount("devpts", "devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                    "newinstance,ptmxmode=0666,mode=0620," PTYS_MAX, err);
}

// What /proc tells everybody about the whole machine and nobody inside needs. What only the
// machine's root may read or write there (kcore, kmsg, timer_list, sysrq-trigger, ...) needs no
// mask: nobody inside is that. Absent ones are skipped.
static const char *const masked_files[] = {"cmdline",    "keys",        "kallsyms",     "config.gz",
                                           "interrupts", "sched_debug", "latency_stats"};
static const char *const masked_directories[] = {"acpi", "scsi", "asound"};

static int mask(const char *source, const char *name, struct sbx_error *err)
{
    char target[64];
    snprintf(target, sizeof(target), "proc/%s", name);
    if (mount(source, target, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
        return jail_fail(err, "proc", "cannot mask '%s'", target);
    return 0;
}

static int mask_proc(struct sbx_error *err)
{
    int code = 0;
    // Not the sandbox's own directory: nobody inside can write to it.
    if (mkdir("void", 0555) < 0)
        return jail_fail(err, "tmpfs", "cannot make an empty directory");
    for (size_t i = 0; i < ARRAY_SIZE(masked_files) && code == 0; i++)
        code = mask("/dev/null", masked_files[i], err);
    for (size_t i = 0; i < ARRAY_SIZE(masked_directories) && code == 0; i++)
        code = mask("void", masked_directories[i], err);
    return code;
}

static int protect_sysctls(struct sbx_error *err)
{
    const char *path = "proc/sys";
    int code = do_mount("proc", path, path, NULL, MS_BIND | MS_REC, NULL, err);
    return code < 0 ? code
                    : do_mount("proc", NULL, path, NULL,
                               MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                               NULL, err);
}

/*
 * For the few sysctls of ours, before they are read-only. Not the host's /proc: there the entries
 * of all sandboxes' namespaces have the same names, and the kernel looks through them one by one.
 */
static int open_sysctls(struct jail *jail, struct sbx_error *err)
{
    jail->sysctl_fd = open("proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return jail->sysctl_fd < 0 ? jail_fail(err, "proc", "cannot open /proc/sys") : 0;
}

static int mount_proc(struct jail *jail, struct sbx_error *err)
{
    int code =
        do_mount("proc", "proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, err);
    if (code < 0)
        return code;
    code = mask_proc(err);
    if (code == 0)
        code = open_sysctls(jail, err);
    return code < 0 ? code : protect_sysctls(err);
}

// One missing component of a mount point, made by the sandbox's root.
static int make_inside(const void *user, int parent_fd, const char *name, bool directory)
{
    const struct jail *jail = user;
    create_as(jail, true);
    int code = mount_point_make(NULL, parent_fd, name, directory);
    create_as(jail, false);
    return code;
}

/*
 * The place of a user's mount, which the library has checked. For a guest it is one of the two
 * directories that QEMU exports; where the guest has it is the guest's affair: vmm/guest_mounts.c.
 */
static int open_target(const struct jail *jail, size_t number, bool directory)
{
    const struct sbx_pair *mount = &jail->spec.mounts[number];
    char name[sizeof(MACHINE_MOUNTS_WRITABLE) + 16];
    const char *path = mount->name;
    cleanup_fd int root_fd = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (jail->spec.machine[0]) {
        snprintf(name, sizeof(name), "%s/%zu",
                 mount->value[0] == 'w' ? MACHINE_MOUNTS_WRITABLE : MACHINE_MOUNTS_READ, number);
        path = name;
    }
    return mount_point_open(root_fd, path, directory, make_inside, jail);
}

static int mount_user(const struct jail *jail, size_t number, int fd, struct sbx_error *err)
{
    const struct sbx_pair *mount = &jail->spec.mounts[number];
    struct stat info;
    if (fstat(fd, &info) < 0)
        return jail_fail(err, "mount", "cannot look at '%s'", mount->value + 1);
    cleanup_fd int target = open_target(jail, number, S_ISDIR(info.st_mode));
    if (target < 0 || mount_move_onto(fd, target) < 0)
        return jail_fail(err, "mount", "cannot mount '%s' on '%s'", mount->value + 1, mount->name);
    return 0;
}

static int mount_users(const struct jail *jail, const int *fds, struct sbx_error *err)
{
    int code = 0;
    for (size_t i = 0; i < jail->spec.mount_count && code == 0; i++)
        code = mount_user(jail, i, fds[jail->spec.layer_count + i], err);
    return code;
}

int mounts_begin(struct jail *jail, struct sbx_error *err)
{
    int code = make_nodes(jail, err);
    if (code == 0)
        code = mount_devices(jail, err);
    return code < 0 ? code : mount_proc(jail, err);
}

// What was made beside the root goes where it belongs.
static int attach(struct sbx_error *err)
{
    int code = do_mount("proc", "proc", ROOT "/proc", NULL, MS_MOVE, NULL, err);
    return code < 0 ? code : do_mount("device", "dev", ROOT "/dev", NULL, MS_MOVE, NULL, err);
}

int mounts_complete(struct jail *jail, const int *fds, size_t fd_count, struct sbx_error *err)
{
    if (fd_count != jail->spec.layer_count + jail->spec.mount_count)
        return err_set(err, SBX_ERR_BUG, "the jail lost a descriptor of a layer");
    int code = jail->privileged ? resize_disk(jail, err) : 0;
    if (jail->spec.flags & BOX_KVM)
        add_kvm(jail);
    if (code == 0)
        code = make_names(jail, err);
    if (code == 0)
        code = mount_layers(jail, fds, err);
    if (code == 0)
        code = attach(err);
    return code < 0 ? code : mount_users(jail, fds, err);
}

/*
 * With real root the disk is the root already, so that the new one is laid over it, as over the
 * initial file system of a machine (switch_root(8)): the disk itself stays below, out of reach for
 * good, since nobody inside has rights over these mounts. Detaching it would only cost time.
 */
static int cover_root(struct sbx_error *err)
{
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return jail_fail(err, "pivot_root", "cannot enter the new root");
    return 0;
}

int mounts_enter(const struct jail *jail, struct sbx_error *err)
{
    if (chdir(ROOT) < 0)
        return jail_fail(err, "pivot_root", "cannot enter the new root");
    return jail->privileged ? cover_root(err) : change_root(err);
}

static int prepare_layer(const struct jail *jail, const char *path, struct sbx_error *err)
{
    if (!jail->privileged)
        return MOUNT_BY_PATH;
    cleanup_fd int fd = mount_clone(path, false);
    if (fd < 0)
        return jail_fail(err, "overlay", "cannot use the image directory '%s'", path);
    // A file system that can't be idmapped (overlayfs, say) shows foreign owners: readable all the
    // same.
    if (mount_idmap(fd, jail->userns_fd) < 0 && errno != EINVAL && errno != EPERM &&
        errno != ENOSYS)
        return jail_fail(err, "idmapped mount", "cannot map the owners of '%s'", path);
    return steal_fd(&fd);
}

// The user's own directory: its owner is the sandbox's user inside, nobody else's files are
// writable.
static int map_owner(const struct jail *jail, int fd, const char *path, struct sbx_error *err)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return jail_fail(err, "mount", "cannot look at '%s'", path);
    int userns = ids_owner_namespace(jail, info.st_uid, info.st_gid, err);
    if (userns < 0)
        return userns;
    int failed = mount_idmap(fd, userns);
    close(userns);
    if (failed && errno != EINVAL && errno != EPERM && errno != ENOSYS)
        return jail_fail(err, "idmapped mount", "cannot map the owner of '%s'", path);
    return 0;
}

static int prepare_mount(const struct jail *jail, const struct sbx_pair *mount,
                         struct sbx_error *err)
{
    const char *path = mount->value + 1;
    cleanup_fd int fd = mount_clone(path, true);
    if (fd < 0)
        return jail_fail(err, "mount", "cannot use '%s' as a mount", path);
    int code = jail->privileged ? map_owner(jail, fd, path, err) : 0;
    if (code < 0)
        return code;
    if (mount_restrict(fd, mount->value[0] != 'w') < 0)
        return jail_fail(err, "mount", "cannot restrict the mount '%s'", path);
    return steal_fd(&fd);
}

int mounts_prepare(const struct jail *jail, int ret_fds[JAIL_LAYERS_MAX], size_t *ret_count,
                   struct sbx_error *err)
{
    const struct box_spec *spec = &jail->spec;
    if (spec->layer_count + spec->mount_count > JAIL_LAYERS_MAX)
        return err_set(err, SBX_ERR_INVALID, "more than %d layers and mounts", JAIL_LAYERS_MAX);
    for (size_t i = 0; i < spec->layer_count; i++) {
        ret_fds[i] = prepare_layer(jail, spec->layers[i].value, err);
        if (ret_fds[i] < 0 && ret_fds[i] != MOUNT_BY_PATH)
            return ret_fds[i];
    }
    for (size_t i = 0; i < spec->mount_count; i++) {
        int fd = prepare_mount(jail, &spec->mounts[i], err);
        if (fd < 0)
            return fd;
        ret_fds[spec->layer_count + i] = fd;
    }
    *ret_count = spec->layer_count + spec->mount_count;
    return 0;
}
