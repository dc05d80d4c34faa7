// SPDX-License-Identifier: Apache-2.0
// Signals while a sandbox is made and used. Layer: cli.
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/term.h"

// Of the process, as signals are. Only the main thread takes; handlers run on any thread.
static _Atomic(struct sbx_cancel *) token;
static atomic_uint noted;     // bit per row of `rows`
static atomic_int fatal;      // last signal that asks us to end
static atomic_int interrupts; // in a row, each within a second of the one before
static atomic_llong last_interrupt_ms;
static atomic_bool cleaning;

enum row_kind { FORWARD, INTERRUPT, RESIZE, WAKE, CRASH };

static const struct row {
    int number;
    enum row_kind kind;
} rows[] = {
    {SIGINT, INTERRUPT},
    {SIGTERM, FORWARD},
    {SIGHUP, FORWARD},
    {SIGQUIT, FORWARD},
    {SIGUSR1, FORWARD},
    {SIGUSR2, FORWARD},
    {SIGWINCH, RESIZE},
    // A handler that does nothing, and not SIG_IGN, which the programs we start would inherit.
    {SIGPIPE, WAKE},
    {SIGSEGV, CRASH},
    {SIGBUS, CRASH},
    {SIGABRT, CRASH},
    {SIGFPE, CRASH},
};

static bool only_for_terminals(enum row_kind kind)
{
    return kind == RESIZE || kind == CRASH;
}

#define KILL_BIT (1U << 31)
_Static_assert(ARRAY_SIZE(rows) < 31, "a bit for each row and one for the kill");

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// Restores what must not stay behind and leaves without cleaning up.
static void leave(int number)
{
    term_restore();
    _exit(EXIT_SIGNAL + number);
}

static void count_interrupt(void)
{
    long long now = now_ms();
    bool in_row = now - atomic_exchange(&last_interrupt_ms, now) < 1000;
    int count = in_row ? atomic_fetch_add(&interrupts, 1) + 1 : 1;
    if (!in_row)
        atomic_store(&interrupts, 1);
    if (count >= 3 || atomic_load(&cleaning))
        leave(SIGINT);
    if (count == 2)
        atomic_fetch_or(&noted, KILL_BIT);
}

static void crash(int number)
{
    term_restore();
    signal(number, SIG_DFL);
    raise(number);
}

static void handle(int number)
{
    int saved_errno = errno;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].number != number || rows[i].kind == WAKE)
            continue;
        if (rows[i].kind == CRASH)
            crash(number);
        if (rows[i].kind == INTERRUPT)
            count_interrupt();
        if (rows[i].kind != RESIZE)
            atomic_store(&fatal, number);
        atomic_fetch_or(&noted, 1U << i);
        struct sbx_cancel *current = atomic_load(&token);
        if (current)
            sbx_cancel_trigger(current);
    }
    errno = saved_errno;
}

static void install_one(int number)
{
    struct sigaction old, new = {.sa_handler = handle};
    sigfillset(&new.sa_mask);
    if (sigaction(number, &new, &old) == 0 && old.sa_handler == SIG_IGN)
        sigaction(number, &old, NULL);
}

int signals_install(struct sbx_error *err)
{
    if (atomic_load(&token))
        return 0;
    struct sbx_cancel *first;
    int code = sbx_cancel_new(&first, err);
    if (code < 0)
        return code;
    atomic_store(&token, first);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!only_for_terminals(rows[i].kind))
            install_one(rows[i].number);
    return 0;
}

void signals_terminal(bool on)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!only_for_terminals(rows[i].kind))
            continue;
        if (on)
            install_one(rows[i].number);
        else
            signal(rows[i].number, SIG_DFL);
    }
}

struct sbx_cancel *signals_token(void)
{
    return atomic_load(&token);
}

bool signals_pending(void)
{
    return atomic_load(&noted) != 0;
}

static void sort_noted(unsigned bits, struct signals_batch *batch)
{
    *batch = (struct signals_batch){.kill = bits & KILL_BIT};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!(bits >> i & 1))
            continue;
        if (rows[i].kind == RESIZE)
            batch->resized = true;
        else if (batch->count < SIGNALS_FORWARD_MAX)
            batch->forward[batch->count++] = rows[i].number;
    }
}

int signals_take(struct signals_batch *ret_batch, struct sbx_error *err)
{
    struct sbx_cancel *next;
    int code = sbx_cancel_new(&next, err);
    if (code < 0)
        return code;
    // A handler may hold the old token while it is freed: none may run in between, on any thread.
    // Our other threads block all signals, so this thread's mask is enough.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct sbx_cancel *old = atomic_exchange(&token, next);
    unsigned bits = atomic_exchange(&noted, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sbx_cancel_free(old);
    sort_noted(bits, ret_batch);
    return 0;
}

int signals_fatal(void)
{
    return atomic_load(&fatal);
}

void signals_cleaning(void)
{
    atomic_store(&cleaning, true);
}
