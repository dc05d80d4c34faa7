// SPDX-License-Identifier: Apache-2.0
// SHA-1 of short texts. Layer: httpd.
#include "httpd/sha1.h"

#include <string.h>

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void block(uint32_t state[5], const uint8_t *data)
{
    uint32_t words[80], s[5];
    for (unsigned i = 0; i < 16; i++)
        words[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
                   (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
    for (unsigned i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    memcpy(s, state, sizeof(s));
    for (unsigned i = 0; i < 80; i++) {
        uint32_t next = rotate(s[0], 5) + mix(i, s[1], s[2], s[3]) + s[4] + words[i];
        s[4] = s[3];
        s[3] = s[2];
        s[2] = rotate(s[1], 30);
        s[1] = s[0];
        s[0] = next;
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += s[i];
}

void sha1(const void *data, size_t size, uint8_t ret_digest[SHA1_SIZE])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[128] = {0};
    if (size > SHA1_INPUT_MAX)
        size = SHA1_INPUT_MAX;
    memcpy(padded, data, size);
    padded[size] = 0x80;
    size_t blocks = size + 9 > 64 ? 2 : 1;
    padded[64 * blocks - 2] = (uint8_t)(size * 8 >> 8);
    padded[64 * blocks - 1] = (uint8_t)(size * 8);
    for (size_t i = 0; i < blocks; i++)
        block(state, padded + 64 * i);
    for (unsigned i = 0; i < SHA1_SIZE; i++)
        ret_digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
