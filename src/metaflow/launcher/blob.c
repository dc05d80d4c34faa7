// SPDX-License-Identifier: Apache-2.0
// Whether blobs are what they claim to be. Layer: metaflow.
#include "metaflow/launcher/blob.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha1.h"
#include "metaflow/launcher/take.h"

#define PIECE (64 * 1024)
#define GZIP_ONLY (15 + 16) // zlib.h: window of 32 KiB, gzip header demanded

bool blob_name_valid(const char *name)
{
    return strlen(name) == BLOB_NAME_LENGTH && strspn(name, "0123456789abcdef") == BLOB_NAME_LENGTH;
}

static int refuse(void)
{
    errno = EBADMSG;
    return -1;
}

// 1 kept as it is, 0 compressed; these two texts are all that Metaflow writes.
static int read_meta(int dir_fd, const char *name)
{
    char meta[BLOB_NAME_LENGTH + 8], text[128];
    off_t size;
    snprintf(meta, sizeof(meta), "%s_meta", name);
    cleanup_fd int fd = take_open(dir_fd, meta, &size);
    ssize_t got = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);
    if (got < 0)
        return -1;
    text[got] = 0;
    if (strcmp(text, "{\"cas_raw\": false, \"cas_version\": 1}") == 0)
        return 0;
    return strcmp(text, "{\"cas_raw\": true, \"cas_version\": 1}") == 0 ? 1 : refuse();
}

static int hash_plain(int fd, struct sha1 *hash)
{
    char data[PIECE];
    for (;;) {
        ssize_t got = fd_read_full(fd, data, sizeof(data));
        if (got <= 0)
            return (int)got;
        sha1_update(hash, data, (size_t)got);
    }
}

static int inflate_piece(z_stream *stream, struct sha1 *hash)
{
    Bytef out[PIECE];
    int result = Z_OK;
    while (result == Z_OK && (stream->avail_in > 0 || stream->avail_out == 0)) {
        stream->next_out = out;
        stream->avail_out = sizeof(out);
        result = inflate(stream, Z_NO_FLUSH);
        sha1_update(hash, out, sizeof(out) - stream->avail_out);
    }
    return result == Z_BUF_ERROR ? Z_OK : result;
}

// One gzip member and nothing after it: what readers would make of more is theirs alone.
static int hash_gzip(int fd, struct sha1 *hash)
{
    Bytef in[PIECE];
    z_stream stream = {0};
    int result = inflateInit2(&stream, GZIP_ONLY);
    ssize_t got = 1;
    while (result == Z_OK && (got = fd_read_full(fd, in, sizeof(in))) > 0) {
        stream.next_in = in;
        stream.avail_in = (uInt)got;
        result = inflate_piece(&stream, hash);
    }
    char more;
    bool whole = result == Z_STREAM_END && stream.avail_in == 0 && read(fd, &more, 1) == 0;
    inflateEnd(&stream);
    return got < 0 ? -1 : whole ? 0 : refuse();
}

int blob_verify(int dir_fd, const char *name)
{
    struct sha1 hash;
    char found[SHA1_HEX_SIZE];
    off_t size;
    int raw = read_meta(dir_fd, name);
    cleanup_fd int fd = raw < 0 ? -1 : take_open(dir_fd, name, &size);
    if (fd < 0)
        return -1;
    sha1_init(&hash);
    if ((raw ? hash_plain(fd, &hash) : hash_gzip(fd, &hash)) < 0)
        return -1;
    sha1_hex(&hash, found);
    return strcmp(found, name) == 0 ? 0 : refuse();
}
