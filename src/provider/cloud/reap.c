// SPDX-License-Identifier: Apache-2.0
// Creations whose answer was lost. Layer: provider.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/log.h"
#include "provider/cloud/list.h"

#define LOOKS 4 // for a sandbox of which no answer came, within 7 s
#define LOOK_MS 10000

void cloud_reapers_init(struct cloud_reapers *reapers)
{
    pthread_mutex_init(&reapers->lock, NULL);
    pthread_cond_init(&reapers->idle, NULL);
}

void cloud_reapers_deinit(struct cloud_reapers *reapers)
{
    pthread_mutex_lock(&reapers->lock);
    while (reapers->count > 0)
        pthread_cond_wait(&reapers->idle, &reapers->lock);
    pthread_mutex_unlock(&reapers->lock);
    pthread_mutex_destroy(&reapers->lock);
    pthread_cond_destroy(&reapers->idle);
}

int cloud_token(char token[TOKEN_SIZE], struct sbx_error *err)
{
    unsigned char random[16];
    if (id_random(random, sizeof(random)) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a token");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static int look(struct cloud_reapers *reapers, const char *token, struct sbx_cancel *cancel,
                struct sbx_list *ret_list)
{
    struct sbx_error ignored;
    struct sbx_pair label = {OWN_TOKEN, token};
    struct sbx_call call = {.size = sizeof(call), .timeout_ms = LOOK_MS, .cancel = cancel};
    return reapers->list(reapers->provider, &label, 1, &call, ret_list, &ignored);
}

// The request may still be on its way: hence several looks.
static void reap(struct cloud_reapers *reapers, const char *token, int looks)
{
    struct sbx_error err;
    for (int i = 0; i < looks; i++) {
        struct sbx_list list;
        if (i > 0)
            deadline_wait(deadline_in(500 << i), -1, 0, NULL, &err);
        if (look(reapers, token, NULL, &list) < 0)
            continue;
        size_t count = list.count;
        for (size_t k = 0; k < count; k++)
            if (reapers->remove(reapers->provider, list.items[k].id, deadline_in(LOOK_MS), &err) ==
                0)
                log_warn(reapers->name, "ended %s, whose creation had been given up",
                         list.items[k].id);
        cloud_list_free(&list);
        if (count > 0)
            return;
    }
}

struct reaper {
    struct cloud_reapers *reapers;
    int looks;
    char token[TOKEN_SIZE];
};

static void leave(struct cloud_reapers *reapers)
{
    pthread_mutex_lock(&reapers->lock);
    reapers->count--;
    pthread_cond_broadcast(&reapers->idle);
    pthread_mutex_unlock(&reapers->lock);
}

static void *run_reaper(void *argument)
{
    struct reaper *reaper = argument;
    struct cloud_reapers *reapers = reaper->reapers;
    reap(reapers, reaper->token, reaper->looks);
    free(reaper);
    leave(reapers);
    return NULL;
}

// In the background: a cancelled caller must not wait.
static void reap_later(struct cloud_reapers *reapers, const char *token, int looks)
{
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    pthread_t thread;
    if (reaper) {
        reaper->reapers = reapers;
        reaper->looks = looks;
        snprintf(reaper->token, sizeof(reaper->token), "%s", token);
        pthread_mutex_lock(&reapers->lock);
        reapers->count++;
        pthread_mutex_unlock(&reapers->lock);
        if (pthread_create(&thread, NULL, run_reaper, reaper) == 0) {
            pthread_detach(thread);
            return;
        }
        leave(reapers);
        free(reaper);
    }
    reap(reapers, token, looks);
}

void cloud_reapers_end(struct cloud_reapers *reapers, const char *token)
{
    reap_later(reapers, token, 1);
}

// True when the service has surely made nothing: it refused, or was never reached, connect(2).
static bool surely_none(int code, const struct sbx_error *why)
{
    static const int never[] = {ECONNREFUSED, ENETUNREACH, EHOSTUNREACH};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        if (code == SBX_ERR_UNAVAILABLE && why->sys_errno == never[i])
            return true;
    return why->http_status >= 400 && why->http_status < 500 && code != SBX_ERR_TIMEOUT;
}

void cloud_reapers_lost(struct cloud_reapers *reapers, const char *token, int code,
                        const struct sbx_error *why, struct deadline deadline, char **ret_id)
{
    struct sbx_list list;
    *ret_id = NULL;
    if (surely_none(code, why))
        return;
    if (code == SBX_ERR_UNAVAILABLE && look(reapers, token, deadline.cancel, &list) == 0) {
        if (list.count == 1)
            *ret_id = strdup(list.items[0].id);
        cloud_list_free(&list);
        if (*ret_id)
            return;
    }
    reap_later(reapers, token, why->http_status ? 1 : LOOKS);
}
