// SPDX-License-Identifier: Apache-2.0
// SHA-256 after FIPS 180-4, with the processor's own instructions where it has them. Layer: base.
#include "base/sha256.h"

#include <string.h>

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void schedule(const uint8_t *block, uint32_t w[64])
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void compress_plain(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], v[8];
    schedule(block, w);
    memcpy(v, state, sizeof(v));
// Unrolled, so that a to h stay in registers: instead of moving all eight, their places turn.
#define V(n) v[((n)-i) & 7]
#pragma GCC unroll 64
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(V(4), 6) ^ rotate(V(4), 11) ^ rotate(V(4), 25);
        uint32_t t1 = V(7) + s1 + ((V(4) & V(5)) ^ (~V(4) & V(6))) + k[i] + w[i];
        uint32_t s0 = rotate(V(0), 2) ^ rotate(V(0), 13) ^ rotate(V(0), 22);
        V(3) += t1;
        V(7) = t1 + s0 + ((V(0) & V(1)) ^ (V(0) & V(2)) ^ (V(1) & V(2)));
    }
#undef V
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(SHA256_PLAIN)
#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))

// CPUID leaf 7: EBX bit 29 is SHA; leaf 1: ECX bit 19 is SSE4.1.
static bool has_sha(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 19))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & 1u << 29;
}

/*
 * The instructions keep the state as two registers, (a,b,e,f) and (c,d,g,h) from the highest lane
 * down; each sha256rnds2 does two rounds. Intel SDM, "SHA extensions".
 */
WITH_SHA static void compress_sha(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    for (; blocks > 0; blocks--, data += 64) {
        __m128i w[4], abef_before = abef, cdgh_before = cdgh;
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)data + i), swap);
        for (int i = 0; i < 16; i++) {
            __m128i *now = &w[i % 4];
            __m128i sum =
                _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)(const void *)k + i));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            if (i >= 12)
                continue;
            __m128i last = w[(i + 3) % 4];
            __m128i next = _mm_sha256msg1_epu32(*now, w[(i + 1) % 4]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[(i + 2) % 4], 4));
            *now = _mm_sha256msg2_epu32(next, last);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    uint32_t out[8];
    _mm_storeu_si128((__m128i *)(void *)out, abef);
    _mm_storeu_si128((__m128i *)(void *)(out + 4), cdgh);
    const uint32_t sorted[8] = {out[3], out[2], out[7], out[6], out[1], out[0], out[5], out[4]};
    memcpy(state, sorted, sizeof(sorted));
}
#else
static bool has_sha(void)
{
    return false;
}

static void compress_sha(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    (void)state, (void)data, (void)blocks;
}
#endif

static void compress(struct sha256 *hash, const uint8_t *data, size_t blocks)
{
    if (hash->fast) {
        compress_sha(hash->state, data, blocks);
        return;
    }
    for (; blocks > 0; blocks--, data += 64)
        compress_plain(hash->state, data);
}

void sha256_init(struct sha256 *hash)
{
    *hash = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                      0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                            .fast = has_sha()};
}

void sha256_update(struct sha256 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t used = hash->size % 64;
    hash->size += size;
    if (used > 0) {
        size_t part = size < 64 - used ? size : 64 - used;
        memcpy(hash->block + used, bytes, part);
        bytes += part;
        size -= part;
        if (used + part < 64)
            return;
        compress(hash, hash->block, 1);
    }
    if (size >= 64)
        compress(hash, bytes, size / 64);
    memcpy(hash->block, bytes + size / 64 * 64, size % 64);
}

void sha256_final(struct sha256 *hash, uint8_t ret_digest[SHA256_SIZE])
{
    uint64_t bits = hash->size * 8;
    uint8_t padding[72] = {0x80};
    size_t used = hash->size % 64;
    size_t zeros = (used < 56 ? 56 : 120) - used;
    for (int i = 0; i < 8; i++)
        padding[zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_update(hash, padding, zeros + 8);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++)
            ret_digest[4 * i + j] = (uint8_t)(hash->state[i] >> (24 - 8 * j));
}

void sha256_hex(const uint8_t digest[SHA256_SIZE], char ret_text[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        ret_text[2 * i] = digits[digest[i] >> 4];
        ret_text[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_text[2 * SHA256_SIZE] = '\0';
}
