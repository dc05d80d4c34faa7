// SPDX-License-Identifier: Apache-2.0
/*
 * Which services run: a file each in ~/.metaflow-local-service, named after the `.metaflow` that it
 * serves. A service is alive as long as somebody holds flock(2) on its file; what holds no lock was
 * left by a crash. Beside it is a file on which each `run` keeps a shared lock, so that the last
 * one knows that it is the last. Layer: metaflow.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define MFSTATE_ID_SIZE 17

struct mfstate {
    pid_t pid;
    uint16_t port;
    bool kept; // by `start`: it goes on when the last `run` ends
    int64_t started_ms;
    char root[PATH_MAX]; // the `.metaflow` directory
};

// The directory of these files, made 0700 if missing.
int mfstate_open_dir(int *ret_fd, struct sbx_error *err);
void mfstate_id(const char *root, char ret_id[MFSTATE_ID_SIZE]);

// The lock that makes its holder the service. CONFLICT when there is one.
int mfstate_claim(int dir_fd, const char *id, int *ret_lock_fd, struct sbx_error *err);
int mfstate_write(int lock_fd, const struct mfstate *state, struct sbx_error *err);
// Removes the file that the lock is on.
void mfstate_drop(int dir_fd, const char *id);

// NOT_FOUND when no living service has this id. What a crash left is removed.
int mfstate_read(int dir_fd, const char *id, struct mfstate *ret_state, struct sbx_error *err);
// `start` wants it to stay although a `run` began it.
int mfstate_keep(int dir_fd, const char *id, struct sbx_error *err);
// Ids of all files, living or not; *ret_count of them, at most max.
size_t mfstate_list(int dir_fd, char (*ret_ids)[MFSTATE_ID_SIZE], size_t max);

// A share in the service that others can see; waits while the last holder is stopping it.
int mfstate_join(int dir_fd, const char *id, int *ret_fd, struct sbx_error *err);
// Gives the share back. True: nobody else had one, and nobody can join until mfstate_left().
bool mfstate_leave(int fd);
void mfstate_left(int dir_fd, const char *id, int fd);
bool mfstate_has_users(int dir_fd, const char *id);
