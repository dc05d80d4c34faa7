// SPDX-License-Identifier: Apache-2.0
// The table of sandboxes. Layer: serve.
#include "serve/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/text.h"
#include "base/utf8.h"
#include "serve/job.h"
#include "serve/serve.h"
#include "serve/session.h"
#include "serve/watch.h"

#define LOST_LOOKS 50 // for the end of a sandbox that a command was lost in, 20 ms apart

static void place_free(struct place *box)
{
    jobs_end(box);
    sessions_end(box);
    watchers_end(box);
    sbx_sandbox_free(box->sandbox);
    sheet_deinit(&box->sheet);
    usage_log_deinit(&box->usage);
    logbook_deinit(&box->log);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

struct place *place_ref(struct place *box)
{
    pthread_mutex_lock(&box->serve->boxes.lock);
    box->refs++;
    pthread_mutex_unlock(&box->serve->boxes.lock);
    return box;
}

void place_unref(struct place *box)
{
    struct places *boxes = &box->serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    bool last = --box->refs == 0;
    pthread_mutex_unlock(&boxes->lock);
    if (last)
        place_free(box);
}

struct place *place_new(struct serve *serve)
{
    struct place *box = calloc(1, sizeof(*box));
    if (!box)
        return NULL;
    box->serve = serve;
    box->refs = 1;
    pthread_mutex_init(&box->lock, NULL);
    logbook_init(&box->log);
    return box;
}

void place_enlist(struct place *box)
{
    struct places *boxes = &box->serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    box->refs++;
    box->listed = true;
    box->next = boxes->first;
    boxes->first = box;
    boxes->count++;
    pthread_mutex_unlock(&boxes->lock);
}

static void dig_grave(struct places *boxes, const char *id, const char *reason)
{
    if (!boxes->graves)
        return;
    struct grave *grave = &boxes->graves[boxes->grave_next++ % GRAVES_MAX];
    snprintf(grave->id, sizeof(grave->id), "%s", id);
    snprintf(grave->reason, sizeof(grave->reason), "%s", reason);
}

// Out of the table, with the reason why. False when another did it before.
static bool bury(struct place *box, const char *reason)
{
    struct places *boxes = &box->serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    bool listed = box->listed;
    for (struct place **at = &boxes->first; listed && *at; at = &(*at)->next)
        if (*at == box) {
            *at = box->next;
            boxes->count--;
            dig_grave(boxes, box->sheet.id, reason);
            break;
        }
    box->listed = false;
    pthread_mutex_unlock(&boxes->lock);
    if (!listed)
        return false;
    sheet_remove(box->serve->sheets_fd, box->sheet.id);
    jobs_end(box);
    sessions_end(box);
    place_unref(box);
    return true;
}

static const char *guess_reason(const struct place *box)
{
    const char *asked = atomic_load(&box->ending);
    if (asked)
        return asked;
    int64_t end = box->sheet.end_ms;
    if (end && clock_unix_ms() >= end - 1000)
        return "it reached its timeout";
    return atomic_load(&box->out_of_memory) ? "it ran out of memory"
                                            : "it crashed, or was ended outside of this server";
}

static const char *grave_reason(struct places *boxes, const char *id)
{
    for (size_t i = 0; boxes->graves && i < GRAVES_MAX; i++)
        if (strcmp(boxes->graves[i].id, id) == 0)
            return boxes->graves[i].reason;
    return NULL;
}

static bool is_listed(struct place *box)
{
    struct places *boxes = &box->serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    bool listed = box->listed;
    pthread_mutex_unlock(&boxes->lock);
    return listed;
}

bool place_gone(struct place *box, char ret_reason[PLACE_REASON_SIZE])
{
    struct places *boxes = &box->serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    const char *reason = box->listed ? NULL : grave_reason(boxes, box->sheet.id);
    if (reason)
        memcpy(ret_reason, reason, PLACE_REASON_SIZE);
    pthread_mutex_unlock(&boxes->lock);
    return reason != NULL;
}

// Without a grave, as when the server stops, the error stays what it was.
static int tell_gone(struct place *box, struct sbx_error *err)
{
    char reason[PLACE_REASON_SIZE];
    if (!place_gone(box, reason))
        return err->code;
    return err_set(err, SBX_ERR_UNAVAILABLE, "sandbox '%s' was not found: %s", box->sheet.id,
                   reason);
}

int place_failed(struct place *box, struct sbx_error *err)
{
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_error ignored;
    if (err->code != SBX_ERR_NOT_FOUND && err->code != SBX_ERR_UNAVAILABLE)
        return err->code;
    if (is_listed(box) && (sbx_sandbox_info(box->sandbox, NULL, &info, &ignored) == 0 ||
                           ignored.code != SBX_ERR_NOT_FOUND))
        return err->code;
    bury(box, guess_reason(box));
    return tell_gone(box, err);
}

int place_lost(struct place *box, struct sbx_error *err)
{
    const struct timespec pause = {0, 20000000};
    place_failed(box, err);
    for (int i = 0; i < LOST_LOOKS && err->code == SBX_ERR_UNAVAILABLE && is_listed(box); i++) {
        nanosleep(&pause, NULL);
        place_failed(box, err);
    }
    return is_listed(box) ? err->code : tell_gone(box, err);
}

int place_get(struct serve *serve, const char *id, struct place **ret_box, struct sbx_error *err)
{
    struct places *boxes = &serve->boxes;
    int code = SBX_ERR_NOT_FOUND;
    pthread_mutex_lock(&boxes->lock);
    struct place *box = boxes->first;
    while (box && strcmp(box->sheet.id, id) != 0)
        box = box->next;
    if (box) {
        box->refs++;
        *ret_box = box;
        code = 0;
    } else {
        const char *reason = grave_reason(boxes, id);
        err_set(err, code, "sandbox '%.64s' was not found%s%s", id, reason ? ": " : "",
                reason ? reason : "");
    }
    pthread_mutex_unlock(&boxes->lock);
    return code;
}

struct place *place_by_name(struct serve *serve, const char *owner, const char *name)
{
    struct places *boxes = &serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    struct place *box = boxes->first;
    while (box && (strcmp(box->sheet.name, name) != 0 || strcmp(box->sheet.owner, owner) != 0))
        box = box->next;
    if (box)
        box->refs++;
    pthread_mutex_unlock(&boxes->lock);
    return box;
}

int places_all(struct serve *serve, struct place ***ret_boxes, size_t *ret_count,
               struct sbx_error *err)
{
    struct places *boxes = &serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    size_t count = 0;
    struct place **all = calloc(boxes->count + 1, sizeof(*all));
    for (struct place *box = boxes->first; all && box; box = box->next) {
        box->refs++;
        all[count++] = box;
    }
    pthread_mutex_unlock(&boxes->lock);
    if (!all)
        return err_nomem(err);
    *ret_boxes = all;
    *ret_count = count;
    return 0;
}

void places_free(struct place **boxes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        place_unref(boxes[i]);
    free(boxes);
}

size_t places_count(struct serve *serve, const char *owner)
{
    size_t count = 0;
    pthread_mutex_lock(&serve->boxes.lock);
    for (struct place *box = serve->boxes.first; box; box = box->next)
        count += !owner || strcmp(box->sheet.owner, owner) == 0;
    pthread_mutex_unlock(&serve->boxes.lock);
    return count;
}

// --- Changing one

int place_save(struct place *box, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    int code = sheet_save(&box->sheet, box->serve->sheets_fd, err);
    pthread_mutex_unlock(&box->lock);
    return code;
}

void place_touch(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    box->sheet.used_ms = clock_unix_ms();
    pthread_mutex_unlock(&box->lock);
}

int place_destroy(struct place *box, const char *reason, struct sbx_error *err)
{
    const char *none = NULL;
    bool begins = atomic_compare_exchange_strong(&box->ending, &none, reason);
    int code = sbx_sandbox_destroy(box->sandbox, NULL, err);
    if (begins && code == SBX_ERR_NOT_FOUND)
        atomic_store(&box->ending, NULL); // it had ended before
    bool first = bury(box, guess_reason(box));
    return code == SBX_ERR_NOT_FOUND && first ? code
           : code < 0 && !first               ? SBX_ERR_NOT_FOUND
                                              : code;
}

static int set_paused(struct place *box, bool paused, struct sbx_error *err)
{
    int code = paused ? sbx_sandbox_pause(box->sandbox, NULL, err)
                      : sbx_sandbox_resume(box->sandbox, NULL, err);
    if (code < 0)
        return place_failed(box, err);
    pthread_mutex_lock(&box->lock);
    box->sheet.paused_ms = paused ? clock_unix_ms() : 0;
    pthread_mutex_unlock(&box->lock);
    logbook_event(&box->log, paused ? "paused" : "resumed");
    return place_save(box, err);
}

int place_pause(struct place *box, struct sbx_error *err)
{
    // A paused one keeps: its end is counted anew when it is resumed.
    int code = sbx_sandbox_set_ttl(box->sandbox, -1, NULL, err);
    return code < 0 ? place_failed(box, err) : set_paused(box, true, err);
}

int place_resume(struct place *box, struct sbx_error *err)
{
    return set_paused(box, false, err);
}

int place_set_life(struct place *box, int64_t life_ms, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    box->sheet.end_ms = life_ms ? clock_unix_ms() + life_ms : 0;
    bool pauses = box->sheet.auto_pause;
    pthread_mutex_unlock(&box->lock);
    int code = sbx_sandbox_set_ttl(box->sandbox, life_ms && !pauses ? life_ms : -1, NULL, err);
    return code < 0 ? place_failed(box, err) : place_save(box, err);
}

int place_info(struct place *box, struct sbx_info *ret_info, struct sbx_error *err)
{
    *ret_info = (struct sbx_info)SBX_INFO_INIT;
    int code = sbx_sandbox_info(box->sandbox, NULL, ret_info, err);
    return code < 0 ? place_failed(box, err) : 0;
}

// --- Variables

static bool has_name(const struct sbx_pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return true;
    return false;
}

// Room for the pairs and for the texts of the sandbox's own behind them.
static struct sbx_pair *room_for(const struct pairlist *own, size_t more)
{
    size_t size = (own->count + more + 1) * sizeof(struct sbx_pair);
    for (size_t i = 0; i < own->count; i++)
        size += strlen(own->items[i].name) + strlen(own->items[i].value) + 2;
    return malloc(size);
}

static const char *put_text(char **at, const char *text)
{
    const char *put = *at;
    *at = stpcpy(*at, text) + 1;
    return put;
}

int place_exec(struct place *box, const struct sbx_exec *exec, struct sbx_exec *ret_exec,
               struct sbx_pair **ret_env, struct sbx_error *err)
{
    const struct pairlist *own = &box->sheet.env;
    size_t count = 0;
    *ret_exec = *exec;
    *ret_env = NULL;
    pthread_mutex_lock(&box->lock);
    bool apart = box->sheet.env_apart && own->count > 0;
    struct sbx_pair *env = apart ? room_for(own, exec->env_count) : NULL;
    char *texts = env ? (char *)(env + own->count + exec->env_count + 1) : NULL;
    for (size_t i = 0; env && i < own->count; i++)
        if (!has_name(exec->env, exec->env_count, own->items[i].name)) {
            const char *name = put_text(&texts, own->items[i].name);
            env[count++] = (struct sbx_pair){name, put_text(&texts, own->items[i].value)};
        }
    pthread_mutex_unlock(&box->lock);
    if (!apart)
        return 0;
    if (!env)
        return err_nomem(err);
    for (size_t i = 0; i < exec->env_count; i++)
        env[count++] = exec->env[i];
    ret_exec->env = env;
    ret_exec->env_count = count;
    *ret_env = env;
    return 0;
}

// What the variables become. The sandbox itself would give a command what it knows and is not told
// better: such a one can only be empty.
static int change_env(const struct sheet *sheet, const struct pairlist *set, place_drops *drops,
                      void *payload, struct pairlist *next, struct sbx_error *err)
{
    const struct pairlist *inside = sheet->env_apart ? &sheet->inside : &sheet->env;
    int code = 0;
    for (size_t i = 0; i < sheet->env.count && code == 0; i++) {
        const struct sbx_pair *pair = &sheet->env.items[i];
        bool drop = drops(payload, pair), known = pairlist_get(inside, pair->name) != NULL;
        if (!pairlist_get(set, pair->name) && (!drop || known))
            code = pairlist_add(next, pair->name, drop ? "" : pair->value, err);
    }
    for (size_t i = 0; i < set->count && code == 0; i++)
        code = pairlist_add(next, set->items[i].name, set->items[i].value, err);
    return code;
}

int place_set_env(struct place *box, const struct pairlist *set, place_drops *drops, void *payload,
                  struct sbx_error *err)
{
    cleanup_pairlist struct pairlist next = {0};
    struct sheet *sheet = &box->sheet;
    pthread_mutex_lock(&box->lock);
    int code = change_env(sheet, set, drops, payload, &next, err);
    if (code == 0) {
        struct pairlist old = sheet->env;
        sheet->env = next;
        next = sheet->env_apart ? old : (struct pairlist){0};
        if (!sheet->env_apart)
            sheet->inside = old;
        sheet->env_apart = 1;
    }
    pthread_mutex_unlock(&box->lock);
    return code < 0 ? code : place_save(box, err);
}

// --- The keeper

static int64_t minutes(int64_t count)
{
    return count * 60 * 1000;
}

static bool is_idle(struct place *box, int64_t now, int64_t interval)
{
    return interval > 0 && now - box->sheet.used_ms > minutes(interval) &&
           atomic_load(&box->active) == 0;
}

// Daytona's intervals: stop or pause when idle, archive when stopped, delete when stopped. What
// runs inside by itself does not keep a sandbox from being idle; what a client waits for does.
static void keep_daytona(struct place *box, int64_t now)
{
    struct sheet *sheet = &box->sheet;
    struct sbx_error err;
    if (sheet->state == SHEET_AS_IS) {
        if (sheet->paused_ms)
            return;
        if (is_idle(box, now, sheet->auto_stop))
            session_stop_box(box, &err);
        else if (is_idle(box, now, sheet->idle_pause))
            place_pause(box, &err);
        return;
    }
    if (sheet->auto_delete >= 0 && now - sheet->paused_ms > minutes(sheet->auto_delete))
        place_destroy(box, "it was deleted, as asked, some time after it had stopped", &err);
}

static void keep(struct place *box, int64_t now)
{
    struct sbx_info info;
    struct sbx_error err;
    pthread_mutex_lock(&box->lock);
    bool ends = box->sheet.end_ms && !box->sheet.paused_ms && now >= box->sheet.end_ms;
    bool pauses = box->sheet.auto_pause;
    pthread_mutex_unlock(&box->lock);
    if (ends && pauses)
        place_pause(box, &err);
    else if (ends && now > box->sheet.end_ms + 2000)
        place_destroy(box, "it reached its timeout", &err);
    else if (place_info(box, &info, &err) == 0 && box->sheet.api == API_DAYTONA)
        keep_daytona(box, now);
    usage_tick(box, now);
    jobs_forget(box, now);
}

static void keep_all(struct serve *serve)
{
    struct place **all = NULL;
    size_t count = 0;
    struct sbx_error err;
    if (places_all(serve, &all, &count, &err) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        keep(all[i], clock_unix_ms());
    places_free(all, count);
}

static void *keeper(void *argument)
{
    struct serve *serve = argument;
    struct places *boxes = &serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    while (!boxes->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&boxes->wake, &boxes->lock, &until);
        if (boxes->stopping)
            break;
        pthread_mutex_unlock(&boxes->lock);
        keep_all(serve);
        pthread_mutex_lock(&boxes->lock);
    }
    pthread_mutex_unlock(&boxes->lock);
    return NULL;
}

// --- Start and stop

// A sheet whose sandbox has ended meanwhile is dropped.
static void adopt(struct serve *serve, const char *id)
{
    struct sbx_error err;
    cleanup_place struct place *box = place_new(serve);
    if (!box || sheet_load(serve->sheets_fd, id, &box->sheet, &err) < 0)
        return;
    if (sbx_sandbox_get(serve->client, NULL, id, NULL, &box->sandbox, &err) == 0 &&
        strcmp(sbx_sandbox_id(box->sandbox), id) == 0) {
        logbook_event(&box->log, "found again after a restart of the server");
        place_enlist(box);
        return;
    }
    dig_grave(&serve->boxes, id, guess_reason(box));
    sheet_remove(serve->sheets_fd, id);
}

static int adopt_all(struct serve *serve, struct sbx_error *err)
{
    DIR *dir = dir_open(serve->sheets_fd, ".");
    if (!dir)
        return err_sys(err, 0, errno, "cannot read the sheets of sandboxes");
    for (struct dirent *entry; (entry = readdir(dir));) {
        char id[SHEET_ID_SIZE];
        size_t size = strlen(entry->d_name);
        if (size <= 5 || size - 5 >= sizeof(id) || strcmp(entry->d_name + size - 5, ".json") != 0)
            continue;
        memcpy(id, entry->d_name, size - 5);
        id[size - 5] = '\0';
        adopt(serve, id);
    }
    closedir(dir);
    return 0;
}

int places_start(struct serve *serve, struct sbx_error *err)
{
    struct places *boxes = &serve->boxes;
    pthread_mutex_init(&boxes->lock, NULL);
    pthread_mutex_init(&boxes->debug_lock, NULL);
    pthread_cond_init(&boxes->wake, NULL);
    boxes->graves = calloc(GRAVES_MAX, sizeof(*boxes->graves));
    if (!boxes->graves)
        return err_nomem(err);
    int code = adopt_all(serve, err);
    if (code < 0)
        return code;
    if (pthread_create(&boxes->keeper, NULL, keeper, serve) != 0)
        return err_set(err, SBX_ERR_IO, "cannot start a thread");
    boxes->keeping = true;
    return 0;
}

void places_stop(struct serve *serve)
{
    struct places *boxes = &serve->boxes;
    pthread_mutex_lock(&boxes->lock);
    boxes->stopping = true;
    pthread_cond_broadcast(&boxes->wake);
    pthread_mutex_unlock(&boxes->lock);
    if (boxes->keeping)
        pthread_join(boxes->keeper, NULL);
    while (boxes->first) {
        struct place *box = boxes->first;
        boxes->first = box->next;
        box->listed = false;
        jobs_end(box);
        sessions_end(box);
        place_unref(box);
    }
    free(boxes->graves);
    pthread_cond_destroy(&boxes->wake);
    pthread_mutex_destroy(&boxes->debug_lock);
    pthread_mutex_destroy(&boxes->lock);
}
