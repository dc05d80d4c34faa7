// SPDX-License-Identifier: Apache-2.0
/*
 * Daytona's git: each request is one command of the sandbox's own git. Names and passwords are
 * handed to it in variables, never as arguments, which every process of the sandbox can read, and
 * never in an address, which git would keep. Layer: serve.
 */
#pragma once

#include "serve/toolbox.h"
#include "serve/transfer.h"

#define GIT_WORDS_MAX 1024

struct git_ask {
    const char *words[GIT_WORDS_MAX]; // texts are borrowed
    size_t count;
    const char *user, *password; // for the remote; NULL: none
    const struct sbx_pair *env;  // besides
    size_t env_count;
    const char *input;
    bool tolerant; // a status that is not zero is no failure
};

void git_word(struct git_ask *ask, const char *word);

// Runs it; false when it has replied, with a status that tells what git has complained of.
bool git_run(struct httpd_request *request, const struct git_ask *ask,
             struct sbx_result *ret_result);

// The absolute path of a repository as the client names it; false when it has replied.
bool git_path(struct httpd_request *request, const char *asked, char ret_path[TRANSFER_PATH_MAX]);

// Begins `git config` in a scope: "local" (to the repository), "system" or else global. False when
// it has replied.
bool git_scope(struct httpd_request *request, const char *scope, const char *path,
               struct git_ask *ask, char space[TRANSFER_PATH_MAX]);

// Whether git would take a client's word for an option; then it has replied.
bool git_is_option(struct httpd_request *request, const char *member, const char *word);

// Requests that are one command and have nothing to tell: data of their route.
struct git_verb;
extern const struct git_verb git_add, git_init, git_branch, git_branch_drop, git_checkout,
    git_reset, git_restore, git_push, git_pull;

void toolbox_git_do(struct httpd_request *request);
void toolbox_git_clone(struct httpd_request *request);
void toolbox_git_commit(struct httpd_request *request);
void toolbox_git_add_remote(struct httpd_request *request);
void toolbox_git_set_config(struct httpd_request *request);
void toolbox_git_set_user(struct httpd_request *request);
void toolbox_git_credentials(struct httpd_request *request);
void toolbox_git_status(struct httpd_request *request);
void toolbox_git_history(struct httpd_request *request);
void toolbox_git_branches(struct httpd_request *request);
void toolbox_git_remotes(struct httpd_request *request);
void toolbox_git_config(struct httpd_request *request);
