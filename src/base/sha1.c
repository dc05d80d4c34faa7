// SPDX-License-Identifier: Apache-2.0
// SHA-1. Layer: base.
#include "base/sha1.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void schedule(const uint8_t block[64], uint32_t words[80])
{
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
}

static void take_block(struct sha1 *hash, const uint8_t block[64])
{
    uint32_t words[80], s[5];
    schedule(block, words);
    memcpy(s, hash->state, sizeof(s));
    for (int i = 0; i < 80; i++) {
        uint32_t next = rotate(s[0], 5) + mix(i, s[1], s[2], s[3]) + s[4] + words[i];
        s[4] = s[3];
        s[3] = s[2];
        s[2] = rotate(s[1], 30);
        s[1] = s[0];
        s[0] = next;
    }
    for (int i = 0; i < 5; i++)
        hash->state[i] += s[i];
}

void sha1_init(struct sha1 *hash)
{
    *hash = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha1_update(struct sha1 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t filled = hash->size % 64;
    hash->size += size;
    while (size > 0) {
        size_t part = 64 - filled < size ? 64 - filled : size;
        if (part == 64) {
            take_block(hash, bytes);
        } else {
            memcpy(hash->block + filled, bytes, part);
            if (filled + part == 64)
                take_block(hash, hash->block);
        }
        filled = (filled + part) % 64;
        bytes += part;
        size -= part;
    }
}

void sha1_end(struct sha1 *hash, uint8_t ret_digest[SHA1_SIZE])
{
    static const uint8_t padding[64] = {0x80};
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(hash->size * 8 >> (56 - 8 * i));
    sha1_update(hash, padding, 64 - (hash->size + 8) % 64);
    sha1_update(hash, length, 8);
    for (int i = 0; i < SHA1_SIZE; i++)
        ret_digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha1_hex(struct sha1 *hash, char ret_text[SHA1_HEX_SIZE])
{
    uint8_t digest[SHA1_SIZE];
    sha1_end(hash, digest);
    for (int i = 0; i < SHA1_SIZE; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}
