// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfserve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "metaflow/service/mfapi.h"
#include "metaflow/service/mfstate.h"

#define GRACE_MS 1000
#define TICK_S 1
#define CONNECTIONS_MAX 512
#define SILENT_SECONDS 120 // of a connection
#define ARENAS 2           // heaps of the C library: one for each thread would be kept for nothing

static void log_request(void *context, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

// A `.metaflow` that was removed while we serve it is made again, as local mode does.
static void keep_root(struct mfstore *store)
{
    struct stat info;
    if (fstat(store->root_fd, &info) < 0 || info.st_nlink > 0)
        return;
    mkdir(store->root, 0777);
    cleanup_fd int fd = open(store->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        dup2(fd, store->root_fd);
}

static bool is_idle(const struct mfserve *serve, struct mfservice *service)
{
    int64_t silent_ms = clock_boot_ms() - atomic_load(&service->active_ms);
    return serve->idle_ms > 0 && silent_ms >= serve->idle_ms &&
           !mfstate_has_users(serve->dir_fd, serve->id);
}

static void wait_end(const struct mfserve *serve, struct mfservice *service,
                     const sigset_t *signals)
{
    const struct timespec tick = {.tv_sec = TICK_S};
    for (;;) {
        int number = sigtimedwait(signals, NULL, &tick);
        if (number == SIGTERM || number == SIGINT)
            return;
        keep_root(&service->store);
        if (is_idle(serve, service))
            return;
    }
}

static int serve_requests(const struct mfserve *serve, struct mfservice *service,
                          const sigset_t *signals, struct sbx_error *err)
{
    struct httpd_options options = HTTPD_OPTIONS_INIT;
    options.site = &mfapi_site;
    options.context = service;
    options.listen_fd = serve->listen_fd;
    options.connection_limit = CONNECTIONS_MAX;
    options.idle_seconds = SILENT_SECONDS;
    options.body_limit = MFAPI_BODY_MAX;
    options.access_log = serve->debug ? log_request : NULL;
    struct httpd *server = NULL;
    int code = httpd_start(&options, &server, err);
    if (code < 0)
        return code;
    wait_end(serve, service, signals);
    httpd_stop(server, GRACE_MS);
    return 0;
}

int mfserve_run(const struct mfserve *serve)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_SETMASK, &signals, NULL); // before there are threads, which inherit it
    signal(SIGPIPE, SIG_IGN);
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, ARENAS);
#endif
    const char *key = getenv("METAFLOW_SERVICE_AUTH_KEY");
    struct mfservice service = {.key = key && *key ? key : NULL};
    struct sbx_error err;
    int code = mfstore_open(serve->root, &service.store, &err);
    if (code == 0) {
        mfbeats_init(&service.beats);
        atomic_store(&service.active_ms, clock_boot_ms());
        code = serve_requests(serve, &service, &signals, &err);
        mfstore_close(&service.store);
        mfbeats_deinit(&service.beats);
    }
    if (code < 0)
        fprintf(stderr, "metaflow-local-service: %s; %s\n", err.message, err.remedy);
    mfstate_drop(serve->dir_fd, serve->id);
    return code < 0 ? 1 : 0;
}
