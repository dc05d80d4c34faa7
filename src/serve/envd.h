// SPDX-License-Identifier: Apache-2.0
// What E2B's clients find at port 49983 of a sandbox. Layer: serve.
#pragma once

#include "serve/connect.h"
#include "serve/serve.h"

// The sandbox of the request, borrowed from it; found by the site's authorize.
struct place *envd_box(const struct httpd_request *request);

// What the sites of a sandbox's ports share.
bool envd_authorize(struct httpd_request *request);
void envd_fail(struct httpd_request *request, unsigned status, const char *message);

// Whether the request has the token of the sandbox's other ports.
bool envd_shows_traffic_token(struct httpd_request *request, const struct place *box);

// Lets a paused one go on where it was made for that; false when it has replied.
bool envd_wake(struct httpd_request *request, struct place *box);

// The user that the client names, or NULL for the sandbox's default.
const char *envd_user(struct httpd_request *request, char ret_name[64]);

// Rows of the services, one function a method.
void envd_process_list(struct httpd_request *request);
void envd_process_start(struct httpd_request *request);
void envd_process_connect(struct httpd_request *request);
void envd_process_update(struct httpd_request *request);
void envd_process_send_input(struct httpd_request *request);
void envd_process_stream_input_begin(struct httpd_request *request);
void envd_process_stream_input(struct httpd_request *request);
void envd_process_send_signal(struct httpd_request *request);
void envd_process_close_stdin(struct httpd_request *request);

void envd_fs_stat(struct httpd_request *request);
void envd_fs_make_dir(struct httpd_request *request);
void envd_fs_move(struct httpd_request *request);
void envd_fs_remove(struct httpd_request *request);
void envd_fs_list_dir(struct httpd_request *request);
void envd_fs_watch(struct httpd_request *request);
void envd_fs_create_watcher(struct httpd_request *request);
void envd_fs_watcher_events(struct httpd_request *request);
void envd_fs_remove_watcher(struct httpd_request *request);
