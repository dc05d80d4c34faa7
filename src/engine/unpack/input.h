// SPDX-License-Identifier: Apache-2.0
/*
 * The archive's bytes, read and decompressed by a thread of their own, ahead of who makes files of
 * them: the two halves of the work take a core each. Layer: engine.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sha256.h"

struct archive;

#define INPUT_PIECE (256u << 10)
#define INPUT_PIECES 8

struct input {
    int fd;
    bool hashed;               // the bytes of fd as they are; else whoever sends them does that
    uint64_t most;             // bytes, decompressed, that nothing accounts for
    uint64_t given, accounted; // the reader's
    struct sha256 hash;
    char *block; // as it was read
    struct {
        char *data;
        size_t size;
    } pieces[INPUT_PIECES];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Of the lock. A piece belongs to the thread from its being taken until its being made.
    bool allowed, stopped, ended, held; // held: the reader works on a piece
    unsigned made, taken;
    int sys_errno; // of a failed read; the thread's
    char failure[160];
};

/*
 * most: how many bytes may be read beyond what input_account() was told. Starts the thread, which
 * touches nothing before input_allow(): meanwhile this process confines itself and it. The struct
 * must outlive the thread, which only input_finish() waits for.
 */
int input_start(struct input *input, int fd, bool hashed, uint64_t most, struct sbx_error *err);
void input_allow(struct input *input);

// So many of the bytes that were read have become something.
void input_account(struct input *input, uint64_t size);

// QUOTA when more was read than that. libarchive, which then was given no more, may say otherwise.
int input_check(const struct input *input, struct sbx_error *err);

// Opens the archive on what the thread makes. ARCHIVE_OK or an error of libarchive's.
int input_open(struct input *input, struct archive *archive);

// Reads what is left, but decompresses it no more, and waits for the thread. IO.
int input_finish(struct input *input, char ret_digest[SHA256_HEX_SIZE], struct sbx_error *err);

// After input_finish() only; a process that ends need not.
void input_free(struct input *input);
