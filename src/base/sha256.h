// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4). Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65 // with NUL

struct sha256 {
    uint32_t state[8];
    uint64_t size; // bytes so far
    uint8_t block[64];
    bool fast; // the processor has instructions for it
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t size);
void sha256_final(struct sha256 *hash, uint8_t ret_digest[SHA256_SIZE]);
void sha256_hex(const uint8_t digest[SHA256_SIZE], char ret_text[SHA256_HEX_SIZE]);
