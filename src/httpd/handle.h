// SPDX-License-Identifier: Apache-2.0
// The callbacks that libmicrohttpd drives a request with. Layer: httpd.
#pragma once

#include "httpd/request.h"

void *handle_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result handle_access(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **con_cls);
void handle_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode why);
