// SPDX-License-Identifier: Apache-2.0
// What a registry answers to a request without rights (RFC 9110, section 11.6.1). Layer: registry.
#pragma once

#include <stdbool.h>

struct challenge {
    bool basic, bearer;
    char realm[1024]; // of bearer: where tokens are given
    char service[256];
    char scope[512];
};

// The first challenge of a kind we know; false when there is none or it is too long.
bool challenge_parse(const char *header, struct challenge *ret_challenge);
