// SPDX-License-Identifier: Apache-2.0
// The WebSockets of a server. Layer: httpd.
#pragma once

#include "httpd/request.h"

void ws_list_shutdown(struct httpd *server);
