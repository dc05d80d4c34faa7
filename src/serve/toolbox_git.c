// SPDX-License-Identifier: Apache-2.0
// Daytona's git: what changes a repository. A request is a row of words. Layer: serve.
#include "serve/toolbox_git.h"

#include <stdio.h>
#include <string.h>

#include "serve/transfer.h"

#define GIT_MS (10 * 60 * 1000)

// --- Running git

void git_word(struct git_ask *ask, const char *word)
{
    if (ask->count < GIT_WORDS_MAX)
        ask->words[ask->count++] = word;
}

// What git says, and what that is in HTTP.
static unsigned status_of(const char *complaint)
{
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {"Authentication failed", 401},
        {"could not read Username", 401},
        {"could not read Password", 401},
        {"Permission denied", 403},
        {"not a git repository", 404},
        {"does not exist", 404},
        {"not found", 404},
        {"did not match any file", 404},
        {"cannot change to", 404},
        {"No such remote", 404},
        {"already exists", 409},
        {"non-fast-forward", 409},
        {"[rejected]", 409},
        {"nothing to commit", 409},
        {"would be overwritten", 409},
        {"CONFLICT", 409},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strstr(complaint, rows[i].text))
            return rows[i].status;
    return 400;
}

static void fail_git(struct httpd_request *request, const struct sbx_result *result)
{
    const char *text = result->err_size ? result->err : result->out_size ? result->out : "";
    char line[1024];
    snprintf(line, sizeof(line), "git: %.1000s", text[0] ? text : "the command failed");
    for (size_t end = strlen(line); end > 0 && line[end - 1] == '\n'; end--)
        line[end - 1] = '\0';
    httpd_fail(request, status_of(line), line);
}

// Nobody is asked for a password; who gave one is answered for, once.
static size_t put_variables(const struct git_ask *ask, struct sbx_pair env[16])
{
    size_t count = 0;
    env[count++] = (struct sbx_pair){"GIT_TERMINAL_PROMPT", "0"};
    env[count++] = (struct sbx_pair){"LC_ALL", "C.UTF-8"};
    for (size_t i = 0; i < ask->env_count; i++)
        env[count++] = ask->env[i];
    if (!ask->password)
        return count;
    static const struct sbx_pair helper[] = {
        {"GIT_CONFIG_COUNT", "2"},
        {"GIT_CONFIG_KEY_0", "credential.helper"},
        {"GIT_CONFIG_VALUE_0", ""},
        {"GIT_CONFIG_KEY_1", "credential.helper"},
        {"GIT_CONFIG_VALUE_1", "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' "
                               "\"$SANDBOXES_GIT_USER\" \"$SANDBOXES_GIT_PASSWORD\"; }; f"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(helper); i++)
        env[count++] = helper[i];
    env[count++] = (struct sbx_pair){"SANDBOXES_GIT_USER", ask->user ? ask->user : "git"};
    env[count++] = (struct sbx_pair){"SANDBOXES_GIT_PASSWORD", ask->password};
    return count;
}

bool git_run(struct httpd_request *request, const struct git_ask *ask,
             struct sbx_result *ret_result)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_pair env[16];
    struct sbx_error err;
    exec.argv = ask->words;
    exec.argc = ask->count;
    exec.env = env;
    exec.env_count = put_variables(ask, env);
    exec.input = ask->input;
    exec.input_size = ask->input ? strlen(ask->input) : 0;
    if (toolbox_run(request, &exec, GIT_MS, ret_result, &err) < 0) {
        if (err.code == SBX_ERR_EXEC)
            httpd_fail(request, 501, "the sandbox has no git: take an image with one");
        else
            serve_fail(request, &err);
        return false;
    }
    if (ret_result->outcome.exit_code == 0 || ask->tolerant)
        return true;
    fail_git(request, ret_result);
    sbx_result_deinit(ret_result);
    return false;
}

bool git_path(struct httpd_request *request, const char *asked, char ret_path[TRANSFER_PATH_MAX])
{
    if (asked && asked[0] && transfer_path(toolbox_box(request), NULL, asked, ret_path))
        return true;
    httpd_fail(request, 400, asked && asked[0] ? "the path is too long" : "path is required");
    return false;
}

bool git_is_option(struct httpd_request *request, const char *member, const char *word)
{
    char text[128];
    if (word[0] != '-')
        return false;
    snprintf(text, sizeof(text), "%s must not begin with '-'", member);
    httpd_fail(request, 400, text);
    return true;
}

// --- A request as words

enum word_kind {
    WORD = 1, // as it is
    TEXT,     // a member that must be there
    MAYBE,    // a member that may be there, behind the option if one is named
    NUMBER,   // the same, a number above zero
    OR,       // a member, or else the text
    FLAG,     // the option, when the member is true
    CHOICE,   // the option, when the member is its name
    LIST,     // all texts of the member
    PLACE,    // the path of the request
};

struct word {
    enum word_kind kind;
    const char *text, *member;
};

#define WORDS_MAX 14

struct git_verb {
    unsigned status;
    bool inside; // git works in the path of the request
    struct word words[WORDS_MAX];
};

struct spelling {
    struct git_ask ask;
    char path[TRANSFER_PATH_MAX];
    char numbers[2][16];
    size_t number_count;
};

static void spell_number(struct spelling *spelling, const struct word *word, int64_t number)
{
    if (number <= 0 || spelling->number_count == ARRAY_SIZE(spelling->numbers))
        return;
    char *text = spelling->numbers[spelling->number_count++];
    snprintf(text, sizeof(spelling->numbers[0]), "%lld", (long long)number);
    git_word(&spelling->ask, word->text);
    git_word(&spelling->ask, text);
}

static bool spell_text(struct httpd_request *request, struct spelling *spelling,
                       const struct word *word, const char *value)
{
    if (!value || !value[0]) {
        char text[128];
        if (word->kind == MAYBE)
            return true;
        snprintf(text, sizeof(text), "%s is required", word->member);
        httpd_fail(request, 400, text);
        return false;
    }
    if (git_is_option(request, word->member, value))
        return false;
    if (word->text)
        git_word(&spelling->ask, word->text);
    git_word(&spelling->ask, value);
    return true;
}

static bool spell(struct httpd_request *request, const struct jsonv *body, const struct word *word,
                  struct spelling *spelling)
{
    const struct jsonv *list = word->kind == LIST ? jsonv_get(body, word->member) : NULL;
    const char *chosen = word->member ? jsonv_text(body, word->member) : NULL;
    switch (word->kind) {
    case WORD:
        git_word(&spelling->ask, word->text);
        return true;
    case PLACE:
        git_word(&spelling->ask, spelling->path);
        return true;
    case FLAG:
        if (jsonv_bool(body, word->member, false))
            git_word(&spelling->ask, word->text);
        return true;
    case CHOICE:
        if (chosen && strcmp(chosen, word->text + 2) == 0)
            git_word(&spelling->ask, word->text);
        return true;
    case OR:
        if (!chosen || !chosen[0]) {
            git_word(&spelling->ask, word->text);
            return true;
        }
        git_word(&spelling->ask, chosen);
        return !git_is_option(request, word->member, chosen);
    case NUMBER:
        spell_number(spelling, word, jsonv_int(body, word->member, 0));
        return true;
    case LIST:
        for (size_t i = 0; i < jsonv_count(list); i++)
            if (jsonv_as_text(jsonv_at(list, i)))
                git_word(&spelling->ask, jsonv_as_text(jsonv_at(list, i)));
        return true;
    case TEXT:
    case MAYBE:
        return spell_text(request, spelling, word, jsonv_text(body, word->member));
    }
    return false;
}

static bool spell_all(struct httpd_request *request, const struct jsonv *body,
                      const struct git_verb *verb, struct spelling *spelling)
{
    if (!git_path(request, jsonv_text(body, "path"), spelling->path))
        return false;
    git_word(&spelling->ask, "git");
    if (verb->inside) {
        git_word(&spelling->ask, "-C");
        git_word(&spelling->ask, spelling->path);
    }
    for (size_t i = 0; i < WORDS_MAX && verb->words[i].kind; i++)
        if (!spell(request, body, &verb->words[i], spelling))
            return false;
    spelling->ask.user = jsonv_text(body, "username");
    spelling->ask.password = jsonv_text(body, "password");
    return true;
}

// Runs the words of a verb on the body; false when it has replied.
static bool run_verb(struct httpd_request *request, const struct jsonv *body,
                     const struct git_verb *verb, struct sbx_result *ret_result)
{
    cleanup_free struct spelling *spelling = calloc(1, sizeof(*spelling));
    if (spelling)
        return spell_all(request, body, verb, spelling) &&
               git_run(request, &spelling->ask, ret_result);
    httpd_fail(request, 503, "memory is short");
    return false;
}

static struct jsonv *read_body(struct httpd_request *request)
{
    struct jsonv *body = NULL;
    struct sbx_error err;
    if (serve_body(request, &body, &err) < 0)
        serve_fail(request, &err);
    else if (!body)
        httpd_fail(request, 400, "path is required");
    return httpd_replied(request) ? NULL : body;
}

void toolbox_git_do(struct httpd_request *request)
{
    const struct git_verb *verb = httpd_route_data(request);
    cleanup_jsonv struct jsonv *body = read_body(request);
    struct sbx_result result = {0};
    if (!body || !run_verb(request, body, verb, &result))
        return;
    sbx_result_deinit(&result);
    httpd_reply(request, verb->status, NULL, NULL, 0);
}

// --- What is one command

#define W(word_text)                                                                               \
    {                                                                                              \
        .kind = WORD, .text = word_text                                                            \
    }
#define M(kind_name, option, name)                                                                 \
    {                                                                                              \
        .kind = kind_name, .text = option, .member = name                                          \
    }

const struct git_verb git_add = {200, true, {W("add"), W("--"), M(LIST, NULL, "files")}};
const struct git_verb git_init = {201,
                                  false,
                                  {W("init"), W("--quiet"), M(FLAG, "--bare", "bare"),
                                   M(MAYBE, "--initial-branch", "initial_branch"), W("--"),
                                   M(PLACE, NULL, NULL)}};
const struct git_verb git_branch = {
    201, true, {W("checkout"), W("-q"), W("-b"), M(TEXT, NULL, "name")}};
const struct git_verb git_branch_drop = {
    204, true, {W("branch"), W("-q"), W("-D"), W("--"), M(TEXT, NULL, "name")}};
const struct git_verb git_checkout = {
    200, true, {W("checkout"), W("-q"), M(TEXT, NULL, "branch"), W("--")}};
const struct git_verb git_reset = {200,
                                   true,
                                   {W("reset"), W("-q"), M(CHOICE, "--soft", "mode"),
                                    M(CHOICE, "--mixed", "mode"), M(CHOICE, "--hard", "mode"),
                                    M(CHOICE, "--merge", "mode"), M(CHOICE, "--keep", "mode"),
                                    M(MAYBE, NULL, "target"), W("--"), M(LIST, NULL, "files")}};
const struct git_verb git_restore = {
    200,
    true,
    {W("restore"), M(MAYBE, "--source", "source"), M(FLAG, "--staged", "staged"),
     M(FLAG, "--worktree", "worktree"), W("--"), M(LIST, NULL, "files")}};
const struct git_verb git_push = {200,
                                  true,
                                  {W("push"), W("-q"), M(FLAG, "--set-upstream", "set_upstream"),
                                   M(OR, "origin", "remote"), M(OR, "HEAD", "branch")}};
const struct git_verb git_pull = {
    200, true, {W("pull"), W("-q"), M(OR, "origin", "remote"), M(MAYBE, NULL, "branch")}};

// --- What is more than one, or needs variables

static const struct git_verb clone_words = {200,
                                            false,
                                            {W("clone"), W("-q"), M(MAYBE, "--branch", "branch"),
                                             M(NUMBER, "--depth", "depth"), W("--"),
                                             M(TEXT, NULL, "url"), M(PLACE, NULL, NULL)}};
static const struct git_verb pick_words = {
    200, true, {W("checkout"), W("-q"), M(TEXT, NULL, "commit_id"), W("--")}};

void toolbox_git_clone(struct httpd_request *request)
{
    static const struct sbx_pair unchecked = {"GIT_SSL_NO_VERIFY", "true"};
    cleanup_jsonv struct jsonv *body = read_body(request);
    cleanup_free struct spelling *spelling = calloc(1, sizeof(*spelling));
    struct sbx_result result = {0};
    if (!body || !spelling || !spell_all(request, body, &clone_words, spelling))
        return;
    if (jsonv_bool(body, "insecure_skip_tls", false)) {
        spelling->ask.env = &unchecked;
        spelling->ask.env_count = 1;
    }
    if (!git_run(request, &spelling->ask, &result))
        return;
    sbx_result_deinit(&result);
    if (jsonv_text(body, "commit_id")) {
        if (!run_verb(request, body, &pick_words, &result))
            return;
        sbx_result_deinit(&result);
    }
    httpd_reply(request, 200, NULL, NULL, 0);
}

static const struct git_verb commit_words = {200,
                                             true,
                                             {W("commit"), W("-q"),
                                              M(FLAG, "--allow-empty", "allow_empty"),
                                              M(TEXT, "--message", "message")}};
static const struct git_verb head_words = {200, true, {W("rev-parse"), W("HEAD")}};

static bool commit(struct httpd_request *request, const struct jsonv *body)
{
    const char *author = jsonv_text(body, "author"), *email = jsonv_text(body, "email");
    const struct sbx_pair env[] = {{"GIT_AUTHOR_NAME", author},
                                   {"GIT_AUTHOR_EMAIL", email},
                                   {"GIT_COMMITTER_NAME", author},
                                   {"GIT_COMMITTER_EMAIL", email}};
    cleanup_free struct spelling *spelling = calloc(1, sizeof(*spelling));
    struct sbx_result result = {0};
    if (!author || !email) {
        httpd_fail(request, 400, "author and email are required");
        return false;
    }
    if (!spelling || !spell_all(request, body, &commit_words, spelling))
        return false;
    spelling->ask.env = env;
    spelling->ask.env_count = ARRAY_SIZE(env);
    if (!git_run(request, &spelling->ask, &result))
        return false;
    sbx_result_deinit(&result);
    return true;
}

void toolbox_git_commit(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = read_body(request);
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    if (!body || !commit(request, body) || !run_verb(request, body, &head_words, &result))
        return;
    json_begin_object(&json);
    json_key(&json, "hash");
    json_bytes(&json, result.out, strcspn(result.out, "\n"));
    json_end_object(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

static const struct git_verb drop_remote_words = {
    200, true, {W("remote"), W("remove"), M(TEXT, NULL, "name")}};
static const struct git_verb add_remote_words = {201,
                                                 true,
                                                 {W("remote"), W("add"),
                                                  M(FLAG, "--fetch", "fetch"), W("--"),
                                                  M(TEXT, NULL, "name"), M(TEXT, NULL, "url")}};

void toolbox_git_add_remote(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = read_body(request);
    cleanup_free struct spelling *spelling = calloc(1, sizeof(*spelling));
    struct sbx_result result = {0};
    if (!body || !spelling || !spell_all(request, body, &drop_remote_words, spelling))
        return;
    spelling->ask.tolerant = true; // it need not be there
    if (jsonv_bool(body, "overwrite", false)) {
        if (!git_run(request, &spelling->ask, &result))
            return;
        sbx_result_deinit(&result);
    }
    if (!run_verb(request, body, &add_remote_words, &result))
        return;
    sbx_result_deinit(&result);
    httpd_reply(request, 201, NULL, NULL, 0);
}

// --- Settings

bool git_scope(struct httpd_request *request, const char *scope, const char *path,
               struct git_ask *ask, char space[TRANSFER_PATH_MAX])
{
    git_word(ask, "git");
    bool local = scope && strcmp(scope, "local") == 0;
    if (local) {
        if (!git_path(request, path, space))
            return false;
        git_word(ask, "-C");
        git_word(ask, space);
    }
    git_word(ask, "config");
    git_word(ask, local                                   ? "--local"
                  : scope && strcmp(scope, "system") == 0 ? "--system"
                                                          : "--global");
    return true;
}

static bool set_config(struct httpd_request *request, const struct jsonv *body, const char *key,
                       const char *value)
{
    char space[TRANSFER_PATH_MAX];
    struct git_ask ask = {0};
    struct sbx_result result = {0};
    if (!key || !value) {
        httpd_fail(request, 400, "a name and its value are required");
        return false;
    }
    if (git_is_option(request, "key", key) || git_is_option(request, "value", value) ||
        !git_scope(request, jsonv_text(body, "scope"), jsonv_text(body, "path"), &ask, space))
        return false;
    git_word(&ask, key);
    git_word(&ask, value);
    if (!git_run(request, &ask, &result))
        return false;
    sbx_result_deinit(&result);
    return true;
}

void toolbox_git_set_config(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = read_body(request);
    if (body && set_config(request, body, jsonv_text(body, "key"), jsonv_text(body, "value")))
        httpd_reply(request, 200, NULL, NULL, 0);
}

void toolbox_git_set_user(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = read_body(request);
    if (body && set_config(request, body, "user.name", jsonv_text(body, "name")) &&
        set_config(request, body, "user.email", jsonv_text(body, "email")))
        httpd_reply(request, 200, NULL, NULL, 0);
}

// Kept where git keeps such: in ~/.git-credentials of the sandbox.
void toolbox_git_credentials(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = read_body(request);
    cleanup_buf struct buf text = BUF_INIT(16 * 1024);
    struct git_ask ask = {.words = {"git", "credential", "approve"}, .count = 3};
    struct sbx_result result = {0};
    const char *user = jsonv_text(body, "username"), *password = jsonv_text(body, "password");
    const char *host = jsonv_text(body, "host"), *protocol = jsonv_text(body, "protocol");
    if (!body)
        return;
    buf_printf(&text, "protocol=%s\nhost=%s\nusername=%s\npassword=%s\n\n",
               protocol ? protocol : "https", host ? host : "github.com", user ? user : "",
               password ? password : "");
    ask.input = buf_text(&text);
    if (!user || !password || !ask.input) {
        httpd_fail(request, 400, "username and password are required");
        return;
    }
    if (!set_config(request, body, "credential.helper", "store") ||
        !git_run(request, &ask, &result))
        return;
    sbx_result_deinit(&result);
    httpd_reply(request, 200, NULL, NULL, 0);
}
