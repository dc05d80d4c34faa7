// SPDX-License-Identifier: Apache-2.0
// The tables of routes, and the choice between them. Layer: serve.
#pragma once

#include "serve/serve.h"

// What our envd can do, in terms of the real one: clients choose features by it. 0.6.2 would
// promise extended attributes of files.
#define E2B_ENVD_VERSION "0.6.1"
#define E2B_ENVD_PORT 49983
#define E2B_CODE_PORT 49999 // of e2b-code-interpreter

extern const struct httpd_site e2b_api_site, e2b_open_site, e2b_envd_site, e2b_code_site,
    daytona_api_site, daytona_open_site, toolbox_site, proxy_site, admin_site;

// A line each: API, method, path, and "served" or why not.
int sites_print(void); // 0

// By Host, headers and path.
const struct httpd_site *sites_select(struct httpd_request *request);

// The sandbox and port that Host or headers of the request name; false if they name none.
bool sites_target(const struct httpd_request *request, char ret_id[SHEET_ID_SIZE],
                  unsigned *ret_port);
