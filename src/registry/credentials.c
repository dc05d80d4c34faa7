// SPDX-License-Identifier: Apache-2.0
// Credentials of registries. Layer: registry.
#include "registry/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "engine/imageref.h"
#include "net/json.h"

#define FILE_MAX (1u << 20)
#define HELPER_MS 30000
#define HUB_KEY "https://index.docker.io/v1/"
#define TOKEN_USER "<token>" // docker-credential-helpers: the secret is an identity token

extern char **environ;

static void wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->capacity);
    buf_deinit(buf);
}

void credentials_deinit(struct credentials *credentials)
{
    wipe(&credentials->user);
    wipe(&credentials->secret);
}

static bool is_hub(const char *host, size_t length)
{
    static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i]) == length && memcmp(names[i], host, length) == 0)
            return true;
    return false;
}

// Whether a key of the file, "host", "https://host" or "https://host/v1/", means this registry.
static bool key_fits(const char *key, const char *host)
{
    const char *scheme = strstr(key, "://");
    const char *name = scheme ? scheme + 3 : key;
    size_t length = strcspn(name, "/");
    if (is_hub(host, strlen(host)))
        return is_hub(name, length);
    return strlen(host) == length && memcmp(name, host, length) == 0;
}

static const struct jsonv *member_for(const struct jsonv *object, const char *host)
{
    struct jsonv_member member = {0};
    while (jsonv_next(object, &member))
        if (key_fits(member.key, host))
            return member.value;
    return NULL;
}

static int take_pair(const char *text, size_t size, struct credentials *out, struct sbx_error *err)
{
    const char *colon = memchr(text, ':', size);
    if (!colon || memchr(text, '\0', size))
        return err_set(err, SBX_ERR_INVALID, "stored credentials are no 'user:password'");
    buf_add(&out->user, text, (size_t)(colon - text));
    buf_add(&out->secret, colon + 1, size - (size_t)(colon + 1 - text));
    return 0;
}

static int take_entry(const struct jsonv *entry, struct credentials *out, struct sbx_error *err)
{
    const char *auth = jsonv_text(entry, "auth"), *identity = jsonv_text(entry, "identitytoken");
    struct buf pair = BUF_INIT(CREDENTIAL_MAX);
    int rc = 0;
    if (identity && identity[0]) {
        out->token = true;
        buf_puts(&out->secret, identity);
    } else if (auth && auth[0]) {
        rc = base64_decode(&pair, auth, strlen(auth))
                 ? take_pair(pair.data, pair.size, out, err)
                 : err_set(err, SBX_ERR_INVALID, "stored credentials are no Base64");
    } else {
        const char *user = jsonv_text(entry, "username"), *password = jsonv_text(entry, "password");
        buf_puts(&out->user, user ? user : "");
        buf_puts(&out->secret, password ? password : "");
    }
    wipe(&pair);
    out->found = rc == 0 && out->secret.size > 0;
    return rc;
}

static bool helper_fits(const char *name)
{
    return name && text_of(name, TEXT_ALNUM "_-", 64) && name[0] != '-';
}

int credentials_read(const struct jsonv *config, const char *host, struct credentials *ret_found,
                     char *ret_helper, size_t helper_size, struct sbx_error *err)
{
    const char *helper = jsonv_as_text(member_for(jsonv_get(config, "credHelpers"), host));
    const struct jsonv *entry = member_for(jsonv_get(config, "auths"), host);
    if (!helper)
        helper = jsonv_text(config, "credsStore");
    ret_helper[0] = '\0';
    if (helper && helper[0]) {
        if (!helper_fits(helper))
            return err_set(err, SBX_ERR_INVALID, "the name of a credential helper is no name");
        snprintf(ret_helper, helper_size, "%s", helper);
    }
    return entry ? take_entry(entry, ret_found, err) : 0;
}

struct child {
    pid_t pid;
};

static void end_child(const struct child *child)
{
    if (child->pid <= 0)
        return;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int spawn_helper(const char *program, int in, int out, pid_t *ret_pid, struct sbx_error *err)
{
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "get", NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(ret_pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed)
        return 0;
    err_sys(err, SBX_ERR_SETUP, failed, "cannot run the credential helper '%s'", program);
    return err_hint(err, "install it, or take credsStore and credHelpers out of docker's "
                         "config.json");
}

static int read_answer(int fd, struct deadline deadline, struct buf *out, struct sbx_error *err)
{
    for (;;) {
        int rc = deadline_wait(deadline, fd, POLLIN, NULL, err);
        if (rc < 0)
            return err_wrap(err, "while a credential helper was asked");
        char *room = buf_reserve(out, 4096);
        ssize_t got = room ? read(fd, room, 4096) : -1;
        if (got == 0)
            return 0;
        if (got < 0 && room && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, SBX_ERR_PROTOCOL, "a credential helper's answer is unreadable");
        buf_commit(out, (size_t)got);
    }
}

static int take_answer(const struct buf *answer, struct credentials *out, struct sbx_error *err)
{
    struct jsonv *root = NULL;
    if (jsonv_parse(answer->data, answer->size, &root, NULL) < 0)
        return 0; // "credentials not found in native keychain": no JSON, and no failure
    const char *user = jsonv_text(root, "Username"), *secret = jsonv_text(root, "Secret");
    if (user && secret && secret[0]) {
        out->token = strcmp(user, TOKEN_USER) == 0;
        buf_puts(&out->user, out->token ? "" : user);
        buf_puts(&out->secret, secret);
        out->found = true;
    }
    jsonv_free(root);
    return 0;
}

// The registry's name goes to the helper's standard input, the answer comes as JSON.
static int ask_helper(const char *name, const char *host, struct deadline deadline,
                      struct credentials *out, struct sbx_error *err)
{
    char program[96];
    int question[2], answer[2];
    const char *key = is_hub(host, strlen(host)) ? HUB_KEY : host;
    snprintf(program, sizeof(program), "docker-credential-%s", name);
    if (fd_pipe(question) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    cleanup_fd int question_in = question[0], question_out = question[1];
    if (fd_pipe(answer) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    cleanup_fd int answer_in = answer[0], answer_out = answer[1];
    cleanup(end_child) struct child child = {-1};
    int rc = spawn_helper(program, question_in, answer_out, &child.pid, err);
    if (rc < 0)
        return rc;
    close(steal_fd(&answer_out));
    (void)fd_write_full(question_out, key, strlen(key));
    close(steal_fd(&question_out));
    struct buf text = BUF_INIT(65536);
    rc = read_answer(answer_in, deadline_min(deadline, clock_boot_ms() + HELPER_MS), &text, err);
    if (rc == 0)
        rc = take_answer(&text, out, err);
    wipe(&text);
    return rc;
}

static int look_into(const char *path, const char *host, struct deadline deadline,
                     struct credentials *out, struct sbx_error *err)
{
    char helper[80];
    cleanup_jsonv struct jsonv *root = NULL;
    char *text = malloc(FILE_MAX);
    if (!text)
        return err_nomem(err);
    ssize_t size = fd_read_file(AT_FDCWD, path, text, FILE_MAX);
    int rc = size < 0 ? 0 : jsonv_parse(text, (size_t)size, &root, err);
    if (size > 0)
        explicit_bzero(text, (size_t)size);
    free(text);
    if (size < 0)
        return 0; // not there, or not for us
    if (rc == 0)
        rc = credentials_read(root, host, out, helper, sizeof(helper), err);
    if (rc < 0) {
        err_wrap(err, "%s", path);
        err_hint(err, "mend that file, or remove it and log in anew: docker login %s", host);
        return rc;
    }
    return !out->found && helper[0] ? ask_helper(helper, host, deadline, out, err) : 0;
}

int credentials_find(const char *host, struct deadline deadline, struct credentials *ret_found,
                     struct sbx_error *err)
{
    const struct {
        const char *variable, *rest;
    } places[] = {{"REGISTRY_AUTH_FILE", ""},
                  {"DOCKER_CONFIG", "/config.json"},
                  {"HOME", "/.docker/config.json"},
                  {"XDG_RUNTIME_DIR", "/containers/auth.json"}};
    for (size_t i = 0; i < ARRAY_SIZE(places) && !ret_found->found; i++) {
        char path[4096];
        const char *base = getenv(places[i].variable);
        if (!base || base[0] != '/')
            continue;
        snprintf(path, sizeof(path), "%s%s", base, places[i].rest);
        int rc = look_into(path, host, deadline, ret_found, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
