// SPDX-License-Identifier: Apache-2.0
// Sandboxes made for clients: anew, from those that wait, as forks. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/labels.h"
#include "serve/rules.h"
#include "serve/serve.h"

// The client's labels as far as the library takes them, so that `sandboxes list` shows them too.
static size_t choose_labels(const struct place_wish *wish, struct sbx_pair *ret_labels)
{
    size_t count = 0;
    ret_labels[count++] =
        (struct sbx_pair){"sandboxes.serve", wish->api == API_E2B ? "e2b" : "daytona"};
    ret_labels[count++] = (struct sbx_pair){"sandboxes.key", wish->owner};
    struct sbx_error ignored;
    for (size_t i = 0; i < wish->labels->count && count < LABELS_MAX; i++)
        if (strncmp(wish->labels->items[i].name, "sandboxes.", 10) != 0 &&
            labels_check(&wish->labels->items[i], 1, "labels", &ignored) == 0)
            ret_labels[count++] = wish->labels->items[i];
    return count;
}

static int copy_pairs(struct pairlist *to, const struct pairlist *from, struct sbx_error *err)
{
    for (size_t i = 0; i < from->count; i++) {
        int code = pairlist_add(to, from->items[i].name, from->items[i].value, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int fill_record(struct sheet *sheet, const struct place_wish *wish, struct sbx_error *err)
{
    sheet->api = wish->api;
    snprintf(sheet->owner, sizeof(sheet->owner), "%s", wish->owner);
    snprintf(sheet->image, sizeof(sheet->image), "%s", wish->image_name);
    snprintf(sheet->name, sizeof(sheet->name), "%s", wish->name ? wish->name : "");
    sheet->created_ms = sheet->used_ms = clock_unix_ms();
    sheet->end_ms = wish->life_ms ? sheet->created_ms + wish->life_ms : 0;
    sheet->secure = wish->secure;
    sheet->auto_pause = wish->auto_pause;
    sheet->auto_resume = wish->auto_resume;
    sheet->internet = wish->internet;
    sheet->open = wish->open;
    snprintf(sheet->mask_host, sizeof(sheet->mask_host), "%s",
             wish->mask_host ? wish->mask_host : "");
    sheet->auto_stop = wish->auto_stop;
    sheet->auto_archive = wish->auto_archive;
    sheet->auto_delete = wish->auto_delete;
    sheet->idle_pause = wish->idle_pause;
    int code = copy_pairs(&sheet->labels, wish->labels, err);
    if (code == 0 && wish->ranges)
        code = pairlist_add(&sheet->lists, SHEET_RANGES, wish->ranges, err);
    if (code == 0 && wish->names)
        code = pairlist_add(&sheet->lists, SHEET_NAMES, wish->names, err);
    return code < 0 ? code : copy_pairs(&sheet->env, wish->env, err);
}

// Without a name its id is its name.
static void set_names(struct place *box, const char *name)
{
    const char *id = sbx_sandbox_id(box->sandbox);
    snprintf(box->sheet.id, sizeof(box->sheet.id), "%s", id);
    if (name != box->sheet.name || !name[0])
        snprintf(box->sheet.name, sizeof(box->sheet.name), "%s", name && name[0] ? name : id);
}

static int make_sandbox(struct place *box, const struct place_wish *wish,
                        const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_pair labels[LABELS_MAX];
    struct sbx_spec spec = SBX_SPEC_INIT;
    if (wish->more)
        spec = *wish->more;
    spec.image = wish->image;
    spec.env = wish->env->items;
    spec.env_count = wish->env->count;
    spec.labels = labels;
    spec.label_count = choose_labels(wish, labels);
    int code = rules_grant(&box->serve->settings, &spec, err);
    if (code < 0)
        return code;
    // One that is to be paused at its end must not be ended by its monitor.
    spec.ttl_ms = wish->life_ms && !wish->auto_pause ? wish->life_ms : -1;
    int64_t start = clock_boot_ns();
    box->sandbox = warm_take(box->serve, &spec);
    box->sheet.env_apart = box->sandbox != NULL;
    if (!box->sandbox) {
        code = sbx_sandbox_create(box->serve->client, &spec, call, &box->sandbox, err);
        if (code < 0)
            return code;
    }
    atomic_fetch_add(&box->serve->created, 1);
    atomic_fetch_add(&box->serve->create_us, (uint64_t)(clock_boot_ns() - start) / 1000);
    set_names(box, box->sheet.name);
    return 0;
}

// From here on clients find it.
static int show(struct place *box, struct sbx_error *err)
{
    int code = sheet_save(&box->sheet, box->serve->sheets_fd, err);
    if (code < 0)
        sbx_sandbox_destroy(box->sandbox, NULL, NULL);
    else
        place_enlist(box);
    return code;
}

static int check_room(struct serve *serve, const char *owner, struct sbx_error *err)
{
    if (places_count(serve, owner) < serve->settings.max_boxes)
        return 0;
    return err_set(err, SBX_ERR_QUOTA,
                   "you have reached the maximum number of concurrent sandboxes (%u)",
                   serve->settings.max_boxes);
}

int place_create(struct serve *serve, const struct place_wish *wish, const struct sbx_call *call,
                 struct place **ret_box, struct sbx_error *err)
{
    int code = check_room(serve, wish->owner, err);
    if (code < 0)
        return code;
    cleanup_place struct place *box = place_new(serve);
    if (!box)
        return err_nomem(err);
    code = fill_record(&box->sheet, wish, err);
    if (code == 0)
        code = make_sandbox(box, wish, call, err);
    if (code < 0)
        return code;
    logbook_event(&box->log, "made from '%s'", box->sheet.image);
    code = show(box, err);
    if (code == 0)
        *ret_box = steal_ptr(box);
    return code;
}

// The sheet of the original, for a life that begins now.
static int copy_record(struct place *from, struct sheet *sheet, int64_t life_ms,
                       struct sbx_error *err)
{
    pthread_mutex_lock(&from->lock);
    *sheet = from->sheet;
    sheet->labels = sheet->env = sheet->inside = sheet->tokens = sheet->lists =
        (struct pairlist){0};
    int code = copy_pairs(&sheet->labels, &from->sheet.labels, err);
    pthread_mutex_unlock(&from->lock);
    sheet->created_ms = sheet->used_ms = clock_unix_ms();
    sheet->end_ms = life_ms ? sheet->created_ms + life_ms : 0;
    sheet->paused_ms = sheet->state = 0;
    sheet->name[0] = '\0';
    if (code == 0)
        code = copy_pairs(&sheet->env, &from->sheet.env, err);
    if (code == 0)
        code = copy_pairs(&sheet->lists, &from->sheet.lists, err);
    return code < 0 ? code : copy_pairs(&sheet->inside, &from->sheet.inside, err);
}

int place_fork(struct place *from, int64_t life_ms, const char *name, const struct sbx_call *call,
               struct place **ret_box, struct sbx_error *err)
{
    struct sbx_pair labels[LABELS_MAX];
    struct sbx_fork fork = SBX_FORK_INIT;
    struct serve *serve = from->serve;
    int code = check_room(serve, from->sheet.owner, err);
    cleanup_place struct place *box = code == 0 ? place_new(serve) : NULL;
    if (!box)
        return code < 0 ? code : err_nomem(err);
    code = copy_record(from, &box->sheet, life_ms, err);
    if (code < 0)
        return code;
    struct place_wish wish = {.api = (enum sheet_api)box->sheet.api,
                              .owner = box->sheet.owner,
                              .labels = &box->sheet.labels};
    fork.labels = labels;
    fork.label_count = choose_labels(&wish, labels);
    fork.ttl_ms = life_ms && !box->sheet.auto_pause ? life_ms : -1;
    if (sbx_sandbox_fork(from->sandbox, &fork, call, &box->sandbox, err) < 0)
        return place_failed(from, err);
    set_names(box, name);
    atomic_fetch_add(&serve->created, 1);
    logbook_event(&box->log, "made from '%s'", from->sheet.id);
    code = show(box, err);
    if (code == 0)
        *ret_box = steal_ptr(box);
    return code;
}

int place_debug(struct serve *serve, const struct sbx_call *call, struct place **ret_box,
                struct sbx_error *err)
{
    static const struct pairlist none;
    struct place_wish wish = {.api = API_E2B,
                              .owner = "debug", // no key has that id
                              .name = PLACE_DEBUG_ID,
                              .image_name = "base",
                              .labels = &none,
                              .env = &none,
                              .internet = 1};
    int code = 0;
    pthread_mutex_lock(&serve->boxes.debug_lock);
    struct place *box = place_by_name(serve, wish.owner, wish.name);
    if (!box)
        code = place_create(serve, &wish, call, &box, err);
    pthread_mutex_unlock(&serve->boxes.debug_lock);
    if (code == 0)
        *ret_box = box;
    return code;
}
