// SPDX-License-Identifier: Apache-2.0
// Reading and decompressing ahead. Layer: engine.
#include "engine/unpack/input.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BLOCK (1u << 20)

static la_ssize_t read_block(struct archive *archive, void *payload, const void **ret_data)
{
    struct input *input = payload;
    ssize_t got;
    do
        got = read(input->fd, input->block, BLOCK);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        input->sys_errno = errno;
        if (archive)
            archive_set_error(archive, errno, "reading the file failed");
        return -1;
    }
    if (input->hashed)
        sha256_update(&input->hash, input->block, (size_t)got);
    *ret_data = input->block;
    return got;
}

// A piece that is free; NULL when no more are wanted.
static char *begin_piece(struct input *input, size_t *ret_index)
{
    pthread_mutex_lock(&input->lock);
    while (!input->stopped && input->made - input->taken == INPUT_PIECES)
        pthread_cond_wait(&input->changed, &input->lock);
    *ret_index = input->made % INPUT_PIECES;
    char *data = input->stopped ? NULL : input->pieces[*ret_index].data;
    pthread_mutex_unlock(&input->lock);
    return data;
}

static void end_piece(struct input *input, size_t index, size_t size)
{
    pthread_mutex_lock(&input->lock);
    input->pieces[index].size = size;
    input->made++;
    pthread_cond_signal(&input->changed);
    pthread_mutex_unlock(&input->lock);
}

struct filling {
    size_t index, used;
    char *data; // NULL: no piece is begun
};

// False when no more are wanted.
static bool add_bytes(struct input *input, struct filling *filling, const char *data, size_t size)
{
    while (size > 0) {
        if (!filling->data && !(filling->data = begin_piece(input, &filling->index)))
            return false;
        size_t room = INPUT_PIECE - filling->used, part = size < room ? size : room;
        memcpy(filling->data + filling->used, data, part);
        filling->used += part;
        data += part;
        size -= part;
        if (filling->used < INPUT_PIECE)
            return true;
        end_piece(input, filling->index, filling->used);
        *filling = (struct filling){0};
    }
    return true;
}

// ARCHIVE_EOF at the end, or when no more are wanted; else the failure.
static int copy_all(struct input *input, struct archive *archive)
{
    struct filling filling = {0};
    const void *data;
    size_t size;
    la_int64_t offset;
    int status;
    while ((status = archive_read_data_block(archive, &data, &size, &offset)) == ARCHIVE_OK)
        if (!add_bytes(input, &filling, data, size))
            return ARCHIVE_EOF;
    if (filling.data)
        end_piece(input, filling.index, filling.used);
    return status;
}

// What one compression unpacks may be endless input of the next that yields nothing.
static int check_filters(struct archive *archive)
{
    if (archive_filter_count(archive) <= 2) // the last is none
        return ARCHIVE_OK;
    archive_set_error(archive, EINVAL, "it is compressed more than once");
    return ARCHIVE_FATAL;
}

// Only compressions of which the library itself is capable.
static int decompress(struct input *input, struct archive *archive)
{
    struct archive_entry *entry;
    archive_read_support_format_raw(archive);
    archive_read_support_format_empty(archive);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_zstd(archive);
    int status = archive_read_open(archive, input, NULL, read_block, NULL);
    if (status == ARCHIVE_OK)
        status = check_filters(archive);
    if (status == ARCHIVE_OK)
        status = archive_read_next_header(archive, &entry);
    return status == ARCHIVE_OK ? copy_all(input, archive) : status;
}

// What follows the archive's end belongs to the file's digest too, and its sender waits for us.
static void drain(struct input *input)
{
    const void *data;
    while (!input->sys_errno && read_block(NULL, input, &data) > 0)
        ;
}

static void end_all(struct input *input, int status, struct archive *archive)
{
    const char *why = archive ? archive_error_string(archive) : "out of memory";
    pthread_mutex_lock(&input->lock);
    if (status != ARCHIVE_EOF)
        snprintf(input->failure, sizeof(input->failure), "%s", why ? why : "no reason given");
    input->ended = true;
    pthread_cond_signal(&input->changed);
    // A failure ends the process as soon as it has been told; else all is read to the end.
    while (!input->stopped)
        pthread_cond_wait(&input->changed, &input->lock);
    pthread_mutex_unlock(&input->lock);
}

static void *run(void *payload)
{
    struct input *input = payload;
    pthread_mutex_lock(&input->lock);
    while (!input->allowed)
        pthread_cond_wait(&input->changed, &input->lock);
    pthread_mutex_unlock(&input->lock);
    struct archive *archive = archive_read_new();
    end_all(input, archive ? decompress(input, archive) : ARCHIVE_FATAL, archive);
    drain(input);
    archive_read_free(archive);
    return NULL;
}

static bool get_memory(struct input *input)
{
    input->block = malloc(BLOCK);
    bool failed = !input->block;
    for (size_t i = 0; i < INPUT_PIECES; i++)
        failed |= !(input->pieces[i].data = malloc(INPUT_PIECE));
    return !failed;
}

int input_start(struct input *input, int fd, bool hashed, uint64_t most, struct sbx_error *err)
{
    *input = (struct input){.fd = fd, .hashed = hashed, .most = most};
    sha256_init(&input->hash);
    pthread_mutex_init(&input->lock, NULL);
    pthread_cond_init(&input->changed, NULL);
    if (!get_memory(input))
        return err_nomem(err);
    int failed = pthread_create(&input->thread, NULL, run, input);
    return failed ? err_sys(err, SBX_ERR_SETUP, failed, "the unpacker cannot start a thread") : 0;
}

void input_allow(struct input *input)
{
    pthread_mutex_lock(&input->lock);
    input->allowed = true;
    pthread_cond_broadcast(&input->changed);
    pthread_mutex_unlock(&input->lock);
}

void input_account(struct input *input, uint64_t size)
{
    input->accounted += size;
}

static bool is_too_much(const struct input *input)
{
    return input->given > input->accounted && input->given - input->accounted > input->most;
}

int input_check(const struct input *input, struct sbx_error *err)
{
    if (!is_too_much(input))
        return 0;
    err_set(err, SBX_ERR_QUOTA, "more than %llu MB of the archive belong to no file",
            (unsigned long long)input->most >> 20);
    err_hint(err, "it was not made by a tool for archives: make it again with tar");
    return SBX_ERR_QUOTA;
}

// The one before is done with when the next is asked for.
static la_ssize_t take_piece(struct archive *archive, void *payload, const void **ret_data)
{
    struct input *input = payload;
    la_ssize_t size = 0;
    pthread_mutex_lock(&input->lock);
    if (input->held) {
        input->taken++;
        pthread_cond_signal(&input->changed);
    }
    while (!input->ended && input->made == input->taken)
        pthread_cond_wait(&input->changed, &input->lock);
    input->held = input->made != input->taken;
    if (input->held) {
        *ret_data = input->pieces[input->taken % INPUT_PIECES].data;
        size = (la_ssize_t)input->pieces[input->taken % INPUT_PIECES].size;
        input->given += (uint64_t)size;
    }
    if (is_too_much(input)) {
        archive_set_error(archive, EFBIG, "too much of it belongs to no file");
        size = -1;
    } else if (!input->held && input->failure[0]) {
        archive_set_error(archive, EILSEQ, "%s", input->failure);
        size = -1;
    }
    pthread_mutex_unlock(&input->lock);
    return size;
}

int input_open(struct input *input, struct archive *archive)
{
    return archive_read_open(archive, input, NULL, take_piece, NULL);
}

int input_finish(struct input *input, char ret_digest[SHA256_HEX_SIZE], struct sbx_error *err)
{
    uint8_t digest[SHA256_SIZE];
    pthread_mutex_lock(&input->lock);
    input->stopped = true;
    pthread_cond_broadcast(&input->changed);
    pthread_mutex_unlock(&input->lock);
    pthread_join(input->thread, NULL);
    if (input->sys_errno)
        return err_sys(err, 0, input->sys_errno, "cannot read the archive");
    sha256_final(&input->hash, digest);
    sha256_hex(digest, ret_digest);
    return 0;
}

void input_free(struct input *input)
{
    free(input->block);
    for (size_t i = 0; i < INPUT_PIECES; i++)
        free(input->pieces[i].data);
    pthread_cond_destroy(&input->changed);
    pthread_mutex_destroy(&input->lock);
}
