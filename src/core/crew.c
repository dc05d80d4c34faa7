// SPDX-License-Identifier: Apache-2.0
// The same work for many items, so many at a time. Layer: core.
#include "core/crew.h"

#include <stdatomic.h>

#include "base/thread.h"

#define WIDTH_MAX 256

struct crew {
    crew_fn run;
    void *context;
    size_t count;
    atomic_size_t next;
};

static void *work(void *argument)
{
    struct crew *crew = argument;
    for (;;) {
        size_t index = atomic_fetch_add(&crew->next, 1);
        if (index >= crew->count)
            return NULL;
        crew->run(crew->context, index);
    }
}

void crew_run(size_t count, uint32_t width, crew_fn run, void *context)
{
    struct crew crew = {.run = run, .context = context, .count = count};
    pthread_t threads[WIDTH_MAX];
    size_t others = width > WIDTH_MAX ? WIDTH_MAX : width, started = 0;
    if (others > count)
        others = count;
    while (started + 1 < others && thread_start(&threads[started], work, &crew) == 0)
        started++;
    work(&crew);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}
