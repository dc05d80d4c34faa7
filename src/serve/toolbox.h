// SPDX-License-Identifier: Apache-2.0
// What Daytona's clients find in a sandbox: commands, sessions, terminals, files. Layer: serve.
#pragma once

#include "serve/serve.h"

// The sandbox of the request, borrowed from it; found by the site's authorize.
struct place *toolbox_box(const struct httpd_request *request);

/*
 * Runs a program of the sandbox's own to its end, with the sandbox's variables and a ceiling for
 * its output. An error of the call, not of the program; one that says that the sandbox is gone has
 * been taken note of.
 */
int toolbox_run(struct httpd_request *request, const struct sbx_exec *exec, int64_t timeout_ms,
                struct sbx_result *ret_result, struct sbx_error *err);

void toolbox_execute(struct httpd_request *request);
// The body of an execute that names a program instead of a line for a shell.
void toolbox_program(struct httpd_request *request, const struct jsonv *body);
void toolbox_code_run(struct httpd_request *request);
void toolbox_metrics(struct httpd_request *request);

void toolbox_session_create(struct httpd_request *request);
void toolbox_session_list(struct httpd_request *request);
void toolbox_session_show(struct httpd_request *request);
void toolbox_session_delete(struct httpd_request *request);
void toolbox_session_exec(struct httpd_request *request);
void toolbox_session_command(struct httpd_request *request);
void toolbox_session_logs(struct httpd_request *request);
void toolbox_session_input(struct httpd_request *request);

void toolbox_entrypoint(struct httpd_request *request);
void toolbox_entrypoint_logs(struct httpd_request *request);

void toolbox_context_create(struct httpd_request *request);
void toolbox_context_list(struct httpd_request *request);
void toolbox_context_delete(struct httpd_request *request);
void toolbox_context_execute(struct httpd_request *request);

void toolbox_env(struct httpd_request *request);
void toolbox_ports(struct httpd_request *request);
void toolbox_port_in_use(struct httpd_request *request);

void toolbox_pty_create(struct httpd_request *request);
void toolbox_pty_list(struct httpd_request *request);
void toolbox_pty_show(struct httpd_request *request);
void toolbox_pty_delete(struct httpd_request *request);
void toolbox_pty_resize(struct httpd_request *request);
void toolbox_pty_connect(struct httpd_request *request);
void toolbox_pty_create_connect(struct httpd_request *request);

void toolbox_files_list(struct httpd_request *request);
void toolbox_files_info(struct httpd_request *request);
void toolbox_files_delete(struct httpd_request *request);
void toolbox_files_folder(struct httpd_request *request);
void toolbox_files_move(struct httpd_request *request);
void toolbox_files_permissions(struct httpd_request *request);
void toolbox_files_find(struct httpd_request *request);
void toolbox_files_search(struct httpd_request *request);
void toolbox_files_replace(struct httpd_request *request);
void toolbox_files_download(struct httpd_request *request);
void toolbox_files_bulk_download(struct httpd_request *request);
void toolbox_files_upload_begin(struct httpd_request *request);
void toolbox_files_upload(struct httpd_request *request);
