// SPDX-License-Identifier: Apache-2.0
// Start and stop of a server. Layer: httpd.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "httpd/handle.h"
#include "httpd/ws_list.h"

// Headers of a request, and what a source fills at once, come from a connection's memory; it is
// mapped, and only what is used becomes resident.
#define CONNECTION_MEMORY (128 * 1024)
#define CONNECTIONS_DEFAULT 1024
#define IDLE_DEFAULT 300
#define THREAD_STACK (512 * 1024)
#define PEM_MAX (1024 * 1024)
#define LISTEN_FD_FIRST 3
#define SOCKETS_PATIENCE_MS 5000

static int read_pem(const char *path, char **ret_text, struct sbx_error *err)
{
    cleanup_free char *text = malloc(PEM_MAX);
    if (!text)
        return err_nomem(err);
    if (fd_read_file(-100, path, text, PEM_MAX) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    *ret_text = steal_ptr(text);
    return 0;
}

static int read_certificate(struct httpd *server, struct sbx_error *err)
{
    const struct httpd_options *options = &server->options;
    if (!options->cert_file && !options->key_file)
        return 0;
    if (!options->cert_file || !options->key_file) {
        err_set(err, SBX_ERR_INVALID, "TLS needs both a certificate and its key");
        return err_hint(err, "give both files, or neither");
    }
    int code = read_pem(options->cert_file, &server->cert, err);
    return code < 0 ? code : read_pem(options->key_file, &server->key, err);
}

static int fill_address(const struct httpd_options *options, struct sockaddr_storage *ret,
                        struct sbx_error *err)
{
    const char *text = options->address ? options->address : "127.0.0.1";
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(options->port);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(options->port);
        return 0;
    }
    err_set(err, SBX_ERR_INVALID, "'%s' is no address to listen on", text);
    return err_hint(err, "give a numeric one, such as 127.0.0.1 or ::1");
}

// A socket of our own instead of libmicrohttpd's: its errors can be told.
static int make_listener(const struct httpd_options *options, int *ret_fd, struct sbx_error *err)
{
    struct sockaddr_storage address;
    int code = fill_address(options, &address, err);
    if (code < 0)
        return code;
    cleanup_fd int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    socklen_t size =
        address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 512) < 0) {
        int failed = errno;
        err_sys(err, failed == EADDRINUSE ? SBX_ERR_CONFLICT : 0, failed,
                "cannot listen on %s port %u", options->address ? options->address : "127.0.0.1",
                options->port);
        return failed == EADDRINUSE
                   ? err_hint(err, "end what listens there, or choose another port")
                   : err->code;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

static void note_port(struct httpd *server)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(server->listen_fd, (struct sockaddr *)&address, &size) < 0)
        return;
    if (address.ss_family == AF_INET)
        server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    else if (address.ss_family == AF_INET6)
        server->port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
}

static void log_server(void *cls, const char *format, va_list values)
{
    char text[512];
    vsnprintf(text, sizeof(text), format, values);
    text[strcspn(text, "\n")] = '\0';
    log_debug("httpd", "%s", text);
}

static struct MHD_Daemon *start_daemon(struct httpd *server)
{
    const struct httpd_options *options = &server->options;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_ALLOW_UPGRADE | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                     (server->cert ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle_access, server,
        // First, so that it is in force for what follows.
        MHD_OPTION_EXTERNAL_LOGGER, log_server, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
        MHD_OPTION_URI_LOG_CALLBACK, handle_uri, server, MHD_OPTION_NOTIFY_COMPLETED,
        handle_completed, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT,
        options->connection_limit ? options->connection_limit : CONNECTIONS_DEFAULT,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_peer, MHD_OPTION_CONNECTION_TIMEOUT,
        options->idle_seconds ? options->idle_seconds : IDLE_DEFAULT, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        server->cert ? tls : &tls[2], MHD_OPTION_END);
}

static void server_free(struct httpd *server)
{
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    sbx_cancel_free(server->cancel);
    pthread_mutex_destroy(&server->lock);
    free(server->cert);
    if (server->key)
        explicit_bzero(server->key, strlen(server->key));
    free(server->key);
    free(server);
}

static int prepare(struct httpd *server, struct sbx_error *err)
{
    int code = read_certificate(server, err);
    if (code == 0)
        code = sbx_cancel_new(&server->cancel, err);
    if (code == 0 && server->listen_fd < 0)
        code = make_listener(&server->options, &server->listen_fd, err);
    return code;
}

int httpd_start(const struct httpd_options *options, struct httpd **ret_server,
                struct sbx_error *err)
{
    struct httpd *server = calloc(1, sizeof(*server));
    if (!server)
        return err_nomem(err);
    server->options = *options;
    server->listen_fd = options->listen_fd;
    pthread_mutex_init(&server->lock, NULL);
    int code = prepare(server, err);
    if (code == 0) {
        note_port(server);
        server->daemon = start_daemon(server);
        if (!server->daemon) {
            code = err_set(err, server->cert ? SBX_ERR_INVALID : SBX_ERR_IO,
                           "the HTTP server does not start");
            err_hint(err, server->cert ? "check that certificate and key are PEM and fit"
                                       : "check the limits of threads and open files");
        }
    }
    if (code < 0) {
        server_free(server);
        return code;
    }
    *ret_server = server;
    return 0;
}

uint16_t httpd_port(const struct httpd *server)
{
    return server->port;
}

const char *httpd_scheme(const struct httpd *server)
{
    return server->cert ? "https" : "http";
}

bool httpd_stopping(const struct httpd *server)
{
    return atomic_load(&server->stopping);
}

static void wait_idle(struct httpd *server, int64_t patience_ms)
{
    int64_t end = clock_boot_ms() + patience_ms;
    while (atomic_load(&server->active) > 0 && clock_boot_ms() < end) {
        struct timespec pause = {0, 5 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

void httpd_stop(struct httpd *server, int64_t grace_ms)
{
    MHD_quiesce_daemon(server->daemon);
    wait_idle(server, grace_ms);
    atomic_store(&server->stopping, true);
    sbx_cancel_trigger(server->cancel);
    ws_list_shutdown(server);
    // libmicrohttpd gives up the whole program when it ends before its upgraded connections.
    wait_idle(server, SOCKETS_PATIENCE_MS);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}

void httpd_stats(const struct httpd *server, struct httpd_stats *ret_stats)
{
    *ret_stats = (struct httpd_stats){
        .requests = atomic_load(&server->requests),
        .failures = atomic_load(&server->failures),
        .refused = atomic_load(&server->refused),
        .active = atomic_load(&server->active),
    };
}

int httpd_activated_fd(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || !count || strtol(pid, NULL, 10) != getpid() || strtol(count, NULL, 10) < 1)
        return -1;
    if (fd_set_cloexec(LISTEN_FD_FIRST, true) < 0)
        return -1;
    return LISTEN_FD_FIRST;
}
