// SPDX-License-Identifier: Apache-2.0
// Saved guests: made, found, given up. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tree.h"
#include "engine/accel.h"
#include "engine/imagelist.h"
#include "engine/life.h"
#include "engine/machine.h"
#include "engine/view.h"
#include "wire/machine.h"

#define KIND "saved"
#define PIECE 4096
#define CHUNK (16 * PIECE)
#define SAVE_MS 60000

struct saving {
    const struct machine_parts *parts;
    const struct store *store;
    struct launcher *launcher;
    struct deadline deadline;
    const struct boxspec *spec;
    struct machine machine;
};

// What the guest did not write it finds as zeroes, which the file need not hold.
static int write_piece(int to, const char *piece, off_t at)
{
    static const char zeroes[PIECE];
    if (memcmp(piece, zeroes, PIECE) == 0)
        return 0;
    return pwrite(to, piece, PIECE, at) == PIECE ? 0 : -1;
}

static int copy_range(int from, int to, off_t at, off_t end)
{
    char data[CHUNK];
    while (at < end) {
        ssize_t got = pread(from, data, sizeof(data), at);
        if (got <= 0 || got % PIECE)
            return -1;
        for (ssize_t i = 0; i < got; i += PIECE)
            if (write_piece(to, data + i, at + i) < 0)
                return -1;
        at += got;
    }
    return 0;
}

static int copy_memory(int from, int to, off_t size)
{
    struct stat info;
    if (fstat(from, &info) < 0 || info.st_size != size || ftruncate(to, size) < 0)
        return -1;
    for (off_t at = lseek(from, 0, SEEK_DATA), end; at >= 0 && at < size;
         at = lseek(from, end, SEEK_DATA))
        if ((end = lseek(from, at, SEEK_HOLE)) < 0 || copy_range(from, to, at, end) < 0)
            return -1;
    return errno == ENXIO ? 0 : -1; // there is no data behind the last
}

static int copy_state(int from, int to)
{
    struct stat info;
    if (fstat(from, &info) < 0 || info.st_size == 0 || info.st_size > MACHINE_STATE_MAX)
        return -1;
    cleanup_free char *data = malloc((size_t)info.st_size);
    if (!data || pread(from, data, (size_t)info.st_size, 0) != info.st_size)
        return -1;
    return fd_write_full(to, data, (size_t)info.st_size);
}

// An emulated one's QEMU besides, where it could be frozen.
static int keep_frozen(int from, int new_fd)
{
    struct stat info;
    cleanup_fd int to =
        openat(new_fd, "files/frozen", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (to < 0 || fstat(from, &info) < 0 || info.st_size > MACHINE_FROZEN_MAX)
        return -1;
    return copy_memory(from, to, info.st_size);
}

static int keep(const struct saving *saving, int new_fd, const struct frame *frame,
                struct sbx_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    if (frame->type != AGENT_DONE || frame->fd_count < 2 || frame->fd_count > 3)
        return err_set(err, SBX_ERR_PROTOCOL, "the guest was not saved");
    if (mkdirat(new_fd, "files", 0755) < 0)
        return err_sys(err, 0, errno, "cannot make the directory of a saved guest");
    cleanup_fd int memory = openat(new_fd, "files/memory", flags, 0644);
    cleanup_fd int state = openat(new_fd, "files/state", flags, 0644);
    if (memory < 0 || state < 0 ||
        copy_memory(frame->fds[0], memory, (off_t)saving->machine.memory_mb << 20) < 0 ||
        copy_state(frame->fds[1], state) < 0 ||
        (frame->fd_count == 3 && keep_frozen(frame->fds[2], new_fd) < 0))
        return err_sys(err, 0, errno, "cannot keep a saved guest");
    cleanup_fd int manifest = openat(new_fd, "manifest", flags, 0644);
    const char text[] = "layer\t" MACHINE_SAVED "\tfiles\n";
    if (manifest < 0 || fd_write_full(manifest, text, sizeof(text) - 1) < 0)
        return err_sys(err, 0, errno, "cannot write the manifest of a saved guest");
    return 0;
}

static int fetch(const struct saving *saving, struct box *box, int new_fd, struct sbx_error *err)
{
    cleanup_conn struct conn conn = CONN_NONE;
    struct frame frame = {0};
    const struct buf nothing = {0};
    int code = box_connect(box, saving->deadline, &conn, err);
    if (code == 0)
        code = conn_send(&conn, AGENT_GUEST, &nothing, saving->deadline, err);
    if (code == 0)
        code = frame_receive(conn.fd, &conn.in, saving->deadline, &frame, err);
    if (code < 0)
        return code;
    code = keep(saving, new_fd, &frame, err);
    for (size_t i = 0; i < frame.fd_count; i++)
        close(frame.fds[i]);
    return code;
}

static int print(const struct machine *machine, enum machine_saved saved, char *ret_text,
                 struct sbx_error *err)
{
    struct machine changed = *machine;
    changed.saved = saved;
    if (machine_print(&changed, ret_text, MACHINE_TEXT_MAX) < 0)
        return err_set(err, SBX_ERR_BUG, "the description of the machine is too long");
    return 0;
}

// Boots a guest of that kind which is nobody's: without image, network, names, variables and
// labels.
static int build(void *payload, int new_fd, struct sbx_error *err)
{
    const struct saving *saving = payload;
    struct boxspec spec = {.box = saving->spec->box};
    struct leashes leashes;
    struct box *box;
    char text[MACHINE_TEXT_MAX];
    int code = print(&saving->machine, MACHINE_SAVE, text, err);
    if (code < 0)
        return code;
    spec.box.machine = text;
    spec.box.layer_count = 1; // QEMU's
    spec.box.user = spec.box.flags & BOX_ROOT_USER ? "root" : "user";
    spec.box.workdir = "";
    spec.box.hostname = "sandbox";
    spec.box.env_count = spec.box.label_count = spec.box.mount_count = 0;
    spec.box.allow_count = spec.box.port_count = 0;
    spec.box.network = SBX_NETWORK_NONE;
    spec.box.lifetime = SBX_LIFETIME_TIED;
    spec.box.ttl_ms = SAVE_MS;
    leashes_init(&leashes);
    code = life_begin(saving->store, &spec, saving->launcher, NULL, &leashes, saving->deadline,
                      &box, err);
    if (code == 0) {
        struct sbx_error ignored;
        code = fetch(saving, box, new_fd, err);
        (void)life_end(saving->store, box->id, box->dir_fd, deadline_in(SAVE_MS), &ignored);
        box_release(box);
    }
    leashes_deinit(&leashes);
    return code;
}

// Everything that another guest could not go on from.
static struct statkey key_of(const struct saving *saving)
{
    struct stat info;
    struct statkey key = view_key(KIND);
    const struct machine *machine = &saving->machine;
    const uint32_t kind[] = {machine->memory_mb, machine->cpus,  machine->kvm,   machine->acpi,
                             machine->network,   machine->debug, machine->mounts};
    statkey_add_text(&key, saving->spec->box.layers[0].value); // QEMU, kernel and memory disk
    statkey_add_stat(&key, stat(saving->parts->vmm, &info) == 0 ? &info : NULL);
    statkey_add(&key, kind, sizeof(kind));
    return key;
}

static int set_machine(struct boxspec *spec, const char *text, struct sbx_error *err)
{
    char *copy = strdup(text);
    for (size_t i = 0; copy && i < spec->text_count; i++)
        if (spec->texts[i] == spec->box.machine) {
            free(spec->texts[i]);
            spec->texts[i] = copy;
            spec->box.machine = copy;
            return 0;
        }
    free(copy);
    return err_nomem(err);
}

int machine_use_saved(const struct machine_parts *parts, const struct store *store,
                      struct launcher *launcher, struct deadline deadline, struct boxspec *spec,
                      struct sbx_error *err)
{
    char text[MACHINE_TEXT_MAX];
    cleanup(image_deinit) struct image view = {0};
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    struct saving saving = {parts, store, launcher, deadline, spec, {0}};
    if (machine_parse(spec->box.machine, &saving.machine) < 0)
        return err_set(err, SBX_ERR_BUG, "the description of the machine is malformed");
    int code = cachedir_open(&cache, err);
    if (code < 0)
        return code;
    struct statkey key = key_of(&saving);
    code = view_open(&cache, KIND, &key, deadline, build, &saving, &view, err);
    if (code == 0)
        code = print(&saving.machine, MACHINE_RESTORE, text, err);
    if (code == 0)
        code = imagelist_add_layer(&spec->image, view.layers[0].name, view.layers[0].value, err);
    if (code == 0)
        code = set_machine(spec, text, err);
    spec->box.layers = spec->image.layers;
    spec->box.layer_count = spec->image.layer_count;
    return code;
}

// One that others run from goes on being there for them.
static void remove_view(const char *files)
{
    char name[VIEW_NAME_SIZE], aside[VIEW_NAME_SIZE + 4];
    struct sbx_error ignored;
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    const char *end = strrchr(files, '/'), *begin = end ? memrchr(files, '/', end - files) : NULL;
    if (!begin || cachedir_open(&cache, &ignored) < 0)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)(end - begin - 1), begin + 1);
    snprintf(aside, sizeof(aside), "%s.old", name);
    if (renameat(cache.fd, name, cache.fd, aside) == 0)
        tree_remove(cache.fd, aside);
}

bool machine_drop_saved(struct boxspec *spec)
{
    struct machine machine;
    struct sbx_error ignored;
    char text[MACHINE_TEXT_MAX];
    const struct sbx_pair *saved = &spec->box.layers[spec->box.layer_count - 1];
    if (machine_parse(spec->box.machine, &machine) < 0 || machine.saved != MACHINE_RESTORE)
        return false;
    remove_view(saved->value);
    spec->box.layer_count--;
    return print(&machine, MACHINE_BOOT, text, &ignored) == 0 &&
           set_machine(spec, text, &ignored) == 0;
}

bool machine_without_kvm(struct boxspec *spec, const struct sbx_error *why)
{
    struct machine machine;
    struct sbx_error ignored;
    char text[MACHINE_TEXT_MAX];
    if (machine_parse(spec->box.machine, &machine) < 0 || !machine.kvm)
        return false;
    accel_give_up(why->message);
    machine.kvm = 0;
    spec->box.flags &= ~(uint32_t)BOX_KVM;
    return print(&machine, MACHINE_BOOT, text, &ignored) == 0 &&
           set_machine(spec, text, &ignored) == 0;
}
