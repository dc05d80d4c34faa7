// SPDX-License-Identifier: Apache-2.0
// Leashes of tied sandboxes. Layer: engine.
#include "engine/leash.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

void leashes_init(struct leashes *leashes)
{
    *leashes = (struct leashes){0};
    pthread_mutex_init(&leashes->lock, NULL);
}

void leashes_deinit(struct leashes *leashes)
{
    for (size_t i = 0; i < leashes->count; i++)
        close(leashes->items[i].fd);
    free(leashes->items);
    pthread_mutex_destroy(&leashes->lock);
}

void leashes_forked(struct leashes *leashes)
{
    for (size_t i = 0; i < leashes->count; i++)
        close(leashes->items[i].fd);
    leashes->count = 0;
}

static void drop(struct leashes *leashes, size_t i)
{
    close(leashes->items[i].fd);
    leashes->items[i] = leashes->items[--leashes->count];
}

// The monitor's end is closed: the sandbox ended by itself.
static bool is_slack(const struct leash *leash)
{
    struct pollfd end = {.fd = leash->fd};
    return poll(&end, 1, 0) > 0;
}

// Room for one more. Only when there is none are the ended ones looked for, so it costs little on
// average.
static int make_room(struct leashes *leashes)
{
    if (leashes->count < leashes->capacity)
        return 0;
    for (size_t i = leashes->count; i-- > 0;)
        if (is_slack(&leashes->items[i]))
            drop(leashes, i);
    if (leashes->count < leashes->capacity / 2) // else it would soon be full again
        return 0;
    size_t capacity = leashes->capacity ? leashes->capacity * 2 : 16;
    void *items = realloc(leashes->items, capacity * sizeof(*leashes->items));
    if (!items)
        return -1;
    leashes->items = items;
    leashes->capacity = capacity;
    return 0;
}

int leashes_add(struct leashes *leashes, const char *id, int fd, struct sbx_error *err)
{
    pthread_mutex_lock(&leashes->lock);
    int code = make_room(leashes) < 0 ? err_nomem(err) : 0;
    if (code == 0) {
        struct leash *leash = &leashes->items[leashes->count++];
        leash->fd = fd;
        snprintf(leash->id, sizeof(leash->id), "%s", id);
    }
    pthread_mutex_unlock(&leashes->lock);
    if (code < 0)
        close(fd);
    return code;
}

void leashes_remove(struct leashes *leashes, const char *id)
{
    pthread_mutex_lock(&leashes->lock);
    for (size_t i = 0; i < leashes->count; i++)
        if (strcmp(leashes->items[i].id, id) == 0) {
            drop(leashes, i);
            break;
        }
    pthread_mutex_unlock(&leashes->lock);
}
