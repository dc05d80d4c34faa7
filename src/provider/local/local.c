// SPDX-License-Identifier: Apache-2.0
// The providers `local` and `microvm`: sandboxes of this machine's own engine, in namespaces or
// each under a kernel of its own. They share the store; each sees its own kind. Layer: provider.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "core/settings.h"
#include "engine/delta.h"
#include "engine/launch.h"
#include "engine/life.h"
#include "engine/lock.h"
#include "engine/monitor_client.h"
#include "provider/local/handle.h"
#include "wire/machine.h"

static int open_kind(const struct sbx_settings *settings, bool guests, void **ret_provider,
                     struct sbx_error *err)
{
    int code = settings_only(settings, NULL, 0, err); // it has none yet
    if (code < 0)
        return code;
    struct local *local = calloc(1, sizeof(*local));
    if (!local)
        return err_nomem(err);
    local->guests = guests;
    pthread_mutex_init(&local->lock, NULL);
    leashes_init(&local->leashes);
    spares_init(&local->launcher.spares);
    *ret_provider = local;
    return 0;
}

static int local_open(const struct sbx_settings *settings, void **ret_provider,
                      struct sbx_error *err)
{
    return open_kind(settings, false, ret_provider, err);
}

static int microvm_open(const struct sbx_settings *settings, void **ret_provider,
                        struct sbx_error *err)
{
    return open_kind(settings, true, ret_provider, err);
}

static void local_close(void *provider)
{
    struct local *local = provider;
    leashes_deinit(&local->leashes);
    spares_deinit(&local->launcher.spares);
    pthread_mutex_destroy(&local->lock);
    free(local);
}

static void local_forked(void *provider)
{
    struct local *local = provider;
    leashes_forked(&local->leashes);
    spares_forked(&local->launcher.spares);
}

// Absolute: the jail opens it from another directory.
static int find_program(const char *name, char ret_path[PATH_MAX], struct sbx_error *err)
{
    char path[PATH_MAX];
    int code = launch_find_program(name, path, sizeof(path), err);
    if (code == 0 && !realpath(path, ret_path))
        code = err_sys(err, SBX_ERR_SETUP, errno, "cannot find '%s'", path);
    return code;
}

// Looked for once: they don't move while a program runs.
int local_find_programs(struct local *local, struct sbx_error *err)
{
    pthread_mutex_lock(&local->lock);
    int code = 0;
    if (!local->found)
        code = find_program("sandboxes-agent", local->agent, err);
    if (!local->found && code == 0)
        code = find_program("sandboxes-netstack", local->netstack, err);
    if (!local->found && code == 0)
        code = find_program("sandboxes-jail", local->launcher.jail, err);
    if (!local->found && code == 0 && local->guests)
        code = machine_find(&local->parts, err);
    local->found = code == 0;
    pthread_mutex_unlock(&local->lock);
    return code;
}

static struct local_box *new_handle(struct local *local, struct box *box)
{
    struct local_box *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return NULL;
    handle->local = local;
    handle->box = box;
    if (box)
        box->in_guest = local->guests;
    pthread_mutex_init(&handle->lock, NULL);
    return handle;
}

static void local_box_free(void *handle)
{
    struct local_box *box = handle;
    record_deinit(&box->record);
    box_release(box->box);
    free(box->delta);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

// Files of a fork that are left for want of memory here go with the next snapshot.
static void note_delta(struct local_box *handle, const struct box_spec *spec)
{
    const char *layer = delta_among(spec->layers, spec->layer_count);
    handle->delta = layer ? strdup(layer) : NULL;
}

// Bounds a guest whose creator dies while it boots; longer than sandboxes-vmm waits for one.
#define BOOT_TTL_MS 90000

// The time to live of a guest counts from when it can run commands.
static int start_ttl(struct box *box, int64_t ttl_ms, struct deadline deadline,
                     struct sbx_error *err)
{
    return ttl_ms > 0 ? monitor_set_ttl(box->dir_fd, ttl_ms, deadline, err) : 0;
}

static bool is_over(int code)
{
    return code == SBX_ERR_TIMEOUT || code == SBX_ERR_CANCELLED;
}

// As a copy of a saved guest; without one, or when it can't be run, by booting.
static int begin_guest(struct local *local, const struct store *store, struct boxspec *spec,
                       struct deadline deadline, struct box **ret_box, struct sbx_error *err)
{
    const char *wanted = getenv("SANDBOXES_MICROVM_SAVED");
    bool boots = wanted && strcmp(wanted, "0") == 0;
    int code =
        boots ? 0 : machine_use_saved(&local->parts, store, &local->launcher, deadline, spec, err);
    if (code < 0 && !is_over(code) && machine_without_kvm(spec, err))
        code = machine_use_saved(&local->parts, store, &local->launcher, deadline, spec, err);
    if (is_over(code))
        return code;
    if (code < 0)
        log_warn("microvm", "the guest boots, for none could be saved: %s", err->message);
    code = life_begin(store, spec, &local->launcher, NULL, &local->leashes, deadline, ret_box, err);
    if (code == 0 || is_over(code) || !machine_drop_saved(spec))
        return code;
    log_warn("microvm", "the guest boots, for the saved one did not run: %s", err->message);
    return life_begin(store, spec, &local->launcher, NULL, &local->leashes, deadline, ret_box, err);
}

int local_launch(struct local *local, struct boxspec *spec, struct launch *begun,
                 struct deadline deadline, struct local_box **ret_handle, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    int code = store_open(&store, err);
    if (code < 0)
        return code;
    struct local_box *handle = new_handle(local, NULL);
    if (!handle)
        return err_nomem(err);
    if (!local->guests)
        spec->box.agent = local->agent;
    spec->box.netstack = local->netstack;
    int64_t ttl_ms = spec->box.ttl_ms;
    if (local->guests && ttl_ms > 0)
        spec->box.ttl_ms += BOOT_TTL_MS;
    code = local->guests ? begin_guest(local, &store, spec, deadline, &handle->box, err)
                         : life_begin(&store, spec, &local->launcher, begun, &local->leashes,
                                      deadline, &handle->box, err);
    if (code == 0 && local->guests)
        code = start_ttl(handle->box, ttl_ms, deadline, err);
    if (code < 0) {
        local_box_free(handle);
        return code;
    }
    note_delta(handle, &spec->box);
    *ret_handle = handle;
    return 0;
}

static int local_create(void *provider, const struct sbx_spec *asked, const struct sbx_call *call,
                        void **ret_box, struct sbx_error *err)
{
    struct local *local = provider;
    struct deadline deadline = deadline_from_call(call);
    cleanup_boxspec struct boxspec spec = {0};
    cleanup_launch struct launch begun = LAUNCH_NONE;
    struct local_box *handle = NULL;
    int code = local_find_programs(local, err);
    if (code == 0 && !local->guests)
        code = launch_begin(&local->launcher, boxspec_network(asked), &begun, err);
    if (code == 0)
        code = local->guests ? machine_fill(asked, &local->parts, deadline, &spec, err)
                             : boxspec_fill(asked, deadline, &spec, err);
    if (code == 0)
        code = local_launch(local, &spec, &begun, deadline, &handle, err);
    if (code == 0)
        *ret_box = handle;
    return code;
}

// A damaged record tells no kind: then it belongs to `local`.
static bool is_ours(const struct local *local, const struct record *record)
{
    struct machine machine;
    if (!record->data || !record->spec.machine[0])
        return !local->guests;
    bool hidden = machine_parse(record->spec.machine, &machine) == 0 &&
                  machine.saved == MACHINE_SAVE; // nobody's
    return local->guests && !hidden;
}

static int local_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
                     struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    cleanup_record struct record record = {0};
    int dir_fd;
    int code = store_open(&store, err);
    if (code == 0)
        code = store_find(&store, id, &record, &dir_fd, err);
    if (code < 0)
        return code;
    if (!is_ours(provider, &record)) {
        close(dir_fd);
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no sandbox %s of this provider", id);
    }
    struct box *box = box_new(record.data ? record.spec.id : id, dir_fd);
    struct local_box *handle = box ? new_handle(provider, box) : NULL;
    if (!handle) {
        box_release(box);
        return err_nomem(err);
    }
    handle->record = record;
    handle->has_record = record.data != NULL;
    note_delta(handle, &record.spec);
    record = (struct record){0};
    *ret_box = handle;
    return 0;
}

// What a list owns.
struct owner {
    struct record *records;
    size_t count;
    struct sbx_info items[];
};

static int local_list(void *provider, const struct sbx_pair *labels, size_t label_count,
                      const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    struct record *records;
    size_t count;
    int code = store_open(&store, err);
    if (code == 0)
        code = store_list(&store, labels, label_count, &records, &count, err);
    if (code < 0)
        return code;
    struct owner *owner = malloc(sizeof(*owner) + count * sizeof(owner->items[0]));
    if (!owner) {
        store_list_free(records, count);
        return err_nomem(err);
    }
    owner->records = records;
    owner->count = count;
    size_t ours = 0;
    for (size_t i = 0; i < count; i++)
        if (is_ours(provider, &records[i]))
            owner->items[ours++] = record_info(&records[i]);
    *ret_list = (struct sbx_list){.count = ours, .items = owner->items, .owner = owner};
    return 0;
}

static void local_list_free(struct sbx_list *list)
{
    struct owner *owner = list->owner;
    if (owner)
        store_list_free(owner->records, owner->count);
    free(owner);
}

static bool has_any(struct local *local)
{
    struct sbx_list list;
    struct sbx_error ignored;
    if (local_list(local, NULL, 0, NULL, &list, &ignored) < 0)
        return false;
    size_t count = list.count;
    local_list_free(&list);
    return count > 0;
}

// Cheap, since every call that asks all providers begins with it; `sandboxes doctor` tries
// everything. Guests that live are used and ended, whatever a new one lacks by now.
static int local_probe(void *provider, struct sbx_provider_info *ret_info, struct sbx_error *err)
{
    struct local *local = provider;
    int code = local_find_programs(local, err);
    return code < 0 && local->guests && has_any(local) ? 0 : code;
}

static int local_lock(void *provider, const struct sbx_pair *labels, size_t label_count,
                      const struct sbx_call *call, void **ret_lock, struct sbx_error *err)
{
    struct label_lock *lock;
    int code = store_lock_labels(labels, label_count, deadline_from_call(call), &lock, err);
    if (code == 0)
        *ret_lock = lock;
    return code;
}

static void local_unlock(void *lock)
{
    lock_release(lock);
}

static const char *local_box_id(void *handle)
{
    return ((struct local_box *)handle)->box->id;
}

int local_read_record(struct local_box *handle, struct sbx_error *err)
{
    struct box *box = handle->box;
    if (handle->has_record) {
        record_refresh(box->dir_fd, &handle->record);
        return 0;
    }
    enum record_result result = record_read(box->dir_fd, box->id, &handle->record);
    handle->has_record = result == RECORD_OK;
    if (result == RECORD_NOMEM)
        return err_nomem(err);
    if (result == RECORD_BAD)
        return err_set(err, SBX_ERR_IO, "the record of sandbox %s is damaged", box->id);
    return result == RECORD_OK ? 0 : local_gone(handle, err);
}

int local_gone(const struct local_box *handle, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s does not exist any more", handle->box->id);
}

int local_look(struct local_box *handle, struct sbx_info *ret_info, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    int code = store_open(&store, err);
    if (code == 0 && store_look(&store, handle->box->id) != STORE_ALIVE)
        code = local_gone(handle, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&handle->lock);
    code = local_read_record(handle, err);
    if (code == 0 && ret_info)
        *ret_info = record_info(&handle->record);
    pthread_mutex_unlock(&handle->lock);
    return code;
}

static int local_info(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
                      struct sbx_error *err)
{
    return local_look(box, ret_info, err);
}

static int local_destroy(void *box, const struct sbx_call *call, struct sbx_error *err)
{
    struct local_box *handle = box;
    cleanup_store struct store store = {.fd = -1};
    int code = store_open(&store, err);
    if (code == 0)
        code =
            life_end(&store, handle->box->id, handle->box->dir_fd, deadline_from_call(call), err);
    if (code == 0 || code == SBX_ERR_NOT_FOUND)
        leashes_remove(&handle->local->leashes, handle->box->id);
    if (code == 0 && handle->delta)
        delta_ended(handle->delta);
    return code;
}

// Puts the sandbox's name before what its monitor or agent says.
static int done(const struct local_box *handle, int code, struct sbx_error *err)
{
    return code < 0 ? (err_wrap(err, "sandbox %s", handle->box->id), code) : 0;
}

static int local_set_ttl(void *box, int64_t ttl_ms, const struct sbx_call *call,
                         struct sbx_error *err)
{
    struct local_box *handle = box;
    return done(handle, monitor_set_ttl(handle->box->dir_fd, ttl_ms, deadline_from_call(call), err),
                err);
}

static int local_set_network(void *box, const struct sbx_spec *rules, const struct sbx_call *call,
                             struct sbx_error *err)
{
    struct local_box *handle = box;
    struct sbx_spec full = *rules;
    full.network = boxspec_network(rules);
    int code = boxspec_check_network(rules, err);
    if (code == 0 && full.network == SBX_NETWORK_HOST)
        code = err_set(err, SBX_ERR_UNSUPPORTED,
                       "a living sandbox is not let into this machine's "
                       "own network");
    if (code == 0)
        code = monitor_set_network(handle->box->dir_fd, &full, deadline_from_call(call), err);
    if (code == 0) {
        pthread_mutex_lock(&handle->lock);
        if (handle->has_record)
            handle->record.spec.network = full.network;
        pthread_mutex_unlock(&handle->lock);
    }
    return done(handle, code, err);
}

static int local_metrics(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                         struct sbx_error *err)
{
    struct local_box *handle = box;
    struct deadline deadline = deadline_from_call(call);
    struct monitor_metrics measured;
    struct agent_usage usage = {0};
    int code = monitor_measure(handle->box->dir_fd, deadline, &measured, err);
    if (code < 0)
        return done(handle, code, err);
    code = box_usage(handle->box, deadline, &usage, err);
    if (code < 0 && code != SBX_ERR_CONFLICT) // paused: only the agent can't be asked
        return done(handle, code, err);
    bool has = measured.has_cgroup;
    *ret_metrics =
        (struct sbx_metrics){.size = sizeof(*ret_metrics),
                             .cpu_usec = measured.cpu_usec ? measured.cpu_usec : usage.cpu_usec,
                             .memory_bytes = has ? measured.memory_bytes : usage.memory_bytes,
                             .memory_peak_bytes = measured.memory_peak_bytes,
                             .memory_limit_bytes = measured.memory_limit_bytes,
                             .disk_bytes = usage.disk_bytes,
                             .disk_limit_bytes = usage.disk_limit_bytes,
                             .pids = has ? measured.pids : usage.pids,
                             .oom_kills = measured.oom_kills};
    return 0;
}

static int local_expose(void *box, const struct sbx_port *port, const struct sbx_call *call,
                        char *ret_url, size_t url_size, struct sbx_error *err)
{
    struct local_box *handle = box;
    uint16_t host_port;
    int code =
        monitor_expose(handle->box->dir_fd, *port, deadline_from_call(call), &host_port, err);
    if (code == 0)
        snprintf(ret_url, url_size, "127.0.0.1:%u", host_port);
    return done(handle, code, err);
}

static int local_pause(void *box, const struct sbx_call *call, struct sbx_error *err)
{
    struct local_box *handle = box;
    return done(handle, monitor_pause(handle->box->dir_fd, true, deadline_from_call(call), err),
                err);
}

static int local_resume(void *box, const struct sbx_call *call, struct sbx_error *err)
{
    struct local_box *handle = box;
    return done(handle, monitor_pause(handle->box->dir_fd, false, deadline_from_call(call), err),
                err);
}

// All but a name, what it can do, and how it is opened.
#define SHARED_CALLS                                                                               \
    .close = local_close, .probe = local_probe, .create = local_create, .get = local_get,          \
    .list = local_list, .list_free = local_list_free, .lock = local_lock, .unlock = local_unlock,  \
    .box_free = local_box_free, .box_id = local_box_id, .info = local_info,                        \
    .destroy = local_destroy, .set_ttl = local_set_ttl, .metrics = local_metrics,                  \
    .pause = local_pause, .resume = local_resume, .process_start = local_process_start,            \
    .process_run = local_process_run, .process_attach = local_process_attach,                      \
    .process_pid = local_process_pid, .process_read = local_process_read,                          \
    .process_write = local_process_write, .process_close_input = local_process_close_input,        \
    .process_resize = local_process_resize, .process_signal = local_process_signal,                \
    .process_free = local_process_free, .process_list = local_process_list,                        \
    .process_list_free = task_list_free, .file_write = local_file_write,                           \
    .file_read = local_file_read, .file_upload = local_file_upload,                                \
    .file_download = local_file_download, .file_stat = local_file_stat,                            \
    .file_list = local_file_list, .file_list_free = files_list_free,                               \
    .file_mkdir = local_file_mkdir, .file_remove = local_file_remove,                              \
    .file_rename = local_file_rename, .watch_start = local_watch_start,                            \
    .watch_next = local_watch_next, .watch_free = local_watch_free, .expose = local_expose,        \
    .forked = local_forked, .set_network = local_set_network

extern const struct sbx_provider_ops provider_local, provider_microvm;
const struct sbx_provider_ops provider_local = {
    .size = sizeof(provider_local),
    .name = "local",
    .description = "sandboxes on this machine, in namespaces; needs no account",
    .capabilities = SBX_CAP_LABELS | SBX_CAP_STREAMING | SBX_CAP_STDERR | SBX_CAP_STDIN |
                    SBX_CAP_PTY | SBX_CAP_SIGNAL | SBX_CAP_BACKGROUND | SBX_CAP_FILES |
                    SBX_CAP_TTL | SBX_CAP_LIMITS | SBX_CAP_NETWORK | SBX_CAP_MOUNTS |
                    SBX_CAP_PORTS | SBX_CAP_METRICS | SBX_CAP_PAUSE | SBX_CAP_SNAPSHOT |
                    SBX_CAP_PERSISTENT | SBX_CAP_USERS | SBX_CAP_REPLAY | SBX_CAP_WATCH,
    .open = local_open,
    .snapshot = local_snapshot,
    .snapshot_remove = local_snapshot_remove,
    .fork = local_fork,
    SHARED_CALLS,
};

const struct sbx_provider_ops provider_microvm = {
    .size = sizeof(provider_microvm),
    .name = "microvm",
    .description = "sandboxes on this machine, each under a kernel of its own in QEMU",
    .capabilities = SBX_CAP_LABELS | SBX_CAP_STREAMING | SBX_CAP_STDERR | SBX_CAP_STDIN |
                    SBX_CAP_PTY | SBX_CAP_SIGNAL | SBX_CAP_BACKGROUND | SBX_CAP_FILES |
                    SBX_CAP_TTL | SBX_CAP_LIMITS | SBX_CAP_NETWORK | SBX_CAP_MOUNTS |
                    SBX_CAP_PORTS | SBX_CAP_METRICS | SBX_CAP_PAUSE | SBX_CAP_PERSISTENT |
                    SBX_CAP_USERS | SBX_CAP_REPLAY | SBX_CAP_WATCH,
    .open = microvm_open,
    SHARED_CALLS,
};
