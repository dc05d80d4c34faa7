// SPDX-License-Identifier: Apache-2.0
// The dashboard's pages and its API. Layer: serve.
#pragma once

#include "httpd/httpd.h"

extern const struct httpd_site dashboard_site, dashboard_api_site;
