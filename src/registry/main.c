// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-image: fetches, lists and removes images, for `sandboxes image` and, with --answer as
 * its first argument, for the library. Layer: registry.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <sandboxes/client.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/units.h"
#include "base/utf8.h"
#include "engine/fetcher.h"
#include "registry/options.h"
#include "registry/progress.h"
#include "registry/puller.h"
#include "registry/shelf.h"
#include "registry/show.h"

#define EXIT_USAGE 2
#define EXIT_OURS 125
#define PRUNE_WAIT_MS 30000

struct common {
    const char *config;
    int debug;
};

// What the command takes for all of its kind.
static const struct opt_row common_rows[] = {
    {.name = "config",
     .kind = OPT_STRING,
     .value = "FILE",
     .offset = offsetof(struct common, config),
     .help = "configuration"},
    {.name = "debug",
     .letter = 'v',
     .kind = OPT_FLAG,
     .offset = offsetof(struct common, debug),
     .help = "tell what is being done"},
};

struct job {
    struct puller puller;
    int turn_fd; // to pull the first word, or -1
    const struct image_values *values;
    const char *const *words; // after the verb
    size_t count;
    struct show show;
};

// --- Output

static void show_table(struct job *job, const struct shelf_list *list)
{
    int width = 4;
    for (size_t i = 0; i < list->count; i++) {
        int length = (int)strlen(imageref_short(list->items[i].name));
        width = length > width ? length : width;
    }
    buf_printf(&job->show.out, "%-*s  %-12s  %10s  %6s  %s\n", width, "NAME", "DIGEST", "SIZE",
               "LAYERS", "PULLED");
    for (size_t i = 0; i < list->count; i++) {
        const struct imagerecord *record = &list->items[i];
        char size[UNITS_SIZE], when[32] = "";
        time_t seconds = (time_t)(record->made_ms / 1000);
        struct tm tm;
        if (localtime_r(&seconds, &tm))
            strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
        buf_printf(&job->show.out, "%-*s  %.12s  %10s  %6zu  %s\n", width,
                   imageref_short(record->name), record->digest + 7,
                   units_bytes(record->bytes, size), show_layers(record), when);
    }
}

// --- Verbs

static int pull_one(struct job *job, const char *name, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    struct imageref ref;
    struct progress progress;
    int rc = imageref_parse(name, &ref, err);
    if (rc < 0)
        return rc;
    progress_start(&progress, name, job->show.quiet || job->show.as_json);
    job->puller.progress = &progress;
    rc = puller_pull(&job->puller, &ref, false, &record, err);
    progress_stop(&progress);
    job->puller.progress = NULL;
    if (rc == 0)
        show_record(&job->show, &record);
    return rc;
}

static int do_pull(struct job *job, struct sbx_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->count; i++)
        rc = pull_one(job, job->words[i], err);
    return rc;
}

static int do_list(struct job *job, struct sbx_error *err)
{
    cleanup_shelf_list struct shelf_list list = {0};
    int rc = shelf_list(&job->puller, &list, err);
    if (rc < 0)
        return rc;
    if (!job->show.as_json && !job->show.quiet)
        show_table(job, &list);
    else
        for (size_t i = 0; i < list.count; i++)
            show_record(&job->show, &list.items[i]);
    return 0;
}

static int do_inspect(struct job *job, struct sbx_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        cleanup_imagerecord struct imagerecord record = {0};
        rc = shelf_find(&job->puller, job->words[i], &record, err);
        if (rc == 0)
            show_record(&job->show, &record);
    }
    return rc;
}

static int do_rm(struct job *job, struct sbx_error *err)
{
    struct shelf_freed freed;
    struct sbx_error busy;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        rc = shelf_remove(&job->puller, job->words[i], err);
        if (rc == 0 && !job->show.as_json && !job->show.quiet)
            buf_printf(&job->show.out, "%s removed\n", job->words[i]);
    }
    // Its disk is freed as soon as nobody is fetching: now, or by the next that removes something.
    job->puller.deadline = deadline_in(1);
    (void)shelf_prune(&job->puller, false, false, &freed, &busy);
    return rc;
}

static int do_prune(struct job *job, struct sbx_error *err)
{
    struct shelf_freed freed;
    job->puller.deadline = deadline_in(PRUNE_WAIT_MS);
    int rc = shelf_prune(&job->puller, job->values->all > 0, true, &freed, err);
    if (rc < 0)
        return rc;
    if (job->show.as_json) {
        json_begin_object(&job->show.json);
        json_put_uint(&job->show.json, "images", freed.images);
        json_put_uint(&job->show.json, "trees", freed.trees);
        json_put_uint(&job->show.json, "layers", freed.layers);
        json_put_uint(&job->show.json, "snapshots", freed.snapshots);
        json_put_uint(&job->show.json, "views", freed.views);
        json_put_uint(&job->show.json, "archives", freed.archives);
        json_end_object(&job->show.json);
    } else if (!job->show.quiet) {
        buf_printf(&job->show.out,
                   "removed: %zu images, %zu trees, %zu layers, %zu snapshots, %zu views of this "
                   "machine, %zu unpacked archives\n",
                   freed.images, freed.trees, freed.layers, freed.snapshots, freed.views,
                   freed.archives);
    }
    return 0;
}

static int do_import(struct job *job, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    int rc = puller_import(&job->puller, job->words[0], job->count > 1 ? job->words[1] : NULL,
                           &record, err);
    if (rc == 0)
        rc = puller_settle_now(&job->puller, err);
    if (rc == 0)
        show_record(&job->show, &record);
    return rc;
}

static int do_build(struct job *job, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    int rc = puller_build(&job->puller, job->words[0], job->words[1], &record, err);
    if (rc == 0)
        rc = puller_settle_now(&job->puller, err);
    if (rc == 0)
        show_record(&job->show, &record);
    return rc;
}

struct verb {
    const char *name, *alias;
    size_t least, most; // words after it
    const char *usage;
    bool list; // JSON is an array
    int (*run)(struct job *job, struct sbx_error *err);
};

static const struct verb verbs[] = {
    {"pull", "", 1, 64, "pull NAME...", true, do_pull},
    {"list", "ls", 0, 0, "list", true, do_list},
    {"inspect", "", 1, 64, "inspect NAME...", true, do_inspect},
    {"rm", "remove", 1, 64, "rm NAME...", false, do_rm},
    {"prune", "", 0, 0, "prune [--all]", false, do_prune},
    {"import", "load", 1, 2, "import FILE|DIR [NAME]", false, do_import},
    {"build-from-dir", "", 2, 2, "build-from-dir DIR NAME", false, do_build},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0 || strcmp(verbs[i].alias, name) == 0)
            return &verbs[i];
    return NULL;
}

// --- The program

static int complain(const struct sbx_error *err, int status)
{
    cleanup_buf struct buf line = BUF_INIT(65536);
    buf_puts(&line, "sandboxes: error: ");
    utf8_add_printable(&line, err->message, strlen(err->message));
    buf_puts(&line, "\n  try: ");
    utf8_add_printable(&line, err->remedy, strlen(err->remedy));
    buf_puts(&line, "\n");
    (void)fd_write_full(STDERR_FILENO, line.data, line.size);
    return status;
}

static void log_to_stderr(void *payload, int level, const char *origin, const char *text)
{
    (void)payload;
    (void)level;
    fprintf(stderr, "sandboxes: %s: %s\n", origin ? origin : "", text);
}

static int adopt_turn(struct job *job, struct sbx_error *err)
{
    char name[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(job->words[0], name, err);
    if (rc == 0)
        job->puller.turn = imageturn_adopt(&job->puller.store, name, job->turn_fd, false);
    return rc;
}

static int run_verb(struct job *job, const struct verb *verb, const char *config)
{
    struct image_values shown = *job->values;
    struct sbx_error err;
    if (verb->run == do_inspect)
        shown.json = 1;
    int rc = puller_open(config, &job->puller, &err), status = 0;
    if (rc < 0)
        return complain(&err, EXIT_OURS);
    if (job->turn_fd >= 0)
        rc = adopt_turn(job, &err);
    show_begin(&job->show, &shown, verb->list);
    if (rc == 0)
        rc = verb->run(job, &err);
    // What was done before a failure is told too.
    if ((rc == 0 || !job->show.as_json) && show_finish(&job->show) < 0)
        status = EXIT_OURS;
    if (rc < 0)
        status = complain(&err, EXIT_OURS);
    puller_settle(&job->puller);
    puller_close(&job->puller);
    show_deinit(&job->show);
    return status;
}

static int usage(const char *verb, const char *form)
{
    struct sbx_error err;
    if (form)
        err_set(&err, SBX_ERR_INVALID, "'image %s' is used so: sandboxes image %s", verb, form);
    else
        err_set(&err, SBX_ERR_INVALID, "'image' has no '%.60s'", verb);
    err_hint(&err, "'sandboxes image --help' shows how it is used");
    return complain(&err, EXIT_USAGE);
}

static int run_command(int argc, const char *const *argv, int turn_fd)
{
    struct image_values values = {0};
    struct common common = {0};
    struct opt_set sets[] = {{image_rows, IMAGE_ROW_COUNT, &values, 0},
                             {common_rows, ARRAY_SIZE(common_rows), &common, 0}};
    struct opt_grammar grammar = {sets, ARRAY_SIZE(sets), SIZE_MAX, "sandboxes image --help"};
    struct opt_operands operands;
    struct sbx_error err;
    int rc = opt_parse(&grammar, argc, argv, &operands, &err), status;
    const char *name = operands.count > 0 ? operands.items[0] : "";
    const struct verb *verb = find_verb(name);
    if (common.debug > 0)
        sbx_log_set(log_to_stderr, NULL);
    if (rc < 0) {
        status = complain(&err, EXIT_USAGE);
    } else if (!verb) {
        status = usage(name, NULL);
    } else if (operands.count - 1 < verb->least || operands.count - 1 > verb->most ||
               (values.all > 0 && verb->run != do_prune)) {
        status = usage(name, verb->usage);
    } else {
        struct job job = {.turn_fd = turn_fd,
                          .values = &values,
                          .words = operands.items + 1,
                          .count = operands.count - 1};
        status = run_verb(&job, verb, common.config);
    }
    opt_operands_deinit(&operands);
    return status;
}

// For the library: one image, and an answer instead of words.
static int answer_library(const char *name, const char *path)
{
    struct fetch_answer answer = {0};
    cleanup_puller struct puller puller = {.store = IMAGESTORE_NONE, .turn = IMAGETURN_NONE};
    cleanup_imagerecord struct imagerecord record = {0};
    struct imageref ref;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // what nobody waits for is not needed
    int rc = puller_open(NULL, &puller, &answer.err);
    (void)fcntl(FETCH_TURN_FD, F_SETFD, FD_CLOEXEC);
    if (rc == 0)
        puller.turn = imageturn_adopt(&puller.store, name, FETCH_TURN_FD, true);
    if (rc == 0 && path)
        rc = puller_import(&puller, path, name, &record, &answer.err);
    else if (rc == 0 && (rc = imageref_parse(name, &ref, &answer.err)) == 0)
        rc = puller_pull(&puller, &ref, true, &record, &answer.err);
    if (rc == 0)
        answer.err = (struct sbx_error){0};
    puller_settle(&puller); // before the answer, on which our caller ends us
    return fd_write_full(FETCH_ANSWER_FD, &answer, sizeof(answer)) < 0 || rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(022);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { // deep trees hold two descriptors a level
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (argc >= 3 && argc <= 4 && strcmp(argv[1], FETCH_ANSWER_FLAG) == 0)
        return answer_library(argv[2], argc == 4 ? argv[3] : NULL);
    bool turn = argc >= 2 && strcmp(argv[1], FETCH_TURN_FLAG) == 0 &&
                fcntl(FETCH_TURN_FD, F_SETFD, FD_CLOEXEC) == 0;
    return run_command(argc - 1 - turn, (const char *const *)argv + 1 + turn,
                       turn ? FETCH_TURN_FD : -1);
}
