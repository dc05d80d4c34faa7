// SPDX-License-Identifier: Apache-2.0
/*
 * Arguments of the public calls: taken over from structs of an older or newer caller, and validated
 * before any provider sees them. Each error names the field. Layer: core.
 */
#pragma once

#include <sandboxes/files.h>
#include <sandboxes/process.h>
#include <sandboxes/sandbox.h>

#include "base/error.h"

#define CHECK_PAIRS_MAX 4096
#define CHECK_ARGS_MAX 16384
#define CHECK_STRING_MAX (128 * 1024) // of one argument or variable, as the kernel's MAX_ARG_STRLEN
#define CHECK_PATH_MAX 4096
#define CHECK_LISTS_MAX 1024 // mounts, allowed addresses
#define CHECK_PORTS_MAX 64

/*
 * Copies a caller's struct that begins with size_t size. A shorter one (older caller) is filled
 * with zeros; in a longer one (newer caller) what we don't know must be zero. `from` may be NULL:
 * all zero.
 */
int check_struct(void *to, size_t to_size, const void *from, const char *what,
                 struct sbx_error *err);

// Whether an output struct's size is set; then check_give() copies as much as the caller has room
// for.
int check_room(size_t size, const char *what, struct sbx_error *err);
void check_give(void *to, size_t size, void *from, size_t from_size);

int check_call(const struct sbx_call *call, struct sbx_call *ret_call, struct sbx_error *err);
int check_spec(const struct sbx_spec *spec, struct sbx_spec *ret_spec, struct sbx_error *err);
int check_fork(const struct sbx_fork *fork, struct sbx_fork *ret_fork, struct sbx_error *err);
// Of an image or snapshot.
int check_image(const char *name, const char *what, struct sbx_error *err);
int check_exec(const struct sbx_exec *exec, struct sbx_exec *ret_exec, struct sbx_error *err);
int check_file_options(const struct sbx_file_options *options, struct sbx_file_options *ret_options,
                       struct sbx_error *err);
int check_port(const struct sbx_port *port, const char *what, struct sbx_error *err);

// A path inside or here: 1 to 4095 bytes.
int check_path(const char *path, const char *what, struct sbx_error *err);

// A sandbox's id or its beginning, in the alphabet that all services stay in.
int check_id(const char *id, struct sbx_error *err);

// First line of each public call: callers may pass no error, but inside it is needed to carry the
// code.
#define need_error(err)                                                                            \
    struct sbx_error spare_error_;                                                                 \
    (err) = (err) ? (err) : &spare_error_

// INVALID when a pointer that must not be NULL is.
int check_not_null(const void *pointer, const char *what, struct sbx_error *err);
