// SPDX-License-Identifier: Apache-2.0
// Running the helper that unpacks archives. Layer: engine.
#include "engine/unpacker.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BYTES_MAX (UINT64_C(16) << 30)
static int read_answer(const struct helper *helper, struct deadline deadline,
                       struct unpack_answer *ret_answer, struct sbx_error *err)
{
    struct unpack_answer answer;
    int rc = helper_hear(helper, &answer, sizeof(answer), deadline, err);
    if (rc == SBX_ERR_IO) {
        err_set(err, SBX_ERR_IO, "the unpacker ended without an answer");
        return err_hint(err, "the archive may need more than 2 GB of memory to unpack; try again, "
                             "and if it stays, unpack it yourself and name the directory");
    }
    if (rc < 0)
        return err_wrap(err, "while the archive was unpacked");
    // It has read hostile bytes: its own are checked too.
    answer.digest[sizeof(answer.digest) - 1] = '\0';
    answer.err.message[sizeof(answer.err.message) - 1] = '\0';
    answer.err.remedy[sizeof(answer.err.remedy) - 1] = '\0';
    answer.err.origin[sizeof(answer.err.origin) - 1] = '\0';
    bool digest = strspn(answer.digest, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
    if (answer.err.code == 0 ? !digest : answer.err.code > 0 || answer.err.code < SBX_ERR_LAST)
        return err_set(err, SBX_ERR_PROTOCOL, "the unpacker's answer makes no sense");
    if (answer.err.code < 0 && err)
        *err = answer.err;
    if (answer.err.code == 0)
        *ret_answer = answer;
    return answer.err.code;
}

int unpacker_start(const struct unpacker_job *job, struct helper *ret_unpacker,
                   struct sbx_error *err)
{
    char limit[32];
    const char *const argv[] = {UNPACK_PROGRAM, limit, job->layer ? "layer" : "tree", NULL};
    const struct helper_fd fds[] = {{job->archive_fd, STDIN_FILENO},
                                    {job->new_fd, UNPACK_DIR_FD},
                                    {job->lock_fd, UNPACK_LOCK_FD}};
    const struct helper_job helper = {.program = UNPACK_PROGRAM,
                                      .argv = argv,
                                      .fds = fds,
                                      .fd_count = ARRAY_SIZE(fds),
                                      .answer_fd = STDOUT_FILENO};
    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)job->bytes_max);
    return helper_start(&helper, ret_unpacker, err);
}

int unpacker_finish(struct helper *unpacker, struct deadline deadline,
                    struct unpack_answer *ret_answer, struct sbx_error *err)
{
    int rc = read_answer(unpacker, deadline, ret_answer, err);
    helper_end(unpacker);
    return rc;
}

int unpacker_run(int archive_fd, int new_fd, int lock_fd, uint64_t bytes_max,
                 struct deadline deadline, struct unpack_answer *ret_answer, struct sbx_error *err)
{
    cleanup_helper struct helper unpacker = HELPER_NONE;
    const struct unpacker_job job = {archive_fd, new_fd, lock_fd, bytes_max, false};
    int rc = unpacker_start(&job, &unpacker, err);
    return rc < 0 ? rc : unpacker_finish(&unpacker, deadline, ret_answer, err);
}

uint64_t unpacker_room(int dir_fd)
{
    struct statvfs info;
    if (fstatvfs(dir_fd, &info) < 0)
        return BYTES_MAX;
    uint64_t half = (uint64_t)info.f_bavail * info.f_frsize / 2;
    return half < BYTES_MAX ? half : BYTES_MAX;
}
