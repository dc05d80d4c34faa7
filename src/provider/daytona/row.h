// SPDX-License-Identifier: Apache-2.0
// What is known of the provider `daytona` without its module. Layer: provider.
#pragma once

#include <sandboxes/provider.h>

#define DAYTONA_NAME "daytona"
#define DAYTONA_DESCRIPTION "Daytona's cloud, or a server that speaks its protocol"
#define DAYTONA_CAPABILITIES                                                                       \
    (SBX_CAP_LABELS | SBX_CAP_STREAMING | SBX_CAP_STDERR | SBX_CAP_STDIN | SBX_CAP_PTY |           \
     SBX_CAP_SIGNAL | SBX_CAP_BACKGROUND | SBX_CAP_FILES | SBX_CAP_LIMITS | SBX_CAP_NETWORK |      \
     SBX_CAP_PORTS | SBX_CAP_METRICS | SBX_CAP_PAUSE | SBX_CAP_PERSISTENT)
