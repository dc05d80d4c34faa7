// SPDX-License-Identifier: Apache-2.0
// SHA-1 (FIPS 180-4), which Metaflow names blobs by and WebSocket greets with. Not for anything
// that must resist forgery. Layer: base.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20
#define SHA1_HEX_SIZE 41 // with NUL

struct sha1 {
    uint32_t state[5];
    uint64_t size; // bytes so far
    uint8_t block[64];
};

void sha1_init(struct sha1 *hash);
void sha1_update(struct sha1 *hash, const void *data, size_t size);
// Both end it.
void sha1_end(struct sha1 *hash, uint8_t ret_digest[SHA1_SIZE]);
void sha1_hex(struct sha1 *hash, char ret_text[SHA1_HEX_SIZE]);
