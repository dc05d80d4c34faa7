// SPDX-License-Identifier: Apache-2.0
/*
 * `sandboxes cp` with a tar archive as one side: standard input or output. It goes by way of a
 * private directory of this machine, with the same care as any copy: what a hostile sandbox or
 * archive holds is nothing but files there. Layer: cli.
 */
#pragma once

#include <sandboxes/files.h>

// The file or directory as an archive, under its own name.
int cp_stream_out(struct sbx_sandbox *sandbox, const char *path,
                  const struct sbx_file_options *options, const struct sbx_call *call,
                  struct sbx_error *err);

// The archive's contents into the directory, which is made if missing.
int cp_stream_in(struct sbx_sandbox *sandbox, const char *path,
                 const struct sbx_file_options *options, const struct sbx_call *call,
                 struct sbx_error *err);
