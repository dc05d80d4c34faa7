// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-unpack: unpacks one archive into one directory and answers once. A program of its own,
 * so that what somebody sent is parsed without our caller's rights, and libarchive is loaded here
 * alone. Layer: engine.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/probe.h"
#include "engine/unpack/confine.h"
#include "engine/unpack/extract.h"
#include "engine/unpack/protocol.h"

#define BLOCK (1u << 20)

struct input {
    struct sha256 hash;
    bool hashed; // else whoever sends it does that
    char *block;
};

static la_ssize_t read_block(struct archive *archive, void *payload, const void **ret_data)
{
    struct input *input = payload;
    ssize_t got;
    do
        got = read(STDIN_FILENO, input->block, BLOCK);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        archive_set_error(archive, errno, "reading the file failed");
        return -1;
    }
    if (input->hashed)
        sha256_update(&input->hash, input->block, (size_t)got);
    *ret_data = input->block;
    return got;
}

static void free_archive(struct archive **archive)
{
    if (*archive)
        archive_read_free(*archive);
}

// Only tar, and only compressions of which the library itself is capable.
static int open_archive(struct archive *archive, struct input *input, struct sbx_error *err)
{
    archive_read_support_format_tar(archive);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_zstd(archive);
    if (archive_read_open(archive, input, NULL, read_block, NULL) == ARCHIVE_OK)
        return 0;
    return extract_unreadable(archive, err);
}

// What follows the archive's end belongs to the file's digest too.
static int finish_digest(struct archive *archive, struct input *input, struct unpack_answer *answer)
{
    const void *data;
    uint8_t digest[SHA256_SIZE];
    la_ssize_t got;
    while ((got = read_block(archive, input, &data)) > 0)
        ;
    if (got < 0)
        return err_sys(&answer->err, 0, errno, "cannot read the archive");
    sha256_final(&input->hash, digest);
    sha256_hex(digest, answer->digest);
    return 0;
}

static int unpack(uint64_t bytes_max, bool layer, struct unpack_answer *answer)
{
    struct sbx_error *err = &answer->err;
    cleanup_free char *block = malloc(BLOCK);
    cleanup(free_archive) struct archive *archive = archive_read_new();
    if (!block || !archive)
        return err_nomem(err);
    struct input input = {.block = block, .hashed = !layer};
    sha256_init(&input.hash);
    bool owners = probe_privileged();
    int rc = confine_self(UNPACK_DIR_FD, bytes_max, err);
    if (rc == 0)
        rc = open_archive(archive, &input, err);
    if (rc < 0)
        return rc;
    cleanup(extract_deinit) struct extract extract = {
        .archive = archive, .owners = owners, .bytes_max = bytes_max, .err = err, .layer = layer};
    path_walk_init(&extract.walk, UNPACK_DIR_FD);
    extract.walk.implied_mode = layer ? UNPACK_IMPLIED_MODE : 0755;
    rc = extract_all(&extract);
    answer->bytes = extract.bytes;
    answer->entries = extract.entries;
    if (rc == 0)
        rc = finish_digest(archive, &input, answer);
    // What lost its contents when the power failed must not be taken for an image later.
    if (rc == 0 && syncfs(UNPACK_DIR_FD) < 0)
        rc = err_sys(err, 0, errno, "cannot write the image to disk");
    return rc;
}

int main(int argc, char **argv)
{
    struct unpack_answer answer = {0};
    struct stat info;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // what nobody waits for is not needed
    signal(SIGPIPE, SIG_IGN);
    umask(0);
    if (argc != 3 || fstat(UNPACK_DIR_FD, &info) < 0 || !S_ISDIR(info.st_mode)) {
        static const char usage[] =
            "sandboxes-unpack is started by sandboxes itself, to unpack an image\n";
        (void)fd_write_full(STDERR_FILENO, usage, sizeof(usage) - 1);
        return 2;
    }
    setlocale(LC_CTYPE,
              "C.UTF-8"); // names are bytes for us; libarchive wants to know their encoding
    unpack(strtoull(argv[1], NULL, 10), strcmp(argv[2], "layer") == 0, &answer);
    return fd_write_full(STDOUT_FILENO, &answer, sizeof(answer)) < 0 || answer.err.code ? 1 : 0;
}
