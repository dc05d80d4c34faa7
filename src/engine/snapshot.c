// SPDX-License-Identifier: Apache-2.0
// Taking snapshots: what the sandbox stands on, the copy of its layers, its place in the store.
// Layer: engine.
#include "engine/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/tree.h"
#include "engine/delta.h"
#include "engine/helper.h"
#include "engine/imagefresh.h"
#include "engine/imageref.h"
#include "engine/keep/protocol.h"
#include "engine/monitor_client.h"
#include "engine/pulled.h"
#include "engine/unpacker.h"

struct taking {
    struct cachedir cache;
    struct imagestore store;
    int hold_fd;
    const struct box_spec *spec;
    struct imagerecord record; // of the snapshot
    char old[SHA256_HEX_SIZE]; // of the snapshot that the sandbox was made from, or ""
    int olds[KEEP_UPPERS_MAX]; // its layers, -1 where there is none
    char letters[KEEP_UPPERS_MAX + 1];
    size_t uppers;
};

static void end_taking(struct taking *taking)
{
    for (size_t i = 0; i < taking->uppers; i++)
        if (taking->olds[i] >= 0)
            close(taking->olds[i]);
    imagerecord_deinit(&taking->record);
    if (taking->hold_fd >= 0)
        close(taking->hold_fd);
    imagestore_close(&taking->store);
    cachedir_close(&taking->cache);
}
#define TAKING_NONE                                                                                \
    {                                                                                              \
        .cache = {.fd = -1}, .store = IMAGESTORE_NONE, .hold_fd = -1                               \
    }

static int open_store(struct taking *taking, struct deadline deadline, struct sbx_error *err)
{
    int rc = cachedir_open(&taking->cache, err);
    if (rc == 0)
        rc = imagestore_open(&taking->cache, &taking->store, err);
    if (rc < 0)
        return rc;
    delta_clear_idle(&taking->store);
    return imagestore_hold(&taking->store, false, deadline, &taking->hold_fd, err);
}

// --- What the sandbox stands on

// The rest of a path of the store's folder, such as "deltas/"; NULL for other paths.
static const char *within(const struct imagestore *store, const char *folder, const char *path)
{
    char prefix[PATH_MAX];
    size_t length = (size_t)snprintf(prefix, sizeof(prefix), "%s/%s/", store->path, folder);
    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

static int set_text(char **field, const char *text, struct sbx_error *err)
{
    char *copy = strdup(text);
    if (!copy)
        return err_nomem(err);
    free(*field);
    *field = copy;
    return 0;
}

// One writable layer for each place, and below it perhaps one of an earlier snapshot.
static int add_upper(struct taking *taking, const struct sbx_pair *layer, struct sbx_error *err)
{
    const char *old = within(&taking->store, "deltas", layer->value);
    size_t i = taking->uppers;
    if (i == KEEP_UPPERS_MAX)
        return err_set(err, SBX_ERR_UNSUPPORTED, "the image has too many parts");
    taking->olds[i] = -1;
    taking->letters[i] = old ? 'o' : 'n';
    taking->uppers++;
    if (!old)
        return 0;
    snprintf(taking->old, sizeof(taking->old), "%.64s", old);
    taking->olds[i] = open(layer->value, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return taking->olds[i] < 0
               ? err_sys(err, 0, errno, "cannot open the snapshot that it was made from")
               : 0;
}

static int read_layers(struct taking *taking, struct sbx_error *err)
{
    const struct box_spec *spec = taking->spec;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->layer_count; i++)
        if (i == 0 || strcmp(spec->layers[i].name, spec->layers[i - 1].name) != 0)
            rc = add_upper(taking, &spec->layers[i], err);
    return rc;
}

// The lowest layer of the root: an image's tree, or a directory.
static const char *ground_of(const struct box_spec *spec)
{
    const char *path = NULL;
    for (size_t i = 0; i < spec->layer_count && strcmp(spec->layers[i].name, "/") == 0; i++)
        path = spec->layers[i].value;
    return path ? path : "";
}

static int describe_old(struct taking *taking, struct sbx_error *err)
{
    char path[SHA256_HEX_SIZE + sizeof(DELTA_RECORD) + 1];
    snprintf(path, sizeof(path), "%s/" DELTA_RECORD, taking->old);
    int rc = imagerecord_load(taking->store.deltas_fd, path, &taking->record, err);
    return rc < 0 ? err_wrap(err, "the snapshot that it was made from") : 0;
}

// The image's own settings hold for sandboxes made from the snapshot, if they are known still.
static int describe_tree(struct taking *taking, const char *tree, struct sbx_error *err)
{
    struct sbx_error ignored;
    struct imagerecord *record = &taking->record;
    int rc = pulled_record(taking->spec->image, record, &ignored);
    if (rc == 0 && strcmp(record->tree, tree) != 0)
        imagerecord_deinit(record);
    return set_text(&record->tree, tree, err);
}

static int describe_other(struct taking *taking, const char *ground, struct sbx_error *err)
{
    const struct box_spec *spec = taking->spec;
    bool host = strcmp(spec->image, "host") == 0;
    const char *view = spec->flags & BOX_ROOT_USER ? "host-root" : "host";
    int rc = set_text(&taking->record.tree, "", err);
    return rc < 0 ? rc : set_text(&taking->record.base, host ? view : ground, err);
}

static void free_words(struct imagewords *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct imagewords){0};
}

static int describe(struct taking *taking, struct sbx_error *err)
{
    const struct box_spec *spec = taking->spec;
    const char *ground = ground_of(spec), *tree = within(&taking->store, "trees", ground);
    struct imagerecord *record = &taking->record;
    int rc = read_layers(taking, err);
    if (rc == 0)
        rc = taking->old[0] ? describe_old(taking, err)
             : tree         ? describe_tree(taking, tree, err)
                            : describe_other(taking, ground, err);
    if (rc == 0)
        rc = set_text(&record->user, spec->user, err);
    if (rc == 0)
        rc = set_text(&record->workdir, spec->workdir, err);
    free_words(&record->over);
    for (size_t i = 0; rc == 0 && i < spec->layer_count; i++)
        if (i == 0 || strcmp(spec->layers[i].name, spec->layers[i - 1].name) != 0)
            rc = imagewords_add(&record->over, spec->layers[i].name, err);
    return rc;
}

// --- The copy

static int start_copy(const struct taking *taking, const struct monitor_held *held, int new_fd,
                      bool hash, struct helper *ret_helper, struct sbx_error *err)
{
    char limit[32], base[16] = "-";
    struct helper_fd fds[4 + KEEP_UPPERS_MAX] = {
        {held->disk_fd, KEEP_DISK_FD}, {new_fd, KEEP_DIR_FD}, {taking->hold_fd, KEEP_LOCK_FD}};
    size_t count = 3;
    if (held->userns_fd >= 0)
        fds[count++] = (struct helper_fd){held->userns_fd, KEEP_USERNS_FD};
    else
        snprintf(base, sizeof(base), "%u", held->base);
    for (size_t i = 0, next = KEEP_OLD_FD; i < taking->uppers; i++)
        if (taking->olds[i] >= 0)
            fds[count++] = (struct helper_fd){taking->olds[i], (int)next++};
    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)unpacker_room(new_fd));
    const char *const argv[] = {
        KEEP_PROGRAM,    limit, base, hash ? "hash" : "copy", held->still ? "still" : "moving",
        taking->letters, NULL};
    const struct helper_job job = {.program = KEEP_PROGRAM,
                                   .argv = argv,
                                   .fds = fds,
                                   .fd_count = count,
                                   .answer_fd = STDOUT_FILENO};
    return helper_start(&job, ret_helper, err);
}

// The sandbox goes on as soon as all is copied.
static int copy(const struct taking *taking, int dir_fd, int new_fd, bool hash,
                struct deadline deadline, struct keep_answer *ret_answer, struct sbx_error *err)
{
    cleanup_monitor_held struct monitor_held held = MONITOR_HELD_NONE;
    cleanup_helper struct helper helper = HELPER_NONE;
    struct keep_answer answer;
    int rc = monitor_hold(dir_fd, deadline, &held, err);
    if (rc == 0 && held.uppers != taking->uppers)
        rc = err_set(err, SBX_ERR_BUG, "the sandbox has other layers than its record says");
    if (rc == 0)
        rc = start_copy(taking, &held, new_fd, hash, &helper, err);
    if (rc == 0)
        rc = helper_hear(&helper, &answer, sizeof(answer), deadline, err);
    if (rc < 0)
        return rc;
    if (answer.err.code < 0) {
        *err = answer.err;
        return answer.err.code;
    }
    *ret_answer = answer;
    return 0;
}

// What the contents are, over what, with which settings. A fork's is its own.
static int name_delta(struct taking *taking, const struct keep_answer *answer, bool hash,
                      char ret_hex[SHA256_HEX_SIZE], struct sbx_error *err)
{
    struct sha256 sum;
    uint8_t digest[SHA256_SIZE];
    uint8_t chance[32];
    struct imagerecord *record = &taking->record;
    const char *const parts[] = {answer->digest, taking->old,  record->tree,
                                 record->base,   record->user, record->workdir};
    sha256_init(&sum);
    if (!hash && id_random(chance, sizeof(chance)) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    if (!hash)
        sha256_update(&sum, chance, sizeof(chance));
    for (size_t i = 0; hash && i < ARRAY_SIZE(parts); i++)
        sha256_update(&sum, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 1);
    for (size_t i = 0; i < record->over.count; i++)
        sha256_update(&sum, record->over.items[i], strlen(record->over.items[i]) + 1);
    sha256_final(&sum, digest);
    sha256_hex(digest, ret_hex);
    return 0;
}

static int complete(struct taking *taking, const struct keep_answer *answer, bool hash, int new_fd,
                    struct sbx_error *err)
{
    char hex[SHA256_HEX_SIZE], text[IMAGEREF_DIGEST_SIZE];
    struct imagerecord *record = &taking->record;
    int rc = name_delta(taking, answer, hash, hex, err);
    snprintf(text, sizeof(text), "sha256:%.64s", hex);
    if (rc == 0)
        rc = set_text(&record->delta, hex, err);
    if (rc == 0)
        rc = set_text(&record->digest, text, err);
    if (rc == 0)
        rc = set_text(&record->name, "", err);
    record->bytes = answer->bytes;
    record->made_ms = clock_unix_ms();
    return rc < 0 ? rc : imagerecord_save(new_fd, DELTA_RECORD, record, err);
}

static int lost(const struct taking *taking, struct sbx_error *err)
{
    return err_sys(err, 0, errno, "cannot write the snapshot to the disk of %s",
                   taking->store.path);
}

/*
 * Nobody has another copy, and nobody could tell a part of it from the whole: fsync(2) of each file
 * would take longer. A fork does not outlive the machine; and what is there already was written so.
 */
static int make_durable(const struct taking *taking, int new_fd, struct sbx_error *err)
{
    struct stat info;
    if (fstatat(taking->store.deltas_fd, taking->record.delta, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return syncfs(new_fd) < 0 ? lost(taking, err) : 0;
}

// It appears whole by a rename; the same contents may be there already.
static int appear(const struct taking *taking, const char *aside, bool durable,
                  struct sbx_error *err)
{
    int deltas = taking->store.deltas_fd;
    if (renameat(deltas, aside, deltas, taking->record.delta) == 0)
        return durable && fsync(deltas) < 0 ? lost(taking, err) : 0;
    if (errno == EEXIST || errno == ENOTEMPTY)
        return tree_remove(deltas, aside) < 0 ? err_sys(err, 0, errno, "cannot remove %s", aside)
                                              : 0;
    return err_sys(err, 0, errno, "cannot keep the snapshot in %s", taking->store.path);
}

static int make(struct taking *taking, int dir_fd, bool hash, struct deadline deadline,
                struct sbx_error *err)
{
    char id[ID_SIZE], aside[ID_SIZE + 8];
    struct keep_answer answer;
    int deltas = taking->store.deltas_fd;
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    snprintf(aside, sizeof(aside), "%s.new", id);
    if (mkdirat(deltas, aside, 0755) < 0)
        return err_sys(err, 0, errno, "cannot make %s/deltas/%s", taking->store.path, aside);
    cleanup_fd int new_fd = openat(deltas, aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = new_fd < 0 || fchmod(new_fd, 0755) < 0
                 ? err_sys(err, 0, errno, "cannot open %s/deltas/%s", taking->store.path, aside)
                 : copy(taking, dir_fd, new_fd, hash, deadline, &answer, err);
    if (rc == 0)
        rc = complete(taking, &answer, hash, new_fd, err);
    if (rc == 0 && hash)
        rc = make_durable(taking, new_fd, err);
    if (rc == 0)
        rc = appear(taking, aside, hash, err);
    if (rc < 0)
        tree_remove(deltas, aside);
    return rc;
}

static int take(struct taking *taking, int dir_fd, const struct record *record, bool hash,
                struct deadline deadline, struct sbx_error *err)
{
    taking->spec = &record->spec;
    int rc = open_store(taking, deadline, err);
    if (rc == 0)
        rc = describe(taking, err);
    return rc < 0 ? rc : make(taking, dir_fd, hash, deadline, err);
}

// --- Names and forks

static int check_name(const char *name, char ret_name[IMAGEREF_NAME_SIZE], struct sbx_error *err)
{
    int rc = imageref_whole(name, ret_name, err);
    if (rc == 0 && (strcmp(name, "host") == 0 || strchr(name, '@'))) {
        err_set(err, SBX_ERR_INVALID, "a snapshot can't be called '%s'", name);
        rc = err_hint(err, "choose a name such as prepared or prepared:v2");
    }
    return rc;
}

int snapshot_keep(int dir_fd, const struct record *record, const char *name,
                  struct deadline deadline, struct sbx_error *err)
{
    cleanup(end_taking) struct taking taking = TAKING_NONE;
    char whole[IMAGEREF_NAME_SIZE];
    int rc = check_name(name, whole, err);
    if (rc == 0)
        rc = take(&taking, dir_fd, record, true, deadline, err);
    if (rc == 0)
        rc = set_text(&taking.record.name, whole, err);
    // What it stands on can be fetched anew, it can't: an image of just now must be on the disk.
    if (rc == 0)
        imagefresh_settle(&taking.store);
    if (rc == 0)
        rc = imagerecord_write(&taking.store, &taking.record, err);
    return rc == 0 && fsync(taking.store.records_fd) < 0 ? lost(&taking, err) : rc;
}

int snapshot_remove(const char *name, struct sbx_error *err)
{
    cleanup(end_taking) struct taking taking = TAKING_NONE;
    char whole[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(name, whole, err);
    if (rc == 0)
        rc = cachedir_open(&taking.cache, err);
    if (rc == 0)
        rc = imagestore_open(&taking.cache, &taking.store, err);
    if (rc == 0)
        rc = imagerecord_read(&taking.store, whole, &taking.record, err);
    if (rc == SBX_ERR_NOT_FOUND || (rc == 0 && !imagerecord_is_snapshot(&taking.record))) {
        err_set(err, SBX_ERR_NOT_FOUND, "there is no snapshot '%s'", name);
        return err_hint(err, "see which there are: sandboxes image list");
    }
    if (rc == 0)
        rc = imagerecord_remove(&taking.store, whole, err);
    if (rc == 0)
        delta_clear_idle(&taking.store);
    return rc;
}

// What the original was made with, in the words of a caller.
static void ask_again(const struct box_spec *box, const struct sbx_fork *fork,
                      struct sbx_mount *mounts, const struct sbx_pair *env, struct sbx_spec *spec)
{
    *spec = (struct sbx_spec)SBX_SPEC_INIT;
    spec->image = box->image;
    spec->user = box->user;
    spec->workdir = box->workdir[0] ? box->workdir : NULL;
    spec->hostname = box->hostname;
    spec->memory_bytes = box->memory_bytes;
    spec->disk_bytes = box->disk_bytes;
    spec->cpu_millis = box->cpu_millis;
    spec->max_pids = box->max_pids;
    spec->max_open_files = box->max_open_files;
    spec->lifetime = fork->lifetime;
    spec->ttl_ms = fork->ttl_ms ? fork->ttl_ms : box->ttl_ms;
    spec->network = box->network;
    spec->allow = box->allow;
    spec->allow_count = box->allow_count;
    spec->env = env;
    spec->env_count = box->env_count + fork->env_count;
    spec->labels = fork->labels;
    spec->label_count = fork->label_count;
    for (size_t i = 0; i < box->mount_count; i++)
        mounts[i] =
            (struct sbx_mount){box->mounts[i].value + 1, box->mounts[i].name,
                               box->mounts[i].value[0] == 'w' ? (uint32_t)SBX_MOUNT_WRITABLE : 0};
    spec->mounts = mounts;
    spec->mount_count = box->mount_count;
}

static int fill_fork(struct taking *taking, const struct sbx_fork *fork, struct deadline deadline,
                     struct boxspec *ret_spec, struct sbx_error *err)
{
    const struct box_spec *box = taking->spec;
    struct image image = {0};
    struct sbx_spec spec;
    cleanup_free struct sbx_mount *mounts = calloc(box->mount_count + 1, sizeof(*mounts));
    cleanup_free struct sbx_pair *env = calloc(box->env_count + fork->env_count + 1, sizeof(*env));
    int *hold_fd = malloc(sizeof(*hold_fd));
    if (!mounts || !env || !hold_fd) {
        free(hold_fd);
        return err_nomem(err);
    }
    memcpy(env, box->env, box->env_count * sizeof(*env));
    if (fork->env_count)
        memcpy(env + box->env_count, fork->env, fork->env_count * sizeof(*env));
    ask_again(box, fork, mounts, env, &spec);
    *hold_fd = steal_fd(&taking->hold_fd); // until the fork stands on it
    int rc = delta_open(&taking->store, &taking->record, box->image, 0, &taking->cache, deadline,
                        &image, err);
    image.hold_fd = hold_fd;
    if (rc == 0)
        rc = boxspec_fill_on(&spec, &image, ret_spec, err);
    image_deinit(&image);
    if (rc == 0) // limits that were defaults are so again
        ret_spec->box.flags = (ret_spec->box.flags & ~(uint32_t)BOX_LIMITS_ASKED) |
                              (box->flags & BOX_LIMITS_ASKED) | BOX_FORK;
    return rc;
}

int snapshot_fork(int dir_fd, const struct record *record, const struct sbx_fork *fork,
                  struct deadline deadline, struct boxspec *ret_spec, struct sbx_error *err)
{
    cleanup(end_taking) struct taking taking = TAKING_NONE;
    int rc = take(&taking, dir_fd, record, false, deadline, err);
    return rc < 0 ? rc : fill_fork(&taking, fork, deadline, ret_spec, err);
}
