// SPDX-License-Identifier: Apache-2.0
// Threads that make blocking calls: see workers.h.
#include "workers.h"

#include <signal.h>
#include <stdint.h>
#include <time.h>

#define THREADS_AT_ONCE 24 // started as soon as work comes: as many as short calls can make use of
#define THREADS_MAX 8192
#define STACK_SIZE (512u * 1024)
#define IDLE_MS 10000 // a thread without work ends after that
#define STALL_MS 3    // work that waits that long needs another thread: the others are blocked

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work_came;  // for threads that are free
    pthread_cond_t work_waits; // for the scout
    struct work *first, **last;
    size_t queued, threads, idle;
    uint64_t taken; // pieces of work begun so far: a queue that moves needs no more threads
    bool scout;     // the thread that adds threads is there
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .work_came = PTHREAD_COND_INITIALIZER,
          .work_waits = PTHREAD_COND_INITIALIZER,
          .last = &pool.first};

static struct timespec in_ms(long ms)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += ms / 1000;
    time.tv_nsec += ms % 1000 * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

// With the lock held. NULL: nothing came for a while.
static struct work *take(void)
{
    struct timespec until = in_ms(IDLE_MS);
    int code = 0;
    while (!pool.first && code == 0) {
        pool.idle++;
        code = pthread_cond_timedwait(&pool.work_came, &pool.lock, &until);
        pool.idle--;
    }
    struct work *work = pool.first;
    if (!work)
        return NULL;
    pool.first = work->next;
    if (!pool.first)
        pool.last = &pool.first;
    pool.queued--;
    pool.taken++;
    return work;
}

static void *serve(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    for (struct work *work; (work = take());) {
        pthread_mutex_unlock(&pool.lock);
        work->run(work);
        pthread_mutex_lock(&pool.lock);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

// Signals are for the threads of the program.
static bool start_thread(void *(*main)(void *))
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attr, main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return code == 0;
}

// With the lock held.
static bool add_worker(void)
{
    if (pool.threads >= THREADS_MAX || !start_thread(serve))
        return false;
    pool.threads++;
    return true;
}

// With the lock held: some threads more, an eighth of those there are.
static void grow(void)
{
    size_t more = 1 + pool.threads / 8;
    while (more-- > 0 && pool.queued > 0)
        if (!add_worker())
            return;
}

// Adds threads while work waits and none of the others gets to it.
static void *scout(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct timespec until = in_ms(IDLE_MS);
        int code = 0;
        while (!pool.first && code == 0)
            code = pthread_cond_timedwait(&pool.work_waits, &pool.lock, &until);
        if (!pool.first)
            break;
        uint64_t taken = pool.taken;
        pthread_mutex_unlock(&pool.lock);
        nanosleep(&(struct timespec){.tv_nsec = STALL_MS * 1000000}, NULL);
        pthread_mutex_lock(&pool.lock);
        if (pool.first && pool.taken == taken)
            grow();
    }
    pool.scout = false;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

// With the lock held, after work was queued. False if nobody will ever take it.
static bool find_hands(void)
{
    if (pool.queued <= pool.idle) {
        pthread_cond_signal(&pool.work_came);
        return true;
    }
    if (pool.threads < THREADS_AT_ONCE)
        return add_worker() || pool.threads > 0;
    if (!pool.scout)
        pool.scout = start_thread(scout);
    pthread_cond_signal(&pool.work_waits);
    return true;
}

static void take_back(struct work *work)
{
    struct work **place = &pool.first;
    while (*place != work)
        place = &(*place)->next;
    *place = work->next;
    if (!*place)
        pool.last = place;
    pool.queued--;
}

bool workers_submit(struct work *work)
{
    work->next = NULL;
    pthread_mutex_lock(&pool.lock);
    *pool.last = work;
    pool.last = &work->next;
    pool.queued++;
    bool served = find_hands();
    if (!served)
        take_back(work);
    pthread_mutex_unlock(&pool.lock);
    return served;
}

size_t workers_count(void)
{
    pthread_mutex_lock(&pool.lock);
    size_t count = pool.threads;
    pthread_mutex_unlock(&pool.lock);
    return count;
}

void workers_after_fork(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work_came, NULL);
    pthread_cond_init(&pool.work_waits, NULL);
    pool.first = NULL;
    pool.last = &pool.first;
    pool.queued = pool.threads = pool.idle = 0;
    pool.scout = false;
}
