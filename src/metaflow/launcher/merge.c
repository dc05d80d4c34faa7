// SPDX-License-Identifier: Apache-2.0
/*
 * Taking over what a task wrote. The rules are by place, and what no rule names stays behind:
 *
 *   new/FLOW/data/XX/SHA1, _meta   verified against the name; what exists already is left alone
 *   new/mf.cards/FLOW/...          below directories that name this task only
 *   task/ATTEMPT.NAME              but not what the runtime and this launcher write themselves
 *   task/_meta/NAME                unless it exists
 *
 * Layer: metaflow.
 */
#include "metaflow/launcher/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "metaflow/launcher/blob.h"
#include "metaflow/launcher/take.h"

#define METADATA_MAX (1 << 20)
#define CARD_DEPTH_MAX 3

static int open_dir(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_dir(int dir_fd, const char *name)
{
    return mkdirat(dir_fd, name, 0777) < 0 && errno != EEXIST ? -1 : open_dir(dir_fd, name);
}

// Names first, then calls: entries may be moved away by them.
typedef int entry_fn(int from_fd, const char *name, void *payload);

static int each_entry(int dir_fd, entry_fn *call, void *payload)
{
    DIR *dir = dir_open(dir_fd, ".");
    int result = 0;
    for (const struct dirent *entry; dir && result == 0 && (entry = readdir(dir));)
        if (take_name_valid(entry->d_name))
            result = call(dir_fd, entry->d_name, payload);
    if (dir)
        closedir(dir);
    return result;
}

static bool exists(int dir_fd, const char *name)
{
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

struct metadata {
    int to_fd;
    bool live; // the sandbox may still be writing: copies
};

static int take_metadata(int from_fd, const char *name, void *payload)
{
    const struct metadata *metadata = payload;
    if (exists(metadata->to_fd, name))
        return 0;
    int failed = metadata->live ? take_copy(from_fd, name, metadata->to_fd, METADATA_MAX)
                                : take_move(from_fd, name, metadata->to_fd);
    return failed && errno == ENOSPC ? -1 : 0;
}

static void take_all_metadata(const struct stage *stage, bool live)
{
    cleanup_fd int task_fd = open_dir(stage->fd, "task");
    cleanup_fd int from_fd = task_fd < 0 ? -1 : open_dir(task_fd, "_meta");
    cleanup_fd int to_fd = from_fd < 0 ? -1 : make_dir(stage->task_fd, "_meta");
    struct metadata metadata = {to_fd, live};
    if (to_fd >= 0)
        each_entry(from_fd, take_metadata, &metadata);
}

void merge_metadata(const struct stage *stage)
{
    take_all_metadata(stage, true);
}

struct blobs {
    int to_fd;        // FLOW/data of the datastore
    const char *name; // two digits: the directory that is being taken over
    char refused[BLOB_NAME_LENGTH + 1];
};

// The description first: a blob without one would be read in another way.
static int take_blob(int from_fd, const char *name, void *payload)
{
    struct blobs *blobs = payload;
    char meta[BLOB_NAME_LENGTH + 8];
    if (!blob_name_valid(name) || strncmp(name, blobs->name, 2) != 0)
        return 0;
    cleanup_fd int to_fd = make_dir(blobs->to_fd, blobs->name);
    if (to_fd < 0 || exists(to_fd, name))
        return to_fd < 0 ? -1 : 0;
    if (blob_verify(from_fd, name) < 0) {
        snprintf(blobs->refused, sizeof(blobs->refused), "%s", name);
        return -1;
    }
    snprintf(meta, sizeof(meta), "%s_meta", name);
    return take_move(from_fd, meta, to_fd) < 0 ? -1 : take_move(from_fd, name, to_fd);
}

static int take_blobs(int from_fd, const char *name, void *payload)
{
    struct blobs *blobs = payload;
    cleanup_fd int dir_fd = open_dir(from_fd, name);
    if (dir_fd < 0 || strlen(name) != 2)
        return 0;
    blobs->name = name;
    return each_entry(dir_fd, take_blob, blobs);
}

static int merge_blobs(const struct stage *stage, const struct step_options *options, int new_fd,
                       struct sbx_error *err)
{
    struct blobs blobs = {0};
    cleanup_fd int flow_fd = open_dir(new_fd, options->flow);
    cleanup_fd int data_fd = flow_fd < 0 ? -1 : open_dir(flow_fd, "data");
    if (data_fd < 0)
        return 0;
    cleanup_fd int to_flow_fd = make_dir(stage->root_fd, options->flow);
    cleanup_fd int to_fd = to_flow_fd < 0 ? -1 : make_dir(to_flow_fd, "data");
    blobs.to_fd = to_fd;
    if (to_fd >= 0 && each_entry(data_fd, take_blobs, &blobs) == 0)
        return 0;
    if (!blobs.refused[0])
        return err_sys(err, SBX_ERR_IO, errno, "cannot write to the datastore '%s'",
                       options->datastore);
    err_set(err, SBX_ERR_PROTOCOL,
            "the step wrote a blob %s with other contents than its name says", blobs.refused);
    return err_hint(err, "nothing of this attempt was taken over: look at what the step runs");
}

struct cards {
    int to_fd;
    unsigned depth; // directories left
};

static int take_card(int from_fd, const char *name, void *payload)
{
    const struct cards *cards = payload;
    cleanup_fd int dir_fd = open_dir(from_fd, name);
    if (dir_fd < 0)
        return take_move(from_fd, name, cards->to_fd) < 0 && errno == ENOSPC ? -1 : 0;
    cleanup_fd int to_fd = cards->depth > 0 ? make_dir(cards->to_fd, name) : -1;
    struct cards below = {to_fd, cards->depth - 1};
    return to_fd < 0 ? 0 : each_entry(dir_fd, take_card, &below);
}

static void step_into(int *fd, int next)
{
    close(*fd);
    *fd = next;
}

// The task's own place among cards, as metaflow/plugins/cards/card_datastore.py has it.
static void merge_cards(const struct step_options *options, int new_fd)
{
    const char *const parts[] = {options->flow, "runs",  options->run,    "steps",
                                 options->step, "tasks", options->task_id};
    cleanup_fd int from_fd = open_dir(new_fd, "mf.cards");
    cleanup_fd int to_fd = open(options->cards, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(parts) && from_fd >= 0 && to_fd >= 0; i++) {
        step_into(&from_fd, open_dir(from_fd, parts[i]));
        if (from_fd >= 0)
            step_into(&to_fd, make_dir(to_fd, parts[i]));
    }
    struct cards cards = {to_fd, CARD_DEPTH_MAX};
    if (from_fd >= 0 && to_fd >= 0)
        each_entry(from_fd, take_card, &cards);
}

struct attempt {
    int to_fd;
    char prefix[16]; // "0."
    bool done;       // whether it is the mark's turn
};

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// runtime*: the runtime's; task_std*: the log that this launcher writes.
static int take_attempt(int from_fd, const char *name, void *payload)
{
    const struct attempt *attempt = payload;
    if (!starts(name, attempt->prefix))
        return 0;
    const char *rest = name + strlen(attempt->prefix);
    if (starts(rest, "runtime") || starts(rest, "task_std") ||
        (strcmp(rest, "DONE.lock") == 0) != attempt->done)
        return 0;
    return take_move(from_fd, name, attempt->to_fd) < 0 && errno != EINVAL ? -1 : 0;
}

static int merge_attempt(const struct stage *stage, const struct step_options *options,
                         struct sbx_error *err)
{
    struct attempt attempt = {.to_fd = stage->task_fd};
    snprintf(attempt.prefix, sizeof(attempt.prefix), "%lld.", (long long)options->attempt);
    cleanup_fd int from_fd = open_dir(stage->fd, "task");
    int failed = from_fd < 0 ? -1 : each_entry(from_fd, take_attempt, &attempt);
    attempt.done = true;
    if (failed == 0)
        failed = each_entry(from_fd, take_attempt, &attempt);
    return failed ? err_sys(err, SBX_ERR_IO, errno, "cannot write to '%s'", stage->task_path) : 0;
}

int merge_all(const struct stage *stage, const struct step_options *options, struct sbx_error *err)
{
    cleanup_fd int new_fd = open_dir(stage->fd, "new");
    int code = new_fd < 0 ? err_sys(err, SBX_ERR_IO, errno, "the stage is gone")
                          : merge_blobs(stage, options, new_fd, err);
    take_all_metadata(stage, false);
    if (new_fd >= 0 && options->cards)
        merge_cards(options, new_fd);
    return code < 0 ? code : merge_attempt(stage, options, err);
}
