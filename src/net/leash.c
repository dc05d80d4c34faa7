// SPDX-License-Identifier: Apache-2.0
// Sandboxes that end with this process. Layer: net.
#include "net/leash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define NAMES_MAX 256 // renewed in one go

void leashbook_init(struct leashbook *book, leash_renew_fn *renew, leash_end_fn *end, void *payload,
                    int64_t every_ms)
{
    *book =
        (struct leashbook){.renew = renew, .end = end, .payload = payload, .every_ms = every_ms};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&book->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&book->lock, NULL);
}

static void wait_a_while(struct leashbook *book)
{
    struct timespec until;
#ifdef __APPLE__
    clock_gettime(CLOCK_REALTIME, &until);
#else
    clock_gettime(CLOCK_MONOTONIC, &until);
#endif
    until.tv_sec += book->every_ms / 1000;
    until.tv_nsec += book->every_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&book->changed, &book->lock, &until);
}

// The names that are due, copied: renewing takes its time, without the lock.
static size_t due(struct leashbook *book, char (*names)[200])
{
    size_t count = 0;
    int64_t now = clock_boot_ms();
    for (struct leash *leash = book->first; leash && count < NAMES_MAX; leash = leash->next)
        if (leash->until_ms > now)
            memcpy(names[count++], leash->id, sizeof(leash->id));
    return count;
}

static void *run(void *self)
{
    struct leashbook *book = self;
    char(*names)[200] = calloc(NAMES_MAX, sizeof(*names));
    pthread_mutex_lock(&book->lock);
    while (!book->stopping && names) {
        wait_a_while(book);
        size_t count = book->stopping ? 0 : due(book, names);
        pthread_mutex_unlock(&book->lock);
        for (size_t i = 0; i < count; i++) {
            struct sbx_error err;
            int code = book->renew(book->payload, names[i], &err);
            if (code == SBX_ERR_NOT_FOUND)
                leashbook_remove(book, names[i]);
            else if (code < 0)
                log_warn("leash", "%s", err.message);
        }
        pthread_mutex_lock(&book->lock);
    }
    pthread_mutex_unlock(&book->lock);
    free(names);
    return NULL;
}

static int start(struct leashbook *book, struct sbx_error *err)
{
    sigset_t all, before;
    if (book->started)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&book->thread, NULL, run, book);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    book->started = failed == 0;
    return failed ? err_sys(err, 0, failed, "cannot start the thread that keeps a sandbox alive")
                  : 0;
}

int leashbook_add(struct leashbook *book, const char *id, int64_t until_ms, struct sbx_error *err)
{
    struct leash *leash = calloc(1, sizeof(*leash));
    if (!leash)
        return err_nomem(err);
    snprintf(leash->id, sizeof(leash->id), "%s", id);
    leash->until_ms = until_ms;
    pthread_mutex_lock(&book->lock);
    int code = start(book, err);
    if (code == 0) {
        leash->next = book->first;
        book->first = leash;
    }
    pthread_mutex_unlock(&book->lock);
    if (code < 0)
        free(leash);
    return code;
}

bool leashbook_remove(struct leashbook *book, const char *id)
{
    pthread_mutex_lock(&book->lock);
    struct leash **at = &book->first, *found;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&book->lock);
    free(found);
    return found != NULL;
}

void leashbook_deinit(struct leashbook *book)
{
    pthread_mutex_lock(&book->lock);
    book->stopping = true;
    pthread_cond_signal(&book->changed);
    pthread_mutex_unlock(&book->lock);
    if (book->started)
        pthread_join(book->thread, NULL);
    while (book->first) {
        struct leash *leash = book->first;
        book->first = leash->next;
        book->end(book->payload, leash->id);
        free(leash);
    }
    pthread_mutex_destroy(&book->lock);
    pthread_cond_destroy(&book->changed);
}
