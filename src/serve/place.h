// SPDX-License-Identifier: Apache-2.0
/*
 * The sandboxes of the server: a table by id, with a handle of the library each, its sheet, and
 * the commands that run in it. What is in the table was made by the server; others' sandboxes on
 * this machine are not touched. Layer: serve.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <sandboxes/sandboxes.h>

#include "serve/logbook.h"
#include "serve/sheet.h"
#include "serve/usage.h"

struct serve;
struct job;
struct session;
struct watcher;

struct place {
    struct serve *serve;
    struct place *next;          // in the table
    unsigned refs;               // guarded by boxes.lock
    bool listed;                 // in the table; guarded by boxes.lock
    pthread_mutex_t lock;        // guards what follows
    struct sbx_sandbox *sandbox; // owned
    struct sheet sheet;
    struct job *jobs;
    struct session *sessions; // Daytona's shells and terminals
    struct watcher *watchers;
    struct usage_log usage;
    unsigned next_number;
    uint16_t reached[64]; // ports to which requests have gone
    size_t reached_count;
    struct logbook log;           // has its own lock
    atomic_uint active;           // requests for it that run, also those that have become sockets
    atomic_bool out_of_memory;    // the last command that ended found it so
    _Atomic(const char *) ending; // why, once somebody has begun to end it; a literal
};

#define GRAVES_MAX 512
#define PLACE_REASON_SIZE 128

struct grave {
    char id[SHEET_ID_SIZE];
    char reason[PLACE_REASON_SIZE];
};

struct places {
    pthread_mutex_t lock;
    struct place *first;
    size_t count;
    struct grave *graves; // ring of the last ones that ended
    size_t grave_next;
    pthread_t keeper;
    pthread_cond_t wake;
    bool stopping, keeping;
    pthread_mutex_t debug_lock; // held while the debug sandbox is looked for or made
};

// Reads the sheets and starts the thread that ends, pauses and forgets sandboxes in time.
int places_start(struct serve *serve, struct sbx_error *err);
void places_stop(struct serve *serve);

// What is asked for, by either API. Texts are borrowed.
struct place_wish {
    enum sheet_api api;
    const char *owner, *image_name, *image, *name;
    const char *mask_host;      // NULL: none
    const char *ranges, *names; // Daytona's lists of what is allowed; NULL: none
    const struct pairlist *labels, *env;
    const struct sbx_spec *more; // resources and network; env, labels and life come from above
    int64_t life_ms;             // 0: none
    int64_t secure, auto_pause, auto_resume, internet, open, auto_stop, auto_archive, auto_delete,
        idle_pause;
};

int place_create(struct serve *serve, const struct place_wish *wish, const struct sbx_call *call,
                 struct place **ret_box, struct sbx_error *err);

// With the files of another one as they are now. name NULL: none.
int place_fork(struct place *from, int64_t life_ms, const char *name, const struct sbx_call *call,
               struct place **ret_box, struct sbx_error *err);

// A new one with a reference, not yet in the table; NULL without memory. And into the table.
struct place *place_new(struct serve *serve);
void place_enlist(struct place *box);

// The one sandbox of E2B's clients in debug mode, made when it is first asked for.
#define PLACE_DEBUG_ID "debug_sandbox_id"
int place_debug(struct serve *serve, const struct sbx_call *call, struct place **ret_box,
                struct sbx_error *err);

// Both add a reference. NOT_FOUND tells how it ended.
int place_get(struct serve *serve, const char *id, struct place **ret_box, struct sbx_error *err);
struct place *place_by_name(struct serve *serve, const char *owner, const char *name);
struct place *place_ref(struct place *box);
void place_unref(struct place *box);
static inline void place_cleanup(struct place **box)
{
    if (*box)
        place_unref(*box);
}
#define cleanup_place cleanup(place_cleanup)

// Newest first, each with a reference. Free the array after place_unref of each.
int places_all(struct serve *serve, struct place ***ret_boxes, size_t *ret_count,
               struct sbx_error *err);
void places_free(struct place **boxes, size_t count);
size_t places_count(struct serve *serve, const char *owner); // NULL: all

int place_destroy(struct place *box, const char *reason, struct sbx_error *err);
int place_pause(struct place *box, struct sbx_error *err);
int place_resume(struct place *box, struct sbx_error *err);
// New end of life counted from now; 0: none.
int place_set_life(struct place *box, int64_t life_ms, struct sbx_error *err);
int place_save(struct place *box, struct sbx_error *err); // its sheet; takes the lock
void place_touch(struct place *box);

// The command with the sandbox's own variables, where the sandbox itself does not know them.
// Borrows from the command; *ret_env is to be freed after use.
int place_exec(struct place *box, const struct sbx_exec *exec, struct sbx_exec *ret_exec,
               struct sbx_pair **ret_env, struct sbx_error *err);

// Changes what later commands get: those that `drops` says go, then those of `set` come. One that
// the sandbox was created with can't go, and is empty then. QUOTA, NOMEM, IO.
typedef bool place_drops(void *payload, const struct sbx_pair *pair);
int place_set_env(struct place *box, const struct pairlist *set, place_drops *drops, void *payload,
                  struct sbx_error *err);

// Facts as of now; NOT_FOUND (it is buried then) when it is gone. Strings of info live until the
// next call for this box, so take the lock if they are used.
int place_info(struct place *box, struct sbx_info *ret_info, struct sbx_error *err);

// An error of a call for this sandbox: one that is gone is forgotten, and told as such.
int place_failed(struct place *box, struct sbx_error *err);
// The same for a command that was running: it is lost a moment before the end of its sandbox shows,
// so that is waited for.
int place_lost(struct place *box, struct sbx_error *err);
// Whether it is out of the table, and why.
bool place_gone(struct place *box, char ret_reason[PLACE_REASON_SIZE]);
