// SPDX-License-Identifier: Apache-2.0
// Specification of a local sandbox: defaults and checks. Layer: engine.
#include "engine/boxspec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "base/cleanup.h"
#include "base/netrules.h"
#include "core/labels.h"
#include "wire/monitor_msg.h"

#define MIB (1024 * 1024)

void boxspec_deinit(struct boxspec *spec)
{
    image_deinit(&spec->image);
    free(spec->env);
    free(spec->labels);
    free(spec->mounts);
    free(spec->ports);
    for (size_t i = 0; i < spec->text_count; i++)
        free(spec->texts[i]);
    free(spec->texts);
    *spec = (struct boxspec){0};
}

static uint64_t machine_memory(void)
{
    struct sysinfo info;
    return sysinfo(&info) < 0 ? SPEC_MEMORY_MOST : (uint64_t)info.totalram * info.mem_unit;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int fill_memory(const struct sbx_spec *asked, struct box_spec *box, struct sbx_error *err)
{
    uint64_t machine = machine_memory();
    if (asked->memory_bytes > machine)
        return err_set(err, SBX_ERR_QUOTA,
                       "memory of %llu MiB is more than this machine has, %llu MiB",
                       (unsigned long long)(asked->memory_bytes / MIB),
                       (unsigned long long)(machine / MIB)),
               err_hint(err, "ask for less memory"), SBX_ERR_QUOTA;
    if (asked->memory_bytes && asked->memory_bytes < SPEC_MEMORY_LEAST)
        return err_set(err, SBX_ERR_INVALID,
                       "memory of %llu bytes can't hold a command; %llu MiB can",
                       (unsigned long long)asked->memory_bytes, SPEC_MEMORY_LEAST / MIB);
    box->memory_bytes =
        asked->memory_bytes ? asked->memory_bytes : least(SPEC_MEMORY_MOST, machine / 2);
    box->disk_bytes =
        asked->disk_bytes ? asked->disk_bytes : least(SPEC_DISK_MOST, box->memory_bytes / 2);
    if (box->disk_bytes <= box->memory_bytes)
        return 0;
    err_set(err, SBX_ERR_UNSUPPORTED,
            "disk of %llu MiB in memory of %llu MiB: the writable layer is kept in the sandbox's "
            "memory",
            (unsigned long long)(box->disk_bytes / MIB),
            (unsigned long long)(box->memory_bytes / MIB));
    err_hint(err, "ask for as much memory as disk at least, or mount a directory for large data");
    return SBX_ERR_UNSUPPORTED;
}

static int fill_cpu(const struct sbx_spec *asked, struct box_spec *box, struct sbx_error *err)
{
    // Not asked for nothing: it reads a file of /sys.
    long cores = asked->cpu_millis ? sysconf(_SC_NPROCESSORS_ONLN) : 0;
    if (asked->cpu_millis && asked->cpu_millis < SPEC_CPU_LEAST)
        return err_set(err, SBX_ERR_INVALID, "cpu of %u thousandths is too little; %d is the least",
                       asked->cpu_millis, SPEC_CPU_LEAST);
    if (cores > 0 && asked->cpu_millis > (uint64_t)cores * 1000) {
        err_set(err, SBX_ERR_QUOTA, "cpu of %.3g cores is more than this machine has, %ld",
                asked->cpu_millis / 1000.0, cores);
        return err_hint(err, "ask for at most %ld", cores);
    }
    box->cpu_millis = asked->cpu_millis;
    return 0;
}

static int fill_open_files(const struct sbx_spec *asked, struct box_spec *box,
                           struct sbx_error *err)
{
    struct rlimit limit;
    uint64_t most = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? SPEC_OPEN_FILES : limit.rlim_max;
    if (asked->max_open_files > most) {
        err_set(err, SBX_ERR_QUOTA, "%u open files are more than this process may grant, %llu",
                asked->max_open_files, (unsigned long long)most);
        return err_hint(err, "ask for less, or raise the hard limit: ulimit -Hn");
    }
    box->max_open_files =
        asked->max_open_files ? asked->max_open_files : (uint32_t)least(SPEC_OPEN_FILES, most);
    return 0;
}

static int fill_limits(const struct sbx_spec *asked, struct box_spec *box, struct sbx_error *err)
{
    box->max_pids = asked->max_pids ? asked->max_pids : SPEC_PIDS;
    if (asked->memory_bytes || asked->cpu_millis || asked->max_pids)
        box->flags |= BOX_LIMITS_ASKED;
    int code = fill_memory(asked, box, err);
    if (code == 0)
        code = fill_cpu(asked, box, err);
    return code < 0 ? code : fill_open_files(asked, box, err);
}

static void fill_life(const struct sbx_spec *asked, struct box_spec *box)
{
    box->lifetime = asked->lifetime;
    box->ttl_ms = asked->ttl_ms;
    if (asked->ttl_ms == 0)
        box->ttl_ms = asked->lifetime == SBX_LIFETIME_TIED ? -1 : SPEC_TTL_MS;
}

// What opens more than the internet is named by number: names would open what others choose.
static bool by_number(const struct sbx_spec *asked)
{
    for (size_t i = 0; i < asked->allow_count; i++)
        if (asked->allow[i][strspn(asked->allow[i], "0123456789./:")])
            return false;
    return true;
}

uint32_t boxspec_network(const struct sbx_spec *asked)
{
    if (asked->network != SBX_NETWORK_DEFAULT)
        return asked->network;
    return asked->allow_count ? SBX_NETWORK_ALLOW : SBX_NETWORK_INTERNET;
}

int boxspec_check_network(const struct sbx_spec *asked, struct sbx_error *err)
{
    uint32_t network = boxspec_network(asked);
    if (asked->allow_count && network == SBX_NETWORK_INTERNET && !by_number(asked)) {
        err_set(err, SBX_ERR_INVALID, "what is reached besides the internet is named by number");
        return err_hint(err, "write an address, as in '192.168.1.20:9000'");
    }
    if (asked->allow_count && network != SBX_NETWORK_ALLOW && network != SBX_NETWORK_INTERNET)
        return err_set(err, SBX_ERR_INVALID, "an allow list has no meaning with network '%s'",
                       sbx_network_name(network));
    // The network stack starts with the first packet: too late to say what is wrong with them.
    cleanup_netrules struct netrules *rules = NULL;
    return asked->allow_count ? netrules_parse(asked->allow, asked->allow_count, &rules, err) : 0;
}

static int fill_network(const struct sbx_spec *asked, struct box_spec *box, struct sbx_error *err)
{
    box->network = boxspec_network(asked);
    int code = boxspec_check_network(asked, err);
    if (code < 0)
        return code;
    if (asked->port_count && box->network == SBX_NETWORK_HOST) {
        err_set(err, SBX_ERR_INVALID, "with network 'host' the sandbox's ports are this machine's");
        return err_hint(err, "ask for no port; connect to it at 127.0.0.1");
    }
    box->allow = (const char **)(uintptr_t)asked->allow;
    box->allow_count = asked->allow_count;
    return 0;
}

static bool is_root(const char *user)
{
    return strcmp(user, "root") == 0 || strcmp(user, "0") == 0;
}

static void fill_names(const struct sbx_spec *asked, struct boxspec *spec)
{
    struct box_spec *box = &spec->box;
    const struct image *image = &spec->image;
    box->machine = "";
    box->image = asked->image ? asked->image : "host";
    box->user = asked->user ? asked->user : image->user ? image->user : "user";
    box->workdir = asked->workdir ? asked->workdir : image->workdir ? image->workdir : "";
    box->hostname = asked->hostname ? asked->hostname : "sandbox";
    box->layers = image->layers;
    box->layer_count = image->layer_count;
    if (is_root(box->user))
        box->flags |= BOX_ROOT_USER;
}

// Later ones replace earlier ones of the same name.
static void add_env(struct box_spec *box, const char *name, const char *value)
{
    for (size_t i = 0; i < box->env_count; i++)
        if (strcmp(box->env[i].name, name) == 0) {
            box->env[i].value = value;
            return;
        }
    box->env[box->env_count++] = (struct sbx_pair){name, value};
}

static int fill_env(const struct sbx_spec *asked, struct boxspec *spec, struct sbx_error *err)
{
    size_t most = spec->image.env_count + asked->env_count + 1;
    spec->env = calloc(most, sizeof(*spec->env));
    if (!spec->env)
        return err_nomem(err);
    spec->box.env = spec->env;
    add_env(&spec->box, "LANG", "C.UTF-8");
    for (size_t i = 0; i < spec->image.env_count; i++)
        add_env(&spec->box, spec->image.env[i].name, spec->image.env[i].value);
    for (size_t i = 0; i < asked->env_count; i++)
        add_env(&spec->box, asked->env[i].name, asked->env[i].value);
    if (spec->box.env_count > BOX_LISTS_MAX)
        return err_set(err, SBX_ERR_INVALID, "more than %d environment variables", BOX_LISTS_MAX);
    return 0;
}

static int fill_labels(const struct sbx_spec *asked, struct boxspec *spec, struct sbx_error *err)
{
    spec->labels = calloc(asked->label_count + 1, sizeof(*spec->labels));
    if (!spec->labels)
        return err_nomem(err);
    if (asked->label_count)
        memcpy(spec->labels, asked->labels, asked->label_count * sizeof(*spec->labels));
    labels_sort(spec->labels, asked->label_count);
    spec->box.labels = spec->labels;
    spec->box.label_count = asked->label_count;
    return 0;
}

// A text that the spec owns from now on. NULL when out of memory.
static const char *keep(struct boxspec *spec, char *text)
{
    if (text)
        spec->texts[spec->text_count++] = text;
    return text;
}

// Absolute, without empty, "." or ".." parts.
static bool is_clean(const char *path)
{
    if (path[0] != '/' || !path[1])
        return false;
    for (const char *at = path; *at;) {
        size_t length = strcspn(++at, "/");
        if (length == 0 || (length == 1 && at[0] == '.') ||
            (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += length;
    }
    return true;
}

// Where the sandbox's own file systems are: nothing may cover them.
static bool is_reserved(const char *target)
{
    static const char *const roots[] = {"/proc", "/sys", "/dev"};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        size_t length = strlen(roots[i]);
        if (strncmp(target, roots[i], length) == 0 && (!target[length] || target[length] == '/'))
            return true;
    }
    return false;
}

static int check_mount(const struct sbx_mount *mount, struct sbx_error *err)
{
    struct stat info;
    if (!is_clean(mount->target) || is_reserved(mount->target)) {
        err_set(err, SBX_ERR_INVALID, "nothing can be mounted at '%s' in a sandbox", mount->target);
        return err_hint(
            err, "choose an absolute path without '.', '..' and '//', not / and not in /proc, "
                 "/sys, /dev");
    }
    if (mount->source[0] != '/')
        return err_set(err, SBX_ERR_INVALID, "the mount's source '%s' is not absolute",
                       mount->source);
    if (stat(mount->source, &info) < 0)
        return err_sys(err, 0, errno, "cannot mount '%s'", mount->source);
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
        return err_set(err, SBX_ERR_INVALID, "cannot mount '%s': not a directory or file",
                       mount->source);
    return 0;
}

static int fill_mounts(const struct sbx_spec *asked, struct boxspec *spec, struct sbx_error *err)
{
    spec->mounts = calloc(asked->mount_count + 1, sizeof(*spec->mounts));
    if (!spec->mounts)
        return err_nomem(err);
    for (size_t i = 0; i < asked->mount_count; i++) {
        const struct sbx_mount *mount = &asked->mounts[i];
        int code = check_mount(mount, err);
        if (code < 0)
            return code;
        char *value;
        if (asprintf(&value, "%c%s", mount->flags & SBX_MOUNT_WRITABLE ? 'w' : 'r', mount->source) <
            0)
            return err_nomem(err);
        spec->mounts[i] = (struct sbx_pair){mount->target, keep(spec, value)};
    }
    spec->box.mounts = spec->mounts;
    spec->box.mount_count = asked->mount_count;
    return 0;
}

static int fill_ports(const struct sbx_spec *asked, struct boxspec *spec, struct sbx_error *err)
{
    if (asked->port_count > MONITOR_PORTS_MAX)
        return err_set(err, SBX_ERR_INVALID, "more than %d ports", MONITOR_PORTS_MAX);
    spec->ports = calloc(asked->port_count + 1, sizeof(*spec->ports));
    if (!spec->ports)
        return err_nomem(err);
    for (size_t i = 0; i < asked->port_count; i++) {
        char *text;
        if (asked->ports[i].port == 0)
            return err_set(err, SBX_ERR_INVALID, "port 0 can't be exposed");
        if (asprintf(&text, "%u:%u", asked->ports[i].port, asked->ports[i].host_port) < 0)
            return err_nomem(err);
        spec->ports[i] = keep(spec, text);
    }
    spec->box.ports = spec->ports;
    spec->box.port_count = asked->port_count;
    return 0;
}

static int fill_lists(const struct sbx_spec *asked, struct boxspec *spec, struct sbx_error *err)
{
    if (asked->mount_count > BOX_LISTS_MAX || asked->label_count > BOX_LISTS_MAX ||
        asked->allow_count > BOX_LISTS_MAX)
        return err_set(err, SBX_ERR_INVALID, "more than %d mounts, labels or allowed addresses",
                       BOX_LISTS_MAX);
    spec->texts = calloc(asked->mount_count + asked->port_count + 2, sizeof(*spec->texts));
    if (!spec->texts)
        return err_nomem(err);
    int code = fill_env(asked, spec, err);
    if (code == 0)
        code = fill_labels(asked, spec, err);
    if (code == 0)
        code = fill_mounts(asked, spec, err);
    return code < 0 ? code : fill_ports(asked, spec, err);
}

static int refuse_gpu(const struct sbx_spec *asked, struct sbx_error *err)
{
    if (!asked->gpu)
        return 0;
    err_set(err, SBX_ERR_UNSUPPORTED, "local sandboxes have no gpu ('%s')", asked->gpu);
    err_hint(err, "leave out the gpu, or choose a provider that has them: sandboxes providers");
    return SBX_ERR_UNSUPPORTED;
}

static uint32_t image_flags(const struct sbx_spec *asked)
{
    return asked->user && is_root(asked->user) ? IMAGE_FOR_ROOT : 0;
}

int boxspec_fill_on(const struct sbx_spec *asked, struct image *image, struct boxspec *ret_spec,
                    struct sbx_error *err)
{
    cleanup_boxspec struct boxspec spec = {.image = *image};
    *image = (struct image){0};
    int code = refuse_gpu(asked, err);
    if (code == 0)
        code = fill_limits(asked, &spec.box, err);
    if (code == 0)
        code = fill_network(asked, &spec.box, err);
    if (code == 0)
        code = fill_lists(asked, &spec, err);
    if (code < 0)
        return code;
    fill_names(asked, &spec);
    fill_life(asked, &spec.box);
    *ret_spec = spec;
    spec = (struct boxspec){0};
    return 0;
}

int boxspec_fill(const struct sbx_spec *asked, struct deadline deadline, struct boxspec *ret_spec,
                 struct sbx_error *err)
{
    struct image image;
    struct box_spec checked = {0};
    int code = refuse_gpu(asked, err);
    if (code == 0)
        code = fill_limits(asked, &checked, err);
    if (code == 0)
        code = fill_network(asked, &checked, err);
    if (code == 0) // which may take long: last
        code = image_open(asked->image, image_flags(asked), deadline, &image, err);
    return code < 0 ? code : boxspec_fill_on(asked, &image, ret_spec, err);
}
