// SPDX-License-Identifier: Apache-2.0
// A directory of ours as a tar archive on a descriptor. Layer: cli.
#pragma once

#include "base/error.h"

/*
 * Writes what the directory holds: files, directories and links (as links) with their modes, owned
 * by root; other kinds are left out. The directory must be nobody's else meanwhile. Errors: IO (of
 * the output: sys_errno EPIPE when nobody reads), CANCELLED by a signal, and those of reading.
 */
int tar_out(int dir_fd, int out_fd, struct sbx_error *err);
