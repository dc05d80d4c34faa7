// SPDX-License-Identifier: Apache-2.0
/*
 * API keys: 160 random bits each, shown once, kept as SHA-256 (enough for keys that nobody can
 * guess) in one file of the state directory, one a line: id, hash, time, name. The file is read
 * again when it changes, so a revoked key stops working at once. Layer: serve.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "base/sha256.h"

#define KEY_SIZE 45 // "e2b_" and 40 hex digits, as old E2B clients demand, with NUL
#define KEY_ID_SIZE 16
#define KEY_NAME_SIZE 64
#define KEYS_MAX 1000

struct key {
    char id[KEY_ID_SIZE];
    char hash[SHA256_HEX_SIZE];
    char name[KEY_NAME_SIZE];
    int64_t created_ms;
};

struct keys {
    int dir_fd; // borrowed
    pthread_mutex_t lock;
    struct key *items; // owned
    size_t count;
    struct timespec changed;
};

void keys_init(struct keys *keys, int dir_fd);
void keys_deinit(struct keys *keys);
int keys_load(struct keys *keys, struct sbx_error *err);
int keys_create(struct keys *keys, const char *name, char ret_key[KEY_SIZE], struct key *ret_row,
                struct sbx_error *err);
int keys_revoke(struct keys *keys, const char *id, struct sbx_error *err);

// The id of the key, or false. Takes as long whichever key it is.
bool keys_check(struct keys *keys, const char *text, char ret_id[KEY_ID_SIZE]);

// HMAC-SHA256 (RFC 2104), keys of up to 64 bytes. keys_sign: of "PURPOSE:TEXT", as hex.
#define KEYS_SIGNED_MAX 512
void keys_hmac(const void *key, size_t key_size, const void *text, size_t size,
               uint8_t ret_digest[SHA256_SIZE]);
void keys_sign(const uint8_t secret[SHA256_SIZE], const char *purpose, const char *text,
               char ret_hex[SHA256_HEX_SIZE]);
bool keys_equal(const char *a, const char *b); // in constant time
