// SPDX-License-Identifier: Apache-2.0
// SHA-1 (RFC 3174), only because the WebSocket handshake wants it. Layer: httpd.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20
#define SHA1_INPUT_MAX 119 // two blocks

void sha1(const void *data, size_t size, uint8_t ret_digest[SHA1_SIZE]);
