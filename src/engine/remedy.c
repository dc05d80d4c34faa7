// SPDX-License-Identifier: Apache-2.0
/*
 * Remedies. The cause is found in what the kernel and the container say of themselves; nothing is
 * tried here, so that a failing program may ask. Layer: engine.
 */
#include "engine/remedy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/launch.h"
#include "engine/libexec_dir.h"

#define PROFILE "/etc/apparmor.d/sandboxes-jail"
#define APPARMOR "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"

struct text {
    char *out;
    size_t size;
};

static bool say(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static bool say(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text->out, text->size, format, args);
    va_end(args);
    return true;
}

int remedy_switch(const char *path)
{
    char value[32];
    if (fd_read_file(AT_FDCWD, path, value, sizeof(value)) <= 0)
        return -1;
    return strtol(value, NULL, 10) != 0;
}

void remedy_jail_program(char *ret_path, size_t size)
{
    char found[PATH_MAX];
    if (launch_find_program("sandboxes-jail", found, sizeof(found), NULL) < 0)
        snprintf(found, sizeof(found), SBX_LIBEXEC_DIR "/sandboxes-jail");
    cleanup_free char *real = realpath(found, NULL);
    snprintf(ret_path, size, "%s", real ? real : found);
}

bool remedy_has_profile(void)
{
    char profile[4096], jail[PATH_MAX];
    remedy_jail_program(jail, sizeof(jail));
    return fd_read_file(AT_FDCWD, PROFILE, profile, sizeof(profile)) > 0 && strstr(profile, jail);
}

// Whether the kernel's own threads are in sight: no container has them. (Images of containers, with
// their marks, are booted as virtual machines too.)
static bool sees_kernel(void)
{
    char name[32];
    return fd_read_file(AT_FDCWD, "/proc/2/comm", name, sizeof(name)) > 0 &&
           strcmp(name, "kthreadd\n") == 0;
}

enum remedy_container remedy_container(void)
{
    if (sees_kernel())
        return REMEDY_BARE;
    if (getenv("KUBERNETES_SERVICE_HOST"))
        return REMEDY_KUBERNETES;
    if (access("/run/.containerenv", F_OK) == 0)
        return REMEDY_PODMAN;
    return access("/.dockerenv", F_OK) == 0 ? REMEDY_DOCKER : REMEDY_BARE;
}

// What a container's own sandbox forbids: namespaces and mounts, by its seccomp and AppArmor
// profiles.
static bool allow_in_container(struct text *text)
{
    switch (remedy_container()) {
    case REMEDY_DOCKER:
        return say(text, "start the container with: docker run --security-opt seccomp=unconfined "
                         "--security-opt apparmor=unconfined --security-opt systempaths=unconfined "
                         "--device /dev/net/tun ...");
    case REMEDY_PODMAN:
        return say(text, "start the container with: podman run --security-opt seccomp=unconfined "
                         "--security-opt unmask=ALL --security-opt label=disable "
                         "--device /dev/net/tun ...");
    case REMEDY_KUBERNETES:
        return say(text, "give the container the securityContext {seccompProfile: {type: "
                         "Unconfined}, appArmorProfile: {type: Unconfined}, procMount: Unmasked} "
                         "(with hostUsers: false in the pod), or use the provider 'kubernetes'");
    case REMEDY_BARE:
        break;
    }
    return false;
}

static bool set_sysctl(struct text *text, const char *name, int value)
{
    return say(text,
               "sudo sysctl -w %s=%d   (to keep it: echo '%s=%d' | sudo tee "
               "/etc/sysctl.d/90-sandboxes.conf)",
               name, value, name, value);
}

static bool add_profile(struct text *text)
{
    char jail[PATH_MAX];
    remedy_jail_program(jail, sizeof(jail));
    return say(text,
               "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile sandboxes-jail %s "
               "flags=(unconfined) {\\n  userns,\\n}\\n' | sudo tee " PROFILE
               " && sudo apparmor_parser -r " PROFILE "   (or for every program: sudo sysctl -w "
               "kernel.apparmor_restrict_unprivileged_userns=0)",
               jail);
}

// A root that is no mount shows as the absence of "/" among the mount points.
static bool root_is_mount(void)
{
    char line[4096], point[4096] = "";
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    bool found = !mounts;
    while (!found && fgets(line, sizeof(line), mounts))
        found = sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && strcmp(point, "/") == 0;
    if (mounts)
        fclose(mounts);
    return found;
}

// Whether our root is not our mount namespace's: then no user namespace can be made,
// user_namespaces(7).
static bool in_chroot(void)
{
    struct stat own, first, own_mounts, first_mounts;
    if (stat("/proc/1/root/.", &first) < 0 || stat("/", &own) < 0 ||
        stat("/proc/1/ns/mnt", &first_mounts) < 0 || stat("/proc/self/ns/mnt", &own_mounts) < 0 ||
        first_mounts.st_ino != own_mounts.st_ino)
        return !root_is_mount();
    return own.st_dev != first.st_dev || own.st_ino != first.st_ino || !root_is_mount();
}

static bool for_user_namespace(int sys_errno, struct text *text)
{
    if (access("/proc/self", F_OK) < 0)
        return say(text, "sudo mount -t proc proc /proc");
    if (remedy_switch("/proc/sys/user/max_user_namespaces") == 0 || sys_errno == ENOSPC)
        return set_sysctl(text, "user.max_user_namespaces", 15000);
    if (geteuid() != 0 && remedy_switch("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return set_sysctl(text, "kernel.unprivileged_userns_clone", 1);
    if (geteuid() != 0 && remedy_switch(APPARMOR) == 1 && !remedy_has_profile())
        return add_profile(text);
    if (access("/proc/self/ns/user", F_OK) < 0)
        return say(text, "this kernel has no user namespaces (CONFIG_USER_NS): start one that has "
                         "them, or use a cloud provider: 'sandboxes providers'");
    if (sys_errno == EPERM && allow_in_container(text))
        return true;
    if (sys_errno == EPERM && in_chroot())
        return say(text, "this is a chroot, in which the kernel allows no user namespaces: enter "
                         "the directory with 'systemd-nspawn -D DIRECTORY' instead of chroot");
    if (sys_errno == EPERM)
        return say(text,
                   "a security module or a seccomp filter forbids user namespaces to this process: "
                   "try from a plain login shell, look into 'journalctl -k -g apparmor'%s",
                   geteuid() != 0 ? ", or run as root" : "");
    return false;
}

static bool for_proc(int sys_errno, struct text *text)
{
    if (sys_errno != EPERM)
        return false;
    if (allow_in_container(text))
        return true;
    return say(text, "something is mounted over parts of /proc here, so the kernel shows a fresh "
                     "one to root only: 'findmnt -R /proc' shows what; unmount it, or run as root");
}

static bool older_than(unsigned major, unsigned minor)
{
    struct utsname name;
    unsigned have_major = 0, have_minor = 0;
    if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &have_major, &have_minor) != 2)
        return false;
    return have_major < major || (have_major == major && have_minor < minor);
}

static bool for_overlay(int sys_errno, struct text *text)
{
    if (sys_errno == ENODEV)
        return say(text, "sudo modprobe overlay   (to keep it: echo overlay | sudo tee "
                         "/etc/modules-load.d/overlay.conf)");
    if (geteuid() != 0 && older_than(5, 11))
        return say(text, "this kernel allows overlay mounts to root only: use Linux 5.11 or later, "
                         "or run as root");
    if (sys_errno == EINVAL || sys_errno == EOPNOTSUPP)
        return say(text,
                   "the file system of the image or cache can't be a layer of an overlay: set "
                   "SANDBOXES_CACHE_DIR to a directory on ext4, xfs, btrfs or tmpfs");
    return sys_errno == EPERM && allow_in_container(text);
}

static bool for_mount(int sys_errno, struct text *text)
{
    if (sys_errno == ENOSPC) // a limit of some kind of namespace
        return for_user_namespace(sys_errno, text);
    if (sys_errno != EPERM && sys_errno != EACCES)
        return false;
    return for_user_namespace(EPERM, text);
}

static bool for_idmap(int sys_errno, struct text *text)
{
    (void)sys_errno;
    if (older_than(5, 12))
        return say(text, "use Linux 5.12 or later");
    return say(text,
               "set SANDBOXES_CACHE_DIR to a directory on ext4, xfs or btrfs (Linux 6.3: also "
               "tmpfs)");
}

static bool for_cgroup(int sys_errno, struct text *text)
{
    (void)sys_errno;
    if (remedy_container() == REMEDY_DOCKER || remedy_container() == REMEDY_PODMAN)
        return say(text, "start the container with: --cgroupns=host -v "
                         "/sys/fs/cgroup:/sys/fs/cgroup:rw (or --privileged)");
    if (geteuid() != 0 && access("/sys/fs/cgroup/memory/tasks", F_OK) == 0)
        return say(text,
                   "give this account groups of its own: for c in memory pids cpu; do "
                   "g=/sys/fs/cgroup/$c/sandboxes-%u; sudo mkdir -p $g && sudo chown -R %u $g && "
                   "echo $$ | sudo tee $g/cgroup.procs; done",
                   geteuid(), geteuid());
    if (access("/run/systemd/system", F_OK) == 0 && geteuid() != 0)
        return say(text,
                   "systemd-run --user --scope -p Delegate=yes sandboxes ...   (for all logins: "
                   "sudo mkdir -p /etc/systemd/system/user@.service.d && printf "
                   "'[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee "
                   "/etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl "
                   "daemon-reload, then log in again)");
    if (geteuid() != 0)
        return say(text,
                   "give this account a group of its own: g=/sys/fs/cgroup/sandboxes-%u; sudo "
                   "mkdir -p $g/shell && sudo chown -R %u $g && echo $$ | sudo tee "
                   "$g/shell/cgroup.procs",
                   geteuid(), geteuid());
    return say(text, "sudo mount -t cgroup2 none /sys/fs/cgroup   (if a container hides it, start "
                     "that with its cgroups writable)");
}

static bool for_network(int sys_errno, struct text *text)
{
    if (remedy_switch("/proc/sys/user/max_user_namespaces") == 0)
        return for_user_namespace(sys_errno, text);
    if (sys_errno == ENOSPC)
        return set_sysctl(text, "user.max_net_namespaces", 15000);
    if (access("/dev/net/tun", F_OK) < 0 && remedy_container() == REMEDY_BARE)
        return say(text, "sudo modprobe tun   (or use the network 'none')");
    if (access("/dev/net/tun", R_OK | W_OK) < 0 && remedy_container() == REMEDY_BARE)
        return say(text, "sudo chmod 666 /dev/net/tun   (or use the network 'none')");
    return allow_in_container(text);
}

static bool for_subids(int sys_errno, struct text *text)
{
    (void)sys_errno;
    const struct passwd *account = getpwuid(getuid());
    const char *name = account ? account->pw_name : "$USER";
    if (access("/usr/bin/newuidmap", X_OK) < 0)
        return say(text,
                   "sudo apt-get install uidmap && sudo usermod --add-subuids 100000-165535 "
                   "--add-subgids 100000-165535 %s",
                   name);
    return say(text, "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
               name);
}

static bool for_memory(int sys_errno, struct text *text)
{
    if (sys_errno == ENOSPC)
        return say(text, "the sandbox's disk is full or too small: ask for more, or free memory "
                         "('sandboxes list', 'sandboxes destroy')");
    return say(text, "free memory on this machine, or ask for a smaller disk");
}

static bool for_pivot(int sys_errno, struct text *text)
{
    if (sys_errno == EINVAL)
        return say(text, "the root of this machine is its initial RAM disk: switch to a real root "
                         "file system (switch_root) before using sandboxes");
    return for_mount(sys_errno, text);
}

static const struct {
    const char *stage;
    bool (*find)(int sys_errno, struct text *text);
} rows[] = {
    {"user namespace", for_user_namespace},
    {"private mounts", for_mount},
    {"mount", for_mount},
    {"device", for_mount},
    {"init", for_mount},
    {"capabilities", for_mount},
    {"hostname", for_mount},
    {"proc", for_proc},
    {"mount proc", for_proc},
    {"overlay", for_overlay},
    {"idmapped mount", for_idmap},
    {"subordinate ids", for_subids},
    {"pivot_root", for_pivot},
    {"tmpfs", for_memory},
    {"memory", for_memory},
    {"cgroup", for_cgroup},
    {"network namespace", for_network},
    {"tun", for_network},
    {"veth", for_network},
};

bool remedy_find(const char *stage, int sys_errno, char *out, size_t size)
{
    struct text text = {out, size};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].stage, stage) == 0)
            return rows[i].find(sys_errno, &text);
    return false;
}
