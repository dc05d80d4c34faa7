// SPDX-License-Identifier: Apache-2.0
/*
 * What is known of an image by its name. A file of lines "key TAB value" (TAB value), so that a
 * start needs no JSON; tabs, line ends and backslashes in values are escaped. Layer: engine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <sandboxes/types.h>

#include "engine/imagestore.h"

#define IMAGERECORD_BYTES_MAX (1u << 20)
#define IMAGERECORD_LIST_MAX 1024

struct imagewords {
    char **items; // owned, strings too
    size_t count;
};

struct imagerecord {
    char *name;   // imageref_name()
    char *digest; // of the manifest the name led to, "sha256:HEX"
    char *tree;   // its directory's name in trees/; "": none, a snapshot's base is something else
    char *delta;  // of a snapshot: its directory's name in deltas/; else NULL or ""
    char *base;   // of a snapshot without a tree: "host", "host-root", or a directory
    char *user;   // "": root
    char *workdir;
    struct imagewords layers; // HEX, lowest first
    struct imagewords over;   // of a snapshot: the place of each of its layers
    struct imagewords env;    // NAME=VALUE
    struct imagewords entrypoint, cmd;
    uint64_t bytes; // of its files, unpacked
    int64_t made_ms;
};

void imagerecord_deinit(struct imagerecord *record);
#define cleanup_imagerecord cleanup(imagerecord_deinit)

int imagewords_add(struct imagewords *words, const char *text, struct sbx_error *err);

// Of an image's name. Errors: NOT_FOUND, INVALID (damaged).
int imagerecord_read(const struct imagestore *store, const char *name,
                     struct imagerecord *ret_record, struct sbx_error *err);
// As imagerecord_read() of a file in records/, whatever name is in it.
int imagerecord_read_file(const struct imagestore *store, const char *file,
                          struct imagerecord *ret_record, struct sbx_error *err);
// Replaces what was known of the name, in one step.
int imagerecord_write(const struct imagestore *store, const struct imagerecord *record,
                      struct sbx_error *err);
// Of a file in any directory; the writer makes it, and it must not be there.
int imagerecord_load(int dir_fd, const char *file, struct imagerecord *ret_record,
                     struct sbx_error *err);
int imagerecord_save(int dir_fd, const char *file, const struct imagerecord *record,
                     struct sbx_error *err);
bool imagerecord_is_snapshot(const struct imagerecord *record);
// NOT_FOUND if nothing is known of it.
int imagerecord_remove(const struct imagestore *store, const char *name, struct sbx_error *err);

#define IMAGERECORD_FILE_SIZE 65
void imagerecord_file(const char *name, char ret_file[IMAGERECORD_FILE_SIZE]);

// Text in memory; for the reader's tests.
int imagerecord_parse(char *text, struct imagerecord *ret_record, struct sbx_error *err);
