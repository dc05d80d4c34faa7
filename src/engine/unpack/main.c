// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-unpack: unpacks one archive into one directory and answers once. A program of its own,
 * so that what somebody sent is parsed without our caller's rights, and libarchive is loaded here
 * alone. Layer: engine.
 */
#include <archive.h>
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
#include "engine/unpack/input.h"
#include "engine/unpack/protocol.h"

// Of what no file accounts for: what libarchive passes over. Its end must come some day.
#define PASSED_OVER_MAX (UINT64_C(256) << 20)

static void free_archive(struct archive **archive)
{
    if (*archive)
        archive_read_free(*archive);
}

static int open_archive(struct archive *archive, struct input *input, struct sbx_error *err)
{
    archive_read_support_format_tar(archive);
    return input_open(input, archive) == ARCHIVE_OK ? 0 : extract_unreadable(archive, err);
}

// Confined, with the thread that decompresses, before either has seen a byte.
static int begin(struct input *input, uint64_t bytes_max, bool hashed, struct sbx_error *err)
{
    int rc = confine_rights(UNPACK_DIR_FD, bytes_max, err);
    if (rc == 0)
        rc = input_start(input, STDIN_FILENO, hashed, PASSED_OVER_MAX, err);
    if (rc == 0)
        rc = confine_calls(err);
    if (rc == 0)
        input_allow(input);
    return rc;
}

static int unpack(struct input *input, uint64_t bytes_max, bool layer, struct unpack_answer *answer)
{
    struct sbx_error *err = &answer->err;
    cleanup(free_archive) struct archive *archive = archive_read_new();
    if (!archive)
        return err_nomem(err);
    bool owners = probe_privileged();
    int rc = begin(input, bytes_max, !layer, err);
    if (rc == 0)
        rc = open_archive(archive, input, err);
    if (rc < 0)
        return rc;
    cleanup(extract_deinit) struct extract extract = {.archive = archive,
                                                      .owners = owners,
                                                      .input = input,
                                                      .bytes_max = bytes_max,
                                                      .err = err,
                                                      .layer = layer};
    path_walk_init(&extract.walk, UNPACK_DIR_FD);
    extract.walk.implied_mode = layer ? UNPACK_IMPLIED_MODE : 0755;
    rc = extract_all(&extract);
    if (rc < 0 && input_check(input, err) < 0)
        rc = err->code;
    answer->bytes = extract.bytes;
    answer->entries = extract.entries;
    if (rc == 0)
        rc = input_finish(input, answer->digest, err);
    // What lost its contents when the power failed must not be taken for an image later; of layers
    // the store keeps account (imagefresh.h).
    if (rc == 0 && !layer && syncfs(UNPACK_DIR_FD) < 0)
        rc = err_sys(err, 0, errno, "cannot write the image to disk");
    return rc;
}

int main(int argc, char **argv)
{
    struct unpack_answer answer = {0};
    struct input input;
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
    unpack(&input, strtoull(argv[1], NULL, 10), strcmp(argv[2], "layer") == 0, &answer);
    bool failed = fd_write_full(STDOUT_FILENO, &answer, sizeof(answer)) < 0 || answer.err.code;
    _exit(failed); // a thread that still reads is not waited for
}
