// SPDX-License-Identifier: Apache-2.0
// Control groups of one sandbox. Layer: jail.
#include "jail/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "wire/machine.h"

#define MOUNT "/sys/fs/cgroup"
#define CGROUP2_MAGIC 0x63677270
#define PERIOD_USEC 100000
#define SOCKETS_FILE "memory.kmem.tcp.limit_in_bytes"
#define SOCKETS_PART 8 // of the memory, at most that much more

// The name of each part's controller, and version 1's directory it is mounted on by convention.
static const struct {
    const char *controller;
    const char *mount;
} parts[CGROUP_PARTS] = {
    [CGROUP_MEMORY] = {"memory", MOUNT "/memory"},
    [CGROUP_PIDS] = {"pids", MOUNT "/pids"},
    [CGROUP_CPU] = {"cpu", MOUNT "/cpu"},
    [CGROUP_FREEZER] = {"freezer", MOUNT "/freezer"},
};

static bool is_unified(void)
{
    struct statfs info;
    return statfs(MOUNT, &info) == 0 && (unsigned long)info.f_type == CGROUP2_MAGIC;
}

void cgroup_init(struct cgroup *cgroup)
{
    *cgroup = (struct cgroup){.unified = is_unified()};
    for (int i = 0; i < CGROUP_PARTS; i++)
        cgroup->fds[i] = -1;
    for (int i = 0; i < CGROUP_LIMITS; i++)
        cgroup->group_fds[i] = -1;
}

// Our own path in the hierarchy of `controller` ("" for version 2), from /proc/self/cgroup:
// cgroups(7).
static int own_path(const char *text, const char *controller, char *out, size_t size)
{
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        const char *list = strchr(line, ':');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        if (!end || !path || path > end)
            return -1;
        if (text_has_word(list + 1, (size_t)(path - list - 1), controller) ||
            (!controller[0] && path == list + 1)) {
            snprintf(out, size, "%.*s", (int)(end - path - 1), path + 1);
            return 0;
        }
        line = end + 1;
    }
    return -1;
}

// In the record, before the groups are made.
static int note(const struct cgroup *cgroup, const struct group_path *paths, size_t count)
{
    char end[] = {'\n'};
    struct iovec lines[2 * CGROUP_PARTS];
    ssize_t size = 0;
    cleanup_fd int fd = openat(cgroup->dir_fd, "cgroups",
                               O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(paths[i].text);
        lines[2 * i] = (struct iovec){(char *)(uintptr_t)paths[i].text, length};
        lines[2 * i + 1] = (struct iovec){end, length > 0};
        size += (ssize_t)length + (length > 0);
    }
    return fd >= 0 && writev(fd, lines, (int)(2 * count)) == size ? 0 : -1;
}

static int put_path(struct group_path *path, const char *group, const char *id)
{
    int length = snprintf(path->text, sizeof(path->text), "%s/%s", group, id);
    if (length < (int)sizeof(path->text))
        return 0;
    errno = ENAMETOOLONG;
    path->text[0] = '\0';
    return -1;
}

// The group around it is there but for the very first time.
static int make_group(const char *path)
{
    struct group_path parent;
    if (mkdir(path, 0755) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    snprintf(parent.text, sizeof(parent.text), "%.*s", (int)(strrchr(path, '/') - path), path);
    return (mkdir(parent.text, 0755) < 0 && errno != EEXIST) || mkdir(path, 0755) < 0 ? -1 : 0;
}

static int open_beside(struct cgroup *cgroup, int part, const char *name)
{
    int group_fd = part < CGROUP_LIMITS ? cgroup->group_fds[part] : -1;
    if (group_fd < 0 || mkdirat(group_fd, name, 0755) < 0)
        return -1;
    int fd = openat(group_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) // nobody else would remove it
        (void)unlinkat(group_fd, name, AT_REMOVEDIR);
    return fd;
}

// Makes and opens it.
static int open_group(struct cgroup *cgroup, int part, const struct group_path *path)
{
    int fd = open_beside(cgroup, part, strrchr(path->text, '/') + 1);
    if (fd < 0 && make_group(path->text) < 0)
        return -1;
    cgroup->paths[part] = *path;
    cgroup->fds[part] = fd < 0 ? open(path->text, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
    return cgroup->fds[part] < 0 ? -1 : 0;
}

// Passes controllers down to the group's children: what is needed, and the others that are there.
static int delegate(const char *directory, const bool *needed)
{
    char path[320], available[256];
    snprintf(path, sizeof(path), "%s/cgroup.controllers", directory);
    if (fd_read_file(AT_FDCWD, path, available, sizeof(available)) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", directory);
    for (size_t i = 0; i < CGROUP_LIMITS; i++) {
        char line[16];
        snprintf(line, sizeof(line), "+%s", parts[i].controller);
        bool there = text_has_word(available, strlen(available), parts[i].controller);
        if (there ? fd_write_file(AT_FDCWD, path, line) < 0 : needed[i])
            return -1;
    }
    return 0;
}

// --- Version 2

// What groups that were passed over hold to, the strictest of each; ULLONG_MAX: none does. Not
// pids.max, which systemd sets for each of its services, asked or not.
struct around {
    unsigned long long memory[3]; // of around_files
    unsigned long long quota, period;
};
#define AROUND_NONE                                                                                \
    {                                                                                              \
        .memory = {ULLONG_MAX, ULLONG_MAX, ULLONG_MAX}, .quota = ULLONG_MAX                        \
    }

static const char *const around_files[] = {"memory.max", "memory.high", "memory.swap.max"};

static bool holds_memory(const struct around *around)
{
    bool holds = false;
    for (size_t i = 0; i < ARRAY_SIZE(around_files); i++)
        holds |= around->memory[i] != ULLONG_MAX;
    return holds;
}

static bool read_in(const char *group, const char *file, char *text, size_t size)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%s", group, file);
    return fd_read_file(AT_FDCWD, path, text, size) > 0;
}

static void pass_over(const char *group, struct around *around)
{
    char text[64];
    unsigned long long value, period;
    for (size_t i = 0; i < ARRAY_SIZE(around_files); i++)
        if (read_in(group, around_files[i], text, sizeof(text)) &&
            sscanf(text, "%llu", &value) == 1 && value < around->memory[i])
            around->memory[i] = value;
    if (!read_in(group, "cpu.max", text, sizeof(text)) ||
        sscanf(text, "%llu %llu", &value, &period) != 2 || period == 0)
        return;
    if (around->quota == ULLONG_MAX || value * around->period < around->quota * period) {
        around->quota = value;
        around->period = period;
    }
}

static int write_in(const char *group, const char *file, const char *value)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%s", group, file);
    return fd_write_file(AT_FDCWD, path, value);
}

static int hold_around(const char *group, const struct around *around)
{
    char value[48];
    for (size_t i = 0; i < ARRAY_SIZE(around_files); i++) {
        snprintf(value, sizeof(value), "%llu", around->memory[i]);
        if (around->memory[i] != ULLONG_MAX && write_in(group, around_files[i], value) < 0)
            return -1;
    }
    snprintf(value, sizeof(value), "%llu %llu", around->quota, around->period);
    return around->quota != ULLONG_MAX ? write_in(group, "cpu.max", value) : 0;
}

/*
 * The group of sandboxes below base. Those of processes whose own group was passed over, `passed`
 * (the rest of its path), and has limits are held to these together, in a group beside the others.
 */
static int name_group(const char *base, const char *passed, const struct around *around,
                      char *ret_group, size_t size)
{
    bool apart = holds_memory(around) || around->quota != ULLONG_MAX;
    int length = snprintf(ret_group, size, "%s/sandboxes", base);
    size_t begin = (size_t)length;
    if (apart)
        length = snprintf(ret_group, size, "%s/sandboxes-%s", base, passed + 1);
    if ((size_t)length >= size)
        return -1;
    for (char *at = ret_group + begin; apart && *at; at++)
        if (*at == '/')
            *at = '-';
    return 0;
}

/*
 * Version 2 has processes only in leaves, so the group we live in may not pass controllers on. Then
 * the group above it is tried: there a sibling of ours can be made if it was delegated to us. And a
 * group may lack a controller that those above it have: systemd passes on what its units ask for.
 */
static int open_v2_at(struct cgroup *cgroup, const char *base, const char *passed,
                      const struct around *around, const char *id, const bool *asked)
{
    char group[256];
    struct group_path path;
    bool needed[CGROUP_LIMITS];
    memcpy(needed, asked, sizeof(needed));
    needed[CGROUP_MEMORY] |= holds_memory(around);
    needed[CGROUP_CPU] |= around->quota != ULLONG_MAX;
    if (name_group(base, passed, around, group, sizeof(group)) < 0 || delegate(base, needed) < 0 ||
        (mkdir(group, 0755) < 0 && errno != EEXIST) || hold_around(group, around) < 0 ||
        delegate(group, needed) < 0 || put_path(&path, group, id) < 0 || note(cgroup, &path, 1) < 0)
        return -1;
    return open_group(cgroup, CGROUP_MEMORY, &path);
}

static int open_v2(struct cgroup *cgroup, const char *self, const struct box_spec *spec)
{
    char own[200], whole[200], base[256];
    bool asked = spec->flags & BOX_LIMITS_ASKED;
    struct around around = AROUND_NONE;
    const bool needed[CGROUP_LIMITS] = {[CGROUP_MEMORY] = asked && spec->memory_bytes,
                                        [CGROUP_PIDS] = asked && spec->max_pids,
                                        [CGROUP_CPU] = spec->cpu_millis > 0};
    if (own_path(self, "", own, sizeof(own)) < 0)
        return -1;
    memcpy(whole, own, sizeof(whole));
    for (;;) {
        bool top = strcmp(own, "/") == 0;
        const char *passed = whole + (top ? 0 : strlen(own));
        snprintf(base, sizeof(base), MOUNT "%s", top ? "" : own);
        if (open_v2_at(cgroup, base, passed, &around, spec->id, needed) == 0)
            break;
        pass_over(base, &around);
        char *slash = strrchr(own, '/');
        if (!slash || !own[1])
            return -1;
        slash[slash == own] = '\0';
    }
    for (int i = CGROUP_PIDS; i < CGROUP_LIMITS; i++)
        cgroup->fds[i] = cgroup->fds[CGROUP_MEMORY];
    cgroup->v2 = true;
    return 0;
}

static int find_group(enum cgroup_part part, const char *self, char *ret_group, size_t size)
{
    char own[200];
    if (own_path(self, parts[part].controller, own, sizeof(own)) < 0) {
        errno = ENOENT;
        return -1;
    }
    snprintf(ret_group, size, "%s%s/sandboxes", parts[part].mount,
             strcmp(own, "/") == 0 ? "" : own);
    return 0;
}

static void read_self(char *text, size_t size)
{
    if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", text, size) < 0)
        text[0] = '\0';
}

static int put_group(const struct cgroup *cgroup, enum cgroup_part part, const char *self,
                     const char *id, struct group_path *path)
{
    char group[256];
    if (part < CGROUP_LIMITS && cgroup->groups[part])
        return put_path(path, cgroup->groups[part], id);
    return find_group(part, self, group, sizeof(group)) < 0 ? -1 : put_path(path, group, id);
}

static void open_v1(struct cgroup *cgroup, const char *self, const char *id)
{
    struct group_path paths[CGROUP_LIMITS] = {0};
    for (int i = 0; i < CGROUP_LIMITS; i++)
        (void)put_group(cgroup, i, self, id, &paths[i]);
    if (note(cgroup, paths, CGROUP_LIMITS) < 0)
        return;
    for (int i = 0; i < CGROUP_LIMITS; i++)
        if (paths[i].text[0])
            (void)open_group(cgroup, i, &paths[i]);
}

int cgroup_open_part(struct cgroup *cgroup, enum cgroup_part part, const char *id)
{
    char self[4096];
    struct group_path path;
    read_self(self, sizeof(self));
    if (put_group(cgroup, part, self, id, &path) < 0 || note(cgroup, &path, 1) < 0)
        return -1;
    return open_group(cgroup, part, &path);
}

void cgroup_open_groups(struct cgroup *cgroup)
{
    char self[4096], group[256];
    if (cgroup->unified)
        return;
    read_self(self, sizeof(self));
    for (int i = 0; i < CGROUP_LIMITS; i++) {
        if (find_group(i, self, group, sizeof(group)) < 0)
            continue;
        cgroup->groups[i] = strdup(group);
        cgroup->group_fds[i] = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
}

struct limit {
    enum cgroup_part part;
    const char *v1, *v2;
    char value[48], v2_value[48];
    const char *what;
};

static int set_limit(const struct cgroup *cgroup, const struct limit *limit, bool asked,
                     struct sbx_error *err)
{
    int fd = cgroup->fds[limit->part];
    const char *file = cgroup->unified ? limit->v2 : limit->v1;
    const char *value = cgroup->v2 && limit->v2_value[0] ? limit->v2_value : limit->value;
    if (fd >= 0 && fd_write_file(fd, file, value) == 0)
        return 0;
    if (!asked)
        return 0;
    if (fd < 0)
        errno = ENOENT;
    return jail_fail(err, "cgroup", "cannot limit %s: no usable cgroup (%s)", limit->what, file);
}

// Around a guest, which holds its own limits, there is QEMU with its threads.
#define MACHINE_THREADS 128

static unsigned long long memory_limit(const struct box_spec *spec)
{
    return spec->memory_bytes + (spec->machine[0] ? MACHINE_OVERHEAD : 0);
}

static int set_limits(const struct cgroup *cgroup, const struct jail *jail, struct sbx_error *err)
{
    const struct box_spec *spec = &jail->spec;
    bool asked = spec->flags & BOX_LIMITS_ASKED;
    struct limit memory = {CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", "", "", "memory"};
    struct limit pids = {CGROUP_PIDS, "pids.max", "pids.max", "", "", "processes"};
    struct limit cpu = {CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", "", "", "cpu"};
    snprintf(memory.value, sizeof(memory.value), "%llu", memory_limit(spec));
    snprintf(pids.value, sizeof(pids.value), "%u",
             spec->machine[0] ? MACHINE_THREADS : spec->max_pids + 1); // one for the agent
    unsigned long long quota = (unsigned long long)spec->cpu_millis * PERIOD_USEC / 1000;
    snprintf(cpu.value, sizeof(cpu.value), "%llu", quota);
    snprintf(cpu.v2_value, sizeof(cpu.v2_value), "%llu %d", quota, PERIOD_USEC);
    int code = spec->memory_bytes ? set_limit(cgroup, &memory, asked, err) : 0;
    if (code == 0 && spec->max_pids)
        code = set_limit(cgroup, &pids, asked, err);
    if (code == 0 && spec->cpu_millis)
        code = set_limit(cgroup, &cpu, true, err); // never set by default
    return code;
}

// Swap would let a sandbox use more than was asked for, at the whole machine's cost; so would what
// lies in sockets, which version 1 counts apart, and only where there is a limit.
static void close_loopholes(const struct cgroup *cgroup, const struct jail *jail)
{
    char whole[32], part[32];
    unsigned long long limit = memory_limit(&jail->spec);
    int fd = cgroup->fds[CGROUP_MEMORY];
    if (fd < 0 || !jail->spec.memory_bytes)
        return;
    if (cgroup->v2) {
        (void)fd_write_file(fd, "memory.swap.max", "0");
        return;
    }
    snprintf(whole, sizeof(whole), "%llu", limit);
    snprintf(part, sizeof(part), "%llu", limit / SOCKETS_PART);
    (void)fd_write_file(fd, "memory.memsw.limit_in_bytes", whole);
    (void)fd_write_file(fd, SOCKETS_FILE, part);
}

int cgroup_open_entries(const struct cgroup *cgroup, int ret_fds[CGROUP_LIMITS],
                        struct sbx_error *err)
{
    int count = 0;
    for (int i = 0; i < CGROUP_LIMITS && !cgroup->v2; i++) {
        if (cgroup->fds[i] < 0)
            continue;
        ret_fds[count] = openat(cgroup->fds[i], "tasks", O_WRONLY | O_CLOEXEC);
        if (ret_fds[count] < 0)
            return jail_fail(err, "cgroup", "cannot open the tasks of '%s'", cgroup->paths[i].text);
        count++;
    }
    return count;
}

int cgroup_create(struct cgroup *cgroup, const struct jail *jail, struct sbx_error *err)
{
    char self[4096] = "";
    cgroup->dir_fd = jail->dir_fd;
    if (!cgroup->groups[CGROUP_MEMORY] || !cgroup->groups[CGROUP_PIDS] ||
        !cgroup->groups[CGROUP_CPU])
        read_self(self, sizeof(self));
    if (cgroup->unified)
        (void)open_v2(cgroup, self, &jail->spec);
    if (!cgroup->v2)
        open_v1(cgroup, self, jail->spec.id);
    int code = set_limits(cgroup, jail, err);
    if (code < 0)
        return code;
    close_loopholes(cgroup, jail);
    return 0;
}

static uint64_t read_number(int fd, const char *file, const char *key)
{
    char text[4096];
    if (fd < 0 || fd_read_file(fd, file, text, sizeof(text)) < 0)
        return 0;
    const char *at = text;
    if (key) {
        size_t length = strlen(key);
        while (at && !(strncmp(at, key, length) == 0 && at[length] == ' '))
            at = (at = strchr(at, '\n')) ? at + 1 : NULL;
        if (!at)
            return 0;
        at += length + 1;
    }
    return strtoull(at, NULL, 10);
}

// Version 1 counts processor time in a hierarchy of its own, which is not worth one more group a
// sandbox: 0 there, and the library asks the agent instead.
void cgroup_measure(const struct cgroup *cgroup, struct monitor_metrics *ret_metrics)
{
    const int *fds = cgroup->fds;
    bool v2 = cgroup->v2;
    struct monitor_metrics metrics = {.has_cgroup = fds[CGROUP_MEMORY] >= 0};
    metrics.cpu_usec = v2 ? read_number(fds[CGROUP_CPU], "cpu.stat", "usage_usec") : 0;
    int memory = fds[CGROUP_MEMORY];
    metrics.memory_bytes =
        read_number(memory, v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
    metrics.memory_peak_bytes =
        read_number(memory, v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
    metrics.memory_limit_bytes =
        read_number(memory, v2 ? "memory.max" : "memory.limit_in_bytes", NULL);
    metrics.oom_kills =
        (uint32_t)read_number(memory, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
    uint64_t pids = read_number(fds[CGROUP_PIDS], "pids.current", NULL);
    metrics.pids = pids > 0 ? (uint32_t)pids - 1 : 0;
    *ret_metrics = metrics;
}

static int remove_once(const struct cgroup *cgroup, int part)
{
    const char *path = cgroup->paths[part].text;
    if (part < CGROUP_LIMITS && cgroup->group_fds[part] >= 0 &&
        unlinkat(cgroup->group_fds[part], strrchr(path, '/') + 1, AT_REMOVEDIR) == 0)
        return 0;
    return rmdir(path);
}

// A group stays busy for a moment after its last process was reaped.
static bool remove_group(const struct cgroup *cgroup, int part)
{
    struct timespec pause = {.tv_nsec = 200000};
    for (int tries = 0; remove_once(cgroup, part) < 0 && errno != ENOENT; tries++) {
        if (errno != EBUSY || tries == 1000)
            return false;
        if (tries == 100)
            pause.tv_nsec = 5000000;
        nanosleep(&pause, NULL);
    }
    return true;
}

bool cgroup_remove(struct cgroup *cgroup)
{
    bool removed = true;
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (cgroup->paths[i].text[0] && !remove_group(cgroup, i))
            removed = false;
    return removed;
}
