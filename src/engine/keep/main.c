// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-keep: copies the writable layers of a sandbox into the store. A program of its own, as
 * it may have to enter the sandbox's user namespace, whose files may be closed even to the account
 * that the sandbox belongs to. See protocol.h and keep.h. Layer: engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/tree.h"
#include "engine/keep/keep.h"
#include "engine/keep/protocol.h"

#define LINKS "links"

struct arguments {
    uint64_t bytes_max;
    const char *base;
    bool hash, still;
    const char *olds;
};

static bool read_arguments(int argc, char **argv, struct arguments *ret)
{
    if (argc != 6 || strlen(argv[5]) > KEEP_UPPERS_MAX)
        return false;
    *ret = (struct arguments){strtoull(argv[1], NULL, 10), argv[2], strcmp(argv[3], "hash") == 0,
                              strcmp(argv[4], "still") == 0, argv[5]};
    return true;
}

static int keep_one(struct keep *keep, unsigned number, int old)
{
    char upper_name[16], name[16];
    snprintf(upper_name, sizeof(upper_name), "up%u", number);
    snprintf(name, sizeof(name), "%u", number);
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int upper = openat(KEEP_DISK_FD, upper_name, flags);
    if (upper < 0 || mkdirat(KEEP_DIR_FD, name, 0755) < 0)
        return keep_fail(keep, name);
    cleanup_fd int target = openat(KEEP_DIR_FD, name, flags);
    if (target < 0)
        return keep_fail(keep, name);
    keep_sum(keep, name, strlen(name) + 1);
    int rc = keep_layer(keep, upper, old, target, number == 0);
    return rc == 0 && fchmod(target, 0755) < 0 ? keep_fail(keep, name) : rc;
}

static int keep_all(struct keep *keep, const char *olds)
{
    int rc = 0, next = KEEP_OLD_FD;
    if (mkdirat(KEEP_DIR_FD, LINKS, 0700) < 0)
        return keep_fail(keep, LINKS);
    keep->links_fd = openat(KEEP_DIR_FD, LINKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keep->links_fd < 0)
        return keep_fail(keep, LINKS);
    for (unsigned i = 0; rc == 0 && olds[i]; i++)
        rc = keep_one(keep, i, olds[i] == 'o' ? next++ : -1);
    close(keep->links_fd);
    return rc == 0 && tree_remove(KEEP_DIR_FD, LINKS) < 0 ? keep_fail(keep, LINKS) : rc;
}

static int run(const struct arguments *arguments, struct keep_answer *answer)
{
    uint8_t digest[SHA256_SIZE];
    bool owners = strcmp(arguments->base, "-") != 0;
    cleanup_free char *piece = malloc(KEEP_PIECE);
    struct keep keep = {.bytes_max = arguments->bytes_max,
                        .base = owners ? (uint32_t)strtoul(arguments->base, NULL, 10) : 0,
                        .owners = owners,
                        .hash = arguments->hash,
                        .still = arguments->still,
                        .piece = piece,
                        .err = &answer->err};
    if (!piece)
        return err_nomem(&answer->err);
    if (!owners && setns(KEEP_USERNS_FD, CLONE_NEWUSER) < 0)
        return err_sys(&answer->err, 0, errno, "cannot enter the sandbox's user namespace");
    prctl(PR_SET_PDEATHSIG, SIGKILL); // which a change of credentials takes back: prctl(2)
    sha256_init(&keep.sum);
    int rc = keep_all(&keep, arguments->olds);
    sha256_final(&keep.sum, digest);
    sha256_hex(digest, answer->digest);
    answer->bytes = keep.bytes;
    answer->entries = keep.entries;
    return rc;
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "sandboxes-keep is started by sandboxes itself, to keep a sandbox's files\n";
    struct keep_answer answer = {0};
    struct arguments arguments;
    struct rlimit files;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // what nobody waits for is not needed
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(0);
    if (!read_arguments(argc, argv, &arguments)) {
        (void)fd_write_full(STDERR_FILENO, usage, sizeof(usage) - 1);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { // three for each level of a deep tree
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int rc = run(&arguments, &answer);
    return fd_write_full(STDOUT_FILENO, &answer, sizeof(answer)) < 0 || rc < 0 ? 1 : 0;
}
