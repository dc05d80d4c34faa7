// SPDX-License-Identifier: Apache-2.0
// Daytona's git: what a repository looks like. Layer: serve.
#include "serve/toolbox_git.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX (32 * 1024 * 1024)

// Runs git in the repository of the query; false when it has replied.
static bool ask_git(struct httpd_request *request, const char *const *words, size_t count,
                    bool tolerant, struct sbx_result *ret_result)
{
    char path[TRANSFER_PATH_MAX];
    if (!git_path(request, httpd_query(request, "path"), path))
        return false;
    struct git_ask ask = {.words = {"git", "-C", path}, .count = 3, .tolerant = tolerant};
    for (size_t i = 0; i < count; i++)
        git_word(&ask, words[i]);
    return git_run(request, &ask, ret_result);
}

#define ASK(request, tolerant, result, ...)                                                        \
    ask_git(request, (const char *const[]){__VA_ARGS__},                                           \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), tolerant, result)

// --- Status (git-status(1), porcelain version 2 with NUL)

static const char *status_name(char letter)
{
    static const struct {
        char letter;
        const char *name;
    } rows[] = {
        {'M', "Modified"},
        {'T', "Modified"},
        {'A', "Added"},
        {'D', "Deleted"},
        {'R', "Renamed"},
        {'C', "Copied"},
        {'U', "Updated but unmerged"},
        {'?', "Untracked"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].letter == letter)
            return rows[i].name;
    return "Unmodified";
}

struct head {
    char name[256], upstream[256];
    int64_t ahead, behind;
    bool has_counts;
};

static void read_header(const char *line, struct head *head)
{
    if (strncmp(line, "# branch.head ", 14) == 0)
        snprintf(head->name, sizeof(head->name), "%s", line + 14);
    else if (strncmp(line, "# branch.upstream ", 18) == 0)
        snprintf(head->upstream, sizeof(head->upstream), "%s", line + 18);
    else if (strncmp(line, "# branch.ab +", 13) == 0) {
        const char *minus = strstr(line, " -");
        head->ahead = strtoll(line + 13, NULL, 10);
        head->behind = minus ? strtoll(minus + 2, NULL, 10) : 0;
        head->has_counts = true;
    }
}

// The path behind so many words of a line.
static const char *behind(const char *line, int words)
{
    while (words-- > 0) {
        line += strcspn(line, " ");
        line += *line == ' ';
    }
    return line;
}

static void put_file(struct json *json, const char *name, const char *old, char staging,
                     char worktree)
{
    json_begin_object(json);
    json_put_text(json, "name", name);
    json_put_text(json, "extra", old);
    json_put_text(json, "staging", status_name(staging));
    json_put_text(json, "worktree", status_name(worktree));
    json_end_object(json);
}

// One entry; the bytes of a second one when it has taken that too.
static size_t put_entry(struct json *json, const char *line, const char *next)
{
    int words = line[0] == '1' ? 8 : line[0] == '2' ? 9 : line[0] == 'u' ? 10 : 0;
    if (line[0] == '?')
        put_file(json, behind(line, 1), "", '?', '?');
    else if (words && strlen(line) > 4)
        put_file(json, behind(line, words), line[0] == '2' ? next : "",
                 line[0] == 'u' ? 'U' : line[2], line[0] == 'u' ? 'U' : line[3]);
    return line[0] == '2' ? strlen(next) + 1 : 0;
}

static void put_head(struct json *json, const struct head *head)
{
    bool detached = strcmp(head->name, "(detached)") == 0;
    json_put_text(json, "currentBranch", detached ? "" : head->name);
    json_put_bool(json, "detached", detached);
    json_put_text(json, "upstream", head->upstream);
    json_put_bool(json, "branchPublished", head->has_counts);
    json_put_int(json, "ahead", head->ahead);
    json_put_int(json, "behind", head->behind);
}

void toolbox_git_status(struct httpd_request *request)
{
    struct sbx_result result = {0};
    struct head head = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!ASK(request, false, &result, "status", "--porcelain=v2", "--branch", "-z",
             "--untracked-files=all"))
        return;
    json_begin_object(&json);
    json_key(&json, "fileStatus");
    json_begin_array(&json);
    for (size_t at = 0; at < result.out_size;) {
        const char *line = result.out + at;
        at += strlen(line) + 1;
        if (line[0] == '#')
            read_header(line, &head);
        else
            at += put_entry(&json, line, at < result.out_size ? result.out + at : "");
    }
    json_end_array(&json);
    put_head(&json, &head);
    json_end_object(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

// --- History

static void put_commit(struct json *json, char *record)
{
    static const char *const members[] = {"hash", "author", "email", "timestamp", "message"};
    json_begin_object(json);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        char *field = i + 1 < ARRAY_SIZE(members) ? strsep(&record, "\x1f") : record;
        json_put_text(json, members[i], field ? field : "");
    }
    json_end_object(json);
}

void toolbox_git_history(struct httpd_request *request)
{
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!ASK(request, false, &result, "log", "-z", "--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%B"))
        return;
    json_begin_array(&json);
    for (size_t at = 0, next; at < result.out_size; at = next) {
        next = at + strlen(result.out + at) + 1; // before it is cut
        put_commit(&json, result.out + at);
    }
    json_end_array(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

// --- Branches, remotes, settings

static void put_lines(struct json *json, char *text)
{
    for (char *line; (line = strsep(&text, "\n"));)
        if (line[0])
            json_text(json, line);
}

void toolbox_git_branches(struct httpd_request *request)
{
    struct sbx_result names = {0}, current = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!ASK(request, false, &names, "for-each-ref", "--format=%(refname:short)", "refs/heads"))
        return;
    // None when HEAD is detached.
    if (!ASK(request, true, &current, "symbolic-ref", "--quiet", "--short", "HEAD")) {
        sbx_result_deinit(&names);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "branches");
    json_begin_array(&json);
    put_lines(&json, names.out);
    json_end_array(&json);
    json_key(&json, "current");
    json_bytes(&json, current.out ? current.out : "", current.out ? strcspn(current.out, "\n") : 0);
    json_end_object(&json);
    sbx_result_deinit(&names);
    sbx_result_deinit(&current);
    httpd_reply_json(request, 200, &buf);
}

// "remote.NAME.url LF URL NUL"
static void put_remote(struct json *json, char *record)
{
    char *url = strchr(record, '\n');
    if (!url || strncmp(record, "remote.", 7) != 0 || url - record < 12)
        return;
    *url++ = '\0';
    record[strlen(record) - 4] = '\0';
    json_begin_object(json);
    json_put_text(json, "name", record + 7);
    json_put_text(json, "url", url);
    json_end_object(json);
}

void toolbox_git_remotes(struct httpd_request *request)
{
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    // Status 1 when there is none; a path that is no repository is told by the first question.
    if (!ASK(request, false, &result, "rev-parse", "--git-dir"))
        return;
    sbx_result_deinit(&result);
    if (!ASK(request, true, &result, "config", "-z", "--get-regexp", "^remote\\..*\\.url$"))
        return;
    json_begin_object(&json);
    json_key(&json, "remotes");
    json_begin_array(&json);
    for (size_t at = 0, next; at < result.out_size; at = next) {
        next = at + strlen(result.out + at) + 1;
        put_remote(&json, result.out + at);
    }
    json_end_array(&json);
    json_end_object(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_git_config(struct httpd_request *request)
{
    const char *key = httpd_query(request, "key");
    char space[TRANSFER_PATH_MAX];
    struct git_ask ask = {.tolerant = true};
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!key || !key[0]) {
        httpd_fail(request, 400, "key is required");
        return;
    }
    if (!git_scope(request, httpd_query(request, "scope"), httpd_query(request, "path"), &ask,
                   space))
        return;
    git_word(&ask, "--get");
    git_word(&ask, "--");
    git_word(&ask, key);
    if (!git_run(request, &ask, &result))
        return;
    json_begin_object(&json);
    json_key(&json, "value");
    if (result.outcome.exit_code == 0)
        json_bytes(&json, result.out, strcspn(result.out, "\n"));
    else
        json_null(&json);
    json_end_object(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}
