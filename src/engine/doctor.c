// SPDX-License-Identifier: Apache-2.0
// What this machine can do: a table of checks. Layer: engine.
#include "engine/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "engine/accel.h"
#include "engine/doctor_cgroup.h"
#include "engine/launch.h"
#include "engine/machine.h"
#include "engine/probe.h"
#include "engine/remedy.h"
#include "engine/scope.h"

#define MEMORY_LOW_MB 256
#define DISK_LOW_MB 200

struct machine {
    bool privileged;
    bool namespaces; // user namespaces work, so what needs them can be tried
};

static void found(struct doctor_check *check, int level, const char *format, ...) PRINTF_LIKE(3, 4);
static void found(struct doctor_check *check, int level, const char *format, ...)
{
    va_list args;
    check->level = level;
    va_start(args, format);
    vsnprintf(check->what, sizeof(check->what), format, args);
    va_end(args);
}

static void remedy(struct doctor_check *check, const char *format, ...) PRINTF_LIKE(2, 3);
static void remedy(struct doctor_check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(check->remedy, sizeof(check->remedy), format, args);
    va_end(args);
}

// The result of a probe: `good` when it is 0, else `bad` with the error and the stage's remedy.
static bool judge(struct doctor_check *check, int failed, int level, const char *stage,
                  const char *good, const char *bad)
{
    if (!failed) {
        found(check, DOCTOR_OK, "%s", good);
        return true;
    }
    found(check, level, "%s: %s", bad, strerror(failed));
    remedy_find(stage, failed, check->remedy, sizeof(check->remedy));
    return false;
}

// Without user namespaces an ordinary user can try nothing else; one remedy is enough.
static bool not_tried(struct doctor_check *check, const struct machine *machine)
{
    if (machine->namespaces || machine->privileged)
        return false;
    if (remedy_has_profile())
        found(check, DOCTOR_OK, "not tried: only sandboxes-jail may make user namespaces here");
    else
        found(check, DOCTOR_DEGRADED, "not tried: it needs user namespaces");
    return true;
}

static void check_kernel(struct machine *machine, struct doctor_check *check)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    static const char *const containers[] = {"", ", in a Docker container", ", in a container",
                                             ", in Kubernetes"};
    if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
        return found(check, DOCTOR_DEGRADED, "the kernel does not tell its version");
    bool old = major < 5 || (major == 5 && minor < (machine->privileged ? 6 : 11));
    found(check, old ? DOCTOR_DEGRADED : DOCTOR_OK, "Linux %.60s, %.20s, as %s%s", name.release,
          name.machine, geteuid() == 0 ? "root" : "an ordinary user",
          containers[remedy_container()]);
    if (old)
        remedy(check, "use Linux 5.11 or later (as root: 5.6)");
}

static void check_user_namespaces(struct machine *machine, struct doctor_check *check)
{
    int failed = probe_user_namespace();
    machine->namespaces = !failed;
    if (failed && remedy_has_profile())
        return found(check, DOCTOR_OK,
                     "forbidden in general, allowed to sandboxes-jail by its "
                     "AppArmor profile");
    judge(check, failed, DOCTOR_MISSING, "user namespace", "can be made and mounted in",
          "cannot be used");
}

static void check_namespaces(struct machine *machine, struct doctor_check *check)
{
    if (!not_tried(check, machine))
        judge(check, probe_namespaces(), DOCTOR_MISSING, "mount",
              "mount, pid, network, ipc, uts, cgroup", "cannot be made");
}

static void check_proc(struct machine *machine, struct doctor_check *check)
{
    if (!not_tried(check, machine))
        judge(check, probe_proc(), DOCTOR_MISSING, "proc", "a fresh one can be mounted",
              "a fresh one cannot be mounted");
}

static void check_overlay(struct machine *machine, struct doctor_check *check)
{
    if (!not_tried(check, machine))
        judge(check, probe_overlay(), DOCTOR_MISSING, "overlay", "/usr can be a layer",
              "/usr cannot be a layer");
}

static void check_idmap(struct machine *machine, struct doctor_check *check)
{
    char cache[4096];
    if (!machine->privileged)
        return found(check, DOCTOR_OK, "not needed: sandboxes have the ids of this account");
    if (!machine->namespaces)
        return found(check, DOCTOR_DEGRADED, "not tried: it needs user namespaces");
    int failed = probe_idmap("/usr");
    const char *place = "/usr";
    if (!failed && dirs_cache(cache, sizeof(cache), NULL) == 0) {
        failed = probe_idmap(cache);
        place = "the image store";
    }
    if (!failed)
        return found(check, DOCTOR_OK, "owners of images are mapped");
    found(check, DOCTOR_DEGRADED,
          "owners in %s cannot be mapped (%s): root of a sandbox cannot "
          "change its files",
          place, strerror(failed));
    remedy_find("idmapped mount", failed, check->remedy, sizeof(check->remedy));
}

static void check_subids(struct machine *machine, struct doctor_check *check)
{
    if (machine->privileged)
        return found(check, DOCTOR_OK, "not needed: root has ranges of its own");
    if (not_tried(check, machine))
        return;
    judge(check, probe_subids(), DOCTOR_DEGRADED, "subordinate ids",
          "root of a sandbox has further ids",
          "none: root of a sandbox can't give files to other accounts, as packages do");
}

static void check_seccomp(struct machine *machine, struct doctor_check *check)
{
    (void)machine;
    if (!judge(check, probe_seccomp(), DOCTOR_MISSING, "seccomp", "filters can be installed",
               "no filter can be installed"))
        remedy(check, "start a kernel built with CONFIG_SECCOMP_FILTER");
}

static void check_landlock(struct machine *machine, struct doctor_check *check)
{
    (void)machine;
    int version = probe_landlock();
    if (version > 0)
        return found(check, DOCTOR_OK, "version %d", version);
    found(check, DOCTOR_OK, "not in this kernel (%s): sandboxes do without this second fence",
          strerror(-version));
    if (version == -EOPNOTSUPP)
        remedy(check, "boot with landlock in the list of the kernel's lsm= option");
}

static void check_cgroups(struct machine *machine, struct doctor_check *check)
{
    (void)machine;
    char what[160];
    struct scope scope;
    bool complete = doctor_cgroup(what, sizeof(what));
    if (!complete && scope_find(&scope))
        return found(check, DOCTOR_OK,
                     "version 2: in a scope that systemd makes for a sandbox "
                     "with limits");
    found(check, complete ? DOCTOR_OK : DOCTOR_DEGRADED, "%s", what);
    if (!complete)
        remedy_find("cgroup", EACCES, check->remedy, sizeof(check->remedy));
}

static void check_network(struct machine *machine, struct doctor_check *check)
{
    if (not_tried(check, machine))
        return;
    int tap = probe_tap();
    if (!tap)
        return found(check, DOCTOR_OK, "tap devices can be made");
    int veth = probe_veth();
    if (!veth)
        return found(check, DOCTOR_OK, "no tap device (%s): veth pairs are used", strerror(tap));
    found(check, DOCTOR_DEGRADED, "neither tap (%s) nor veth (%s): only the networks none and host",
          strerror(tap), strerror(veth));
    remedy_find("tun", tap, check->remedy, sizeof(check->remedy));
}

static void check_programs(struct machine *machine, struct doctor_check *check)
{
    static const char *const names[] = {"sandboxes-jail", "sandboxes-agent", "sandboxes-netstack",
                                        "sandboxes-unpack", "sandboxes-keep"};
    char path[4096] = "", missing[160] = "";
    struct sbx_error err = {0};
    (void)machine;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t used = strlen(missing);
        if (launch_find_program(names[i], path, sizeof(path), &err) < 0)
            snprintf(missing + used, sizeof(missing) - used, " %s", names[i]);
    }
    char *slash = strrchr(path, '/');
    if (!missing[0])
        return found(check, DOCTOR_OK, "all in %.*s", (int)(slash - path), path);
    found(check, DOCTOR_MISSING, "not found:%s", missing);
    remedy(check, "%s", err.remedy);
}

static void check_memory(struct machine *machine, struct doctor_check *check)
{
    char text[4096];
    unsigned long long kilobytes = 0;
    (void)machine;
    const char *line = NULL;
    if (fd_read_file(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) > 0)
        line = strstr(text, "MemAvailable:");
    if (!line || sscanf(line, "MemAvailable: %llu", &kilobytes) != 1)
        return found(check, DOCTOR_OK, "the kernel does not tell");
    bool low = kilobytes / 1024 < MEMORY_LOW_MB;
    found(check, low ? DOCTOR_DEGRADED : DOCTOR_OK, "%llu MB available", kilobytes / 1024);
    if (low)
        remedy(check, "free some: programs in sandboxes may be ended for lack of memory");
}

static void check_state(struct machine *machine, struct doctor_check *check)
{
    char path[512];
    struct sbx_error err = {0};
    (void)machine;
    cleanup_fd int fd = -1;
    if (dirs_open_runtime(path, sizeof(path), &fd, &err) == 0)
        return found(check, DOCTOR_OK, "%.150s", path);
    found(check, DOCTOR_MISSING, "%.190s", err.message);
    remedy(check, "%s", err.remedy);
}

static void check_images(struct machine *machine, struct doctor_check *check)
{
    char path[4096];
    struct sbx_error err = {0};
    struct statvfs info;
    (void)machine;
    if (dirs_cache(path, sizeof(path), &err) < 0) {
        found(check, DOCTOR_MISSING, "%s", err.message);
        return remedy(check, "%s", err.remedy);
    }
    unsigned long long free_mb = 0;
    if (statvfs(path, &info) == 0)
        free_mb = (unsigned long long)info.f_bavail * info.f_frsize >> 20;
    bool low = free_mb < DISK_LOW_MB;
    found(check, low ? DOCTOR_DEGRADED : DOCTOR_OK, "%.150s, %llu MB free", path, free_mb);
    if (low)
        remedy(check, "free some disk there, or set SANDBOXES_CACHE_DIR to another disk");
}

static void check_kvm(struct machine *machine, struct doctor_check *check)
{
    (void)machine;
    int failed = accel_try();
    if (!failed)
        return found(check, DOCTOR_OK, "runs guests");
    found(check, DOCTOR_OK, "guests are emulated, which is slower: it %s", accel_reason(failed));
    if (failed == EACCES)
        remedy(check, "sudo usermod -aG kvm $USER, then log in again");
}

static void check_guests(struct machine *machine, struct doctor_check *check)
{
    struct machine_parts parts = {0};
    struct sbx_error err = {0};
    (void)machine;
    if (machine_find(&parts, &err) == 0)
        return found(check, DOCTOR_OK, "QEMU with %.150s", parts.kernel);
    found(check, DOCTOR_OK, "not there: %.150s", err.message);
    remedy(check, "%s", err.remedy);
}

static const struct {
    const char *name;
    void (*run)(struct machine *machine, struct doctor_check *check);
} checks[] = {
    {"kernel", check_kernel},          {"user namespaces", check_user_namespaces},
    {"namespaces", check_namespaces},  {"proc", check_proc},
    {"overlay", check_overlay},        {"idmapped mounts", check_idmap},
    {"subordinate ids", check_subids}, {"seccomp", check_seccomp},
    {"landlock", check_landlock},      {"cgroups", check_cgroups},
    {"network", check_network},        {"programs", check_programs},
    {"memory", check_memory},          {"state directory", check_state},
    {"image store", check_images},     {"kvm", check_kvm},
    {"microvm", check_guests},
};
_Static_assert(ARRAY_SIZE(checks) <= DOCTOR_CHECKS_MAX, "callers have room for all checks");

int doctor_run(struct doctor_check *ret_checks, size_t capacity, size_t *ret_count,
               struct sbx_error *err)
{
    struct machine machine = {.privileged = probe_privileged()};
    if (capacity == 0)
        return err_set(err, SBX_ERR_INVALID, "there is no room for a check");
    size_t count = 0;
    for (; count < ARRAY_SIZE(checks) && count < capacity; count++) {
        ret_checks[count] = (struct doctor_check){.name = checks[count].name};
        checks[count].run(&machine, &ret_checks[count]);
    }
    *ret_count = count;
    return 0;
}

int doctor_explain(int sys_errno, const char *stage, struct sbx_error *err)
{
    char text[sizeof(err->remedy)];
    if (!err)
        return SBX_ERR_BUG;
    if (remedy_find(stage, sys_errno, text, sizeof(text)))
        err_hint(err, "%s", text);
    return err->code;
}
