// SPDX-License-Identifier: Apache-2.0
// The store of local sandboxes. Layer: engine.
#include "engine/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/dirs.h"
#include "base/log.h"
#include "core/labels.h"
#include "engine/lock.h"

#define ORIGIN "local"
#define CREATE_WAIT_MS 5000 // for a sweeper that looks at a directory
#define NAME_SIZE 64        // of a valid id
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int store_open(struct store *ret_store, struct sbx_error *err)
{
    return dirs_open_runtime(ret_store->path, sizeof(ret_store->path), &ret_store->fd, err);
}

void store_close(struct store *store)
{
    if (store->fd >= 0)
        close(store->fd);
    store->fd = -1;
}

int store_lock_labels(const struct sbx_pair *labels, size_t count, struct deadline deadline,
                      struct label_lock **ret_lock, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    int code = store_open(&store, err);
    return code < 0 ? code : lock_labels(store.fd, labels, count, deadline, ret_lock, err);
}

static int make_directory(const struct store *store, char id[ID_SIZE], struct sbx_error *err)
{
    for (int attempt = 0; attempt < 8; attempt++) {
        if (id_new(id) < 0)
            return err_sys(err, 0, errno, "cannot get random bytes");
        if (mkdirat(store->fd, id, 0700) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return err_sys(err, 0, errno, "cannot make a sandbox's directory in %s", store->path);
}

static int open_new(const struct store *store, struct deadline deadline, struct store_box *box,
                    struct sbx_error *err)
{
    box->lock_fd = openat(store->fd, box->id, OPEN_DIR);
    box->dir_fd = openat(store->fd, box->id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (box->lock_fd < 0 || box->dir_fd < 0)
        return err_sys(err, 0, errno, "cannot open the directory %s/%s", store->path, box->id);
    return lock_wait(box->lock_fd, LOCK_EX, deadline, err); // who looks at it lets go at once
}

int store_create(const struct store *store, struct deadline deadline, struct store_box *ret_box,
                 struct sbx_error *err)
{
    struct store_box box = {.lock_fd = -1, .dir_fd = -1};
    deadline = deadline_min(deadline, clock_boot_ms() + CREATE_WAIT_MS);
    int code = lock_wait(store->fd, LOCK_SH, deadline, err);
    if (code < 0)
        return err_wrap(err, "%s", store->path), code;
    code = make_directory(store, box.id, err);
    if (code == 0) {
        code = open_new(store, deadline, &box, err);
        if (code < 0)
            unlinkat(store->fd, box.id, AT_REMOVEDIR);
    }
    flock(store->fd, LOCK_UN);
    if (code == 0) {
        *ret_box = box;
        return 0;
    }
    if (box.lock_fd >= 0)
        close(box.lock_fd);
    if (box.dir_fd >= 0)
        close(box.dir_fd);
    return code;
}

// Ours alone, and a directory of the kind we make.
static bool trusted(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && info.st_uid == geteuid() && !(info.st_mode & 022);
}

/*
 * Shared, so that those who look don't take each other for holders. *ret_fd is the directory, open,
 * when it is alive. The shared lock, if we get it, goes with the descriptor.
 */
static enum store_life look(const struct store *store, const char *id, int *ret_fd)
{
    cleanup_fd int fd = openat(store->fd, id, OPEN_DIR);
    if (fd < 0)
        return STORE_GONE;
    if (!trusted(fd)) {
        log_warn(ORIGIN, "%s/%s is passed over: others may write to it", store->path, id);
        return STORE_GONE;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        return STORE_STALE;
    *ret_fd = steal_fd(&fd);
    return STORE_ALIVE;
}

enum store_life store_look(const struct store *store, const char *id)
{
    cleanup_fd int fd = -1;
    return look(store, id, &fd);
}

// Ids of sandboxes, and nothing else that lies in the directory.
static bool is_box_name(const char *name)
{
    return strncmp(name, "sb-", 3) == 0 && id_valid(name);
}

// Names of a set of sandboxes, collected before anything is done about them.
struct names {
    char (*items)[NAME_SIZE];
    size_t count, capacity;
};

static void names_deinit(struct names *names)
{
    free(names->items);
}

static int names_add(struct names *names, const char *name, struct sbx_error *err)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 64;
        void *items = realloc(names->items, capacity * NAME_SIZE);
        if (!items)
            return err_nomem(err);
        names->items = items;
        names->capacity = capacity;
    }
    snprintf(names->items[names->count++], NAME_SIZE, "%s", name);
    return 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 || strncmp(name + 3, prefix, length) == 0;
}

static int read_names(const struct store *store, const char *prefix, struct names *names,
                      struct sbx_error *err)
{
    DIR *dir = dir_open(store->fd, ".");
    if (!dir)
        return err_sys(err, 0, errno, "cannot read the directory %s", store->path);
    int code = 0;
    for (struct dirent *entry; code == 0 && (entry = readdir(dir));)
        if (is_box_name(entry->d_name) && has_prefix(entry->d_name, prefix))
            code = names_add(names, entry->d_name, err);
    closedir(dir);
    return code;
}

// The record of a living sandbox (a bare one if it can't be read; RECORD_ABSENT if there is none: a
// stale one is swept), and its directory.
static enum record_result read_living(const struct store *store, const char *id,
                                      struct record *ret_record, int *ret_fd)
{
    cleanup_fd int fd = -1;
    enum store_life life = look(store, id, &fd);
    if (life == STORE_STALE)
        store_sweep(store, id);
    if (life != STORE_ALIVE)
        return RECORD_ABSENT;
    enum record_result result = record_read(fd, id, ret_record);
    if (result == RECORD_BAD) {
        log_warn(ORIGIN, "the record of sandbox %s/%s is damaged or of another version",
                 store->path, id);
        result = record_bare(id, ret_record);
    }
    *ret_fd = steal_fd(&fd);
    return result;
}

static int older(const void *a, const void *b)
{
    const struct box_spec *left = &((const struct record *)a)->spec;
    const struct box_spec *right = &((const struct record *)b)->spec;
    if (left->created_ms != right->created_ms)
        return left->created_ms < right->created_ms ? -1 : 1;
    return strcmp(left->id, right->id);
}

struct collection {
    struct record *records;
    size_t count;
};

static int collect(const struct store *store, const struct names *names,
                   const struct sbx_pair *labels, size_t label_count, struct collection *all,
                   struct sbx_error *err)
{
    all->records = calloc(names->count + 1, sizeof(*all->records));
    if (!all->records)
        return err_nomem(err);
    for (size_t i = 0; i < names->count; i++) {
        cleanup_fd int fd = -1;
        struct record *record = &all->records[all->count];
        enum record_result result = read_living(store, names->items[i], record, &fd);
        if (result == RECORD_NOMEM)
            return err_nomem(err);
        if (result != RECORD_OK)
            continue;
        const struct box_spec *spec = &record->spec;
        if (labels_match(spec->labels, spec->label_count, labels, label_count))
            all->count++;
        else
            record_deinit(record);
    }
    return 0;
}

int store_list(const struct store *store, const struct sbx_pair *labels, size_t label_count,
               struct record **ret_records, size_t *ret_count, struct sbx_error *err)
{
    cleanup(names_deinit) struct names names = {0};
    struct collection all = {0};
    int code = read_names(store, "", &names, err);
    if (code == 0)
        code = collect(store, &names, labels, label_count, &all, err);
    if (code < 0) {
        store_list_free(all.records, all.count);
        return code;
    }
    if (all.count > 1)
        qsort(all.records, all.count, sizeof(*all.records), older);
    *ret_records = all.records;
    *ret_count = all.count;
    return 0;
}

void store_list_free(struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        record_deinit(&records[i]);
    free(records);
}

static int not_found(const char *id, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_NOT_FOUND, "there is no living sandbox '%s'", id);
}

// Living ones among the names. All but the first are only counted.
static int pick(const struct store *store, const struct names *names, struct record *record,
                int *ret_fd, size_t *ret_count, struct sbx_error *err)
{
    *ret_count = 0;
    for (size_t i = 0; i < names->count && *ret_count < 2; i++) {
        cleanup_fd int fd = -1;
        cleanup_record struct record found = {0};
        enum record_result result = read_living(store, names->items[i], &found, &fd);
        if (result == RECORD_NOMEM)
            return err_nomem(err);
        if (result != RECORD_OK || (*ret_count)++ > 0)
            continue;
        *record = found;
        found = (struct record){0};
        *ret_fd = steal_fd(&fd);
    }
    return 0;
}

static int find_prefix(const struct store *store, const char *prefix, struct record *record,
                       int *ret_fd, struct sbx_error *err)
{
    cleanup(names_deinit) struct names names = {0};
    size_t count = 0;
    int code = read_names(store, prefix, &names, err);
    if (code == 0)
        code = pick(store, &names, record, ret_fd, &count, err);
    if (code < 0 || count == 1)
        return code;
    if (count == 0)
        return not_found(prefix, err);
    err_set(err, SBX_ERR_CONFLICT, "several sandboxes have an id that begins with '%s'", prefix);
    return err_hint(err, "give more of the id; 'sandboxes list' shows them");
}

int store_find(const struct store *store, const char *id, struct record *ret_record,
               int *ret_dir_fd, struct sbx_error *err)
{
    cleanup_record struct record record = {0};
    cleanup_fd int fd = -1;
    if (!id_valid(id))
        return not_found(id, err);
    enum record_result result =
        is_box_name(id) ? read_living(store, id, &record, &fd) : RECORD_ABSENT;
    int code = result == RECORD_NOMEM ? err_nomem(err) : 0;
    if (code == 0 && fd < 0)
        code = find_prefix(store, id, &record, &fd, err);
    else if (code == 0 && result == RECORD_ABSENT)
        code = not_found(id, err); // it is just being made
    if (code < 0)
        return code;
    *ret_record = record;
    record = (struct record){0};
    *ret_dir_fd = steal_fd(&fd);
    return 0;
}
