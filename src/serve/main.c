// SPDX-License-Identifier: Apache-2.0
// sandboxes-serve: reads its options, makes keys, or serves until it is told to stop. Layer: serve.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"
#include "serve/options.h"
#include "serve/serve.h"
#include "serve/sites.h"
#include "serve/snapshots.h"

#define GRACE_MS 10000
#define TEMPLATES_MAX 256
#define EXIT_USAGE 2
#define EXIT_OURS 125

struct common {
    const char *config;
    int debug;
};

// What the command takes for all of its kind.
static const struct opt_row common_rows[] = {
    {.name = "config",
     .kind = OPT_STRING,
     .value = "FILE",
     .offset = offsetof(struct common, config),
     .help = "configuration"},
    {.name = "debug",
     .letter = 'v',
     .kind = OPT_FLAG,
     .offset = offsetof(struct common, debug),
     .help = "tell what is being done"},
};

static int complain(const struct sbx_error *err, int status)
{
    fprintf(stderr, "sandboxes: error: %s\n  try: %s\n", err->message, err->remedy);
    return status;
}

// --- State on disk

static int make_directories(char *path, struct sbx_error *err)
{
    for (char *at = path + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char was = *at;
        *at = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_sys(err, 0, errno, "cannot make the directory '%s'", path);
        *at = was;
        if (!was)
            return 0;
    }
}

static int state_path(const struct serve_values *values, char *ret_path, size_t size,
                      struct sbx_error *err)
{
    const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int length = -1;
    if (values->state)
        length = snprintf(ret_path, size, "%s", values->state);
    else if (base && base[0] == '/')
        length = snprintf(ret_path, size, "%s/sandboxes/serve", base);
    else if (home && home[0] == '/')
        length = snprintf(ret_path, size, "%s/.local/state/sandboxes/serve", home);
    if (length > 0 && (size_t)length < size)
        return 0;
    err_set(err, SBX_ERR_SETUP, "there is no directory for keys and sheets");
    return err_hint(err, "give --state DIR, or set HOME");
}

static int open_directory(int at, const char *path, int *ret_fd, struct sbx_error *err)
{
    struct stat status;
    if (at != AT_FDCWD && mkdirat(at, path, 0700) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make the directory '%s'", path);
    cleanup_fd int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) < 0)
        return err_sys(err, 0, errno, "cannot open the directory '%s'", path);
    if (status.st_uid != geteuid() || status.st_mode & 077) {
        err_set(err, SBX_ERR_DENIED, "the directory '%s' is open to others", path);
        return err_hint(err, "chmod 700 it, or give another --state DIR");
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

// The secret that tokens are made from: kept, so that they stay valid over a restart.
static int open_secret(struct serve *serve, struct sbx_error *err)
{
    cleanup_fd int fd = openat(serve->state_fd, "secret", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fd_read_full(fd, serve->secret, SHA256_SIZE) == SHA256_SIZE)
        return 0;
    if (id_random(serve->secret, SHA256_SIZE) < 0)
        return err_sys(err, 0, errno, "cannot make a secret");
    cleanup_fd int made = openat(serve->state_fd, "secret",
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (made < 0 || fd_write_full(made, serve->secret, SHA256_SIZE) < 0)
        return err_sys(err, 0, errno, "cannot keep the secret");
    return 0;
}

static int open_state(struct serve *serve, const struct serve_values *values, struct sbx_error *err)
{
    char path[4096];
    int code = state_path(values, path, sizeof(path), err);
    if (code == 0)
        code = make_directories(path, err);
    if (code == 0)
        code = open_directory(AT_FDCWD, path, &serve->state_fd, err);
    if (code == 0)
        code = open_directory(serve->state_fd, "boxes", &serve->sheets_fd, err);
    if (code == 0)
        code = open_directory(serve->state_fd, "spool", &serve->spool_fd, err);
    if (code == 0)
        code = snapshots_open(serve, err);
    if (code == 0)
        code = open_secret(serve, err);
    if (code == 0)
        keys_init(&serve->keys, serve->state_fd);
    return code;
}

// --- Keys

static int key_create(struct serve *serve, const char *name)
{
    char text[KEY_SIZE];
    struct key key;
    struct sbx_error err;
    if (keys_create(&serve->keys, name, text, &key, &err) < 0)
        return complain(&err, EXIT_OURS);
    fprintf(stderr, "Key %s. It is shown this once:\n", key.id);
    printf("%s\n", text);
    explicit_bzero(text, sizeof(text));
    return 0;
}

static int key_list(struct serve *serve)
{
    struct sbx_error err;
    if (keys_load(&serve->keys, &err) < 0)
        return complain(&err, EXIT_OURS);
    for (size_t i = 0; i < serve->keys.count; i++) {
        char time[SERVE_TIME_SIZE];
        serve_time(serve->keys.items[i].created_ms, time);
        printf("%s  %s  %s\n", serve->keys.items[i].id, time, serve->keys.items[i].name);
    }
    return 0;
}

static int key_command(struct serve *serve, const struct opt_operands *words)
{
    struct sbx_error err;
    const char *verb = words->count > 1 ? words->items[1] : "";
    const char *name = words->count > 2 ? words->items[2] : NULL;
    if (strcmp(verb, "create") == 0 && words->count <= 3)
        return key_create(serve, name ? name : "");
    if (strcmp(verb, "list") == 0 && words->count == 2)
        return key_list(serve);
    if (strcmp(verb, "revoke") == 0 && words->count == 3)
        return keys_revoke(&serve->keys, name, &err) < 0 ? complain(&err, EXIT_OURS) : 0;
    err_set(&err, SBX_ERR_INVALID, "'key' takes create [NAME], list, or revoke ID");
    err_hint(&err, "'sandboxes serve --help' shows how it is used");
    return complain(&err, EXIT_USAGE);
}

// --- Serving

static FILE *log_file; // set once, before the server starts

static int open_log(const struct serve_values *values, struct sbx_error *err)
{
    log_file = values->log ? fopen(values->log, "ae") : stderr;
    if (!log_file)
        return err_sys(err, 0, errno, "cannot write to '%s'", values->log);
    setvbuf(log_file, NULL, _IOLBF, 0);
    return 0;
}

static void print_line(void *context, const char *line)
{
    FILE *log = log_file;
    flockfile(log);
    fputs(line, log);
    fputc('\n', log);
    funlockfile(log);
}

static void take_settings(struct serve *serve, const struct serve_values *values,
                          struct sbx_pair *templates)
{
    size_t count = 0;
    static char images[TEMPLATES_MAX][256];
    templates[count++] = (struct sbx_pair){"base", ""};
    // What e2b-code-interpreter asks for unless told otherwise; its sandboxes work, and Python in
    // them; no other kernels are there.
    templates[count++] = (struct sbx_pair){"code-interpreter-v1", ""};
    for (size_t i = 0; i < values->templates.count && count < TEMPLATES_MAX; i++) {
        const char *pair = values->templates.items[i], *image = strchr(pair, '=');
        snprintf(images[count], sizeof(images[count]), "%.*s", (int)(image - pair), pair);
        templates[count] = (struct sbx_pair){images[count], image + 1};
        count++;
    }
    serve->settings = (struct serve_settings){
        .domain = values->domain,
        .proxy_url = values->url,
        .templates = templates,
        .template_count = count,
        .allow = values->allow.items,
        .allow_count = values->allow.count,
        .max_boxes = (uint32_t)values->max_boxes,
        .rate = (uint32_t)values->rate,
        .warm = (uint32_t)values->warm,
        .max_life_ms = values->max_life,
        .max_upload = values->max_upload,
        .open_private = values->open_private > 0,
        .open = values->open > 0,
        .debug = values->debug > 0,
    };
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

// Where it listens: a socket that the service manager passed has the say.
static void find_address(const struct serve_values *values, char *ret_address, socklen_t size)
{
    struct sockaddr_storage bound = {0};
    socklen_t bound_size = sizeof(bound);
    int fd = httpd_activated_fd();
    snprintf(ret_address, size, "%s", values->listen);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &bound_size) < 0)
        return;
    if (bound.ss_family == AF_UNIX)
        snprintf(ret_address, size, "127.0.0.1"); // of this machine as well
    else if (getnameinfo((struct sockaddr *)&bound, bound_size, ret_address, size, NULL, 0,
                         NI_NUMERICHOST) != 0)
        snprintf(ret_address, size, "an unknown address");
}

// What leaves this machine is encrypted, and what needs no key does not leave it.
static int check_exposure(const struct serve *serve, const struct serve_values *values,
                          struct sbx_error *err)
{
    char address[NI_MAXHOST];
    find_address(values, address, sizeof(address));
    if (is_loopback(address))
        return 0;
    if (serve->settings.open || serve->settings.debug) {
        err_set(err, SBX_ERR_INVALID, "%s is for loopback addresses only",
                serve->settings.open ? "--no-auth" : "--debug-sandbox");
        return err_hint(err, "make a key: sandboxes serve key create");
    }
    if (values->cert || values->plain > 0)
        return 0;
    err_set(err, SBX_ERR_INVALID, "keys would travel unencrypted on %s", address);
    return err_hint(err,
                    "give --tls-cert and --tls-key, or --plain with a proxy in front that has TLS");
}

static int start(struct serve *serve, const struct serve_values *values, struct sbx_error *err)
{
    static const char *hosts[64];
    static char wild[256];
    struct httpd_options options = HTTPD_OPTIONS_INIT;
    options.select = sites_select;
    options.context = serve;
    options.address = values->listen;
    options.port = (uint16_t)values->port;
    options.listen_fd = httpd_activated_fd();
    options.cert_file = values->cert;
    options.key_file = values->key;
    options.connection_limit = (unsigned)values->connections;
    if (log_file)
        options.access_log = print_line;
    if (values->domain) {
        snprintf(wild, sizeof(wild), "*.%s", values->domain);
        hosts[options.host_count++] = wild;
        hosts[options.host_count++] = values->domain;
    }
    for (size_t i = 0; i < values->hosts.count && options.host_count < ARRAY_SIZE(hosts); i++)
        hosts[options.host_count++] = values->hosts.items[i];
    options.hosts = hosts;
    return httpd_start(&options, &serve->httpd, err);
}

static void announce(const struct serve *serve, const struct serve_values *values)
{
    const char *scheme = httpd_scheme(serve->httpd);
    unsigned port = httpd_port(serve->httpd);
    bool v6 = strchr(values->listen, ':') != NULL;
    printf("listening on %s://%s%s%s:%u\n", scheme, v6 ? "[" : "", values->listen, v6 ? "]" : "",
           port);
    fflush(stdout);
}

static int open_client(struct serve *serve, const struct serve_values *values, const char *config,
                       struct sbx_error *err)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    options.config_path = config;
    options.provider = values->provider;
    return sbx_client_open(&options, &serve->client, err);
}

static int serve_until_told(struct serve *serve, const struct serve_values *values,
                            const char *config)
{
    struct sbx_error err;
    sigset_t signals;
    int number, code;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    code = check_exposure(serve, values, &err);
    if (code == 0 && !(values->log && strcmp(values->log, "none") == 0))
        code = open_log(values, &err);
    if (code == 0)
        code = open_client(serve, values, config, &err);
    if (code == 0)
        code = places_start(serve, &err);
    if (code == 0)
        code = warm_start(serve, &err);
    if (code == 0)
        code = start(serve, values, &err);
    if (code < 0)
        return complain(&err, code == SBX_ERR_INVALID ? EXIT_USAGE : EXIT_OURS);
    announce(serve, values);
    sigwait(&signals, &number);
    httpd_stop(serve->httpd, values->grace);
    warm_stop(serve);
    places_stop(serve);
    return 0;
}

int main(int argc, char **argv)
{
    struct serve_values values = {
        .listen = "127.0.0.1",
        .provider = "local",
        .port = 3000,
        .max_boxes = 100,
        .rate = 1000,
        .warm = 2,
        .connections = 2048,
        .max_life = (int64_t)24 * 3600 * 1000,
        .max_upload = (uint64_t)8 << 30,
        .grace = GRACE_MS,
    };
    struct sbx_pair templates[TEMPLATES_MAX];
    struct common common = {0};
    struct opt_set sets[] = {{serve_rows, SERVE_ROW_COUNT, &values, 0},
                             {common_rows, ARRAY_SIZE(common_rows), &common, 0}};
    struct opt_grammar grammar = {sets, 2, SIZE_MAX, "sandboxes serve --help"};
    struct opt_operands words;
    struct sbx_error err;
    struct serve serve = {.state_fd = -1};
    umask(077);
    int status;
    if (opt_parse(&grammar, argc - 1, (const char *const *)argv + 1, &words, &err) < 0)
        return complain(&err, EXIT_USAGE);
    take_settings(&serve, &values, templates);
    if (words.count == 1 && strcmp(words.items[0], "routes") == 0)
        status = sites_print();
    else if (open_state(&serve, &values, &err) < 0 || !limits_init(&serve.limits))
        status = complain(&err, EXIT_OURS);
    else if (words.count > 0 && strcmp(words.items[0], "key") == 0)
        status = key_command(&serve, &words);
    else
        status = serve_until_told(&serve, &values, common.config);
    opt_operands_deinit(&words);
    opt_deinit(&sets[0]);
    opt_deinit(&sets[1]);
    return status;
}
