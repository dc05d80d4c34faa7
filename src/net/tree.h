// SPDX-License-Identifier: Apache-2.0
/*
 * Files and trees of this machine as tar archives, for services that move single files: packed on
 * the way up, unpacked on the way down. What comes down is hostile: nothing is written outside the
 * target, no link is followed below it, set-user-id bits are dropped, a file appears whole or not
 * at all. Layer: net.
 */
#pragma once

#include "net/tar.h"

typedef int tree_write_fn(void *payload, const void *data, size_t size, struct sbx_error *err);

// The directory `path` and all below, under names relative to it ("./a"); devices, sockets and
// fifos are left out.
int tree_pack(const char *path, tree_write_fn *write, void *payload, struct sbx_error *err);

// An archive as the directory `path`, which is made if it is missing.
int tree_unpack(const char *path, const struct tar_source *source, struct sbx_error *err);

// Reads a file's contents (until the source's end) into `path`.
int tree_save(const char *path, uint32_t mode, const struct tar_source *source,
              struct sbx_error *err);

// "path/name" if path is an existing directory here, else path. Free it.
char *tree_target(const char *path, const char *name);
// The last part of a path, without slashes behind it. Free it.
char *tree_name(const char *path);
