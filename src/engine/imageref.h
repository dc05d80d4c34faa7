// SPDX-License-Identifier: Apache-2.0
// Names of images in registries: `python:3.12-slim`, `ghcr.io/owner/name@sha256:...`. Layer:
// engine.
#pragma once

#include <stddef.h>

#include "base/error.h"

#define IMAGEREF_DIGEST_SIZE 72 // "sha256:", 64 digits, NUL
#define IMAGEREF_NAME_SIZE 800
#define IMAGEREF_HUB "docker.io"

struct imageref {
    char host[256];                    // with its port; "docker.io" where none was named
    char path[256];                    // "library/python"
    char tag[129];                     // "" only with a digest
    char digest[IMAGEREF_DIGEST_SIZE]; // "" for none
};

// Errors: INVALID, with what is wrong with the name.
int imageref_parse(const char *text, struct imageref *ret_ref, struct sbx_error *err);

// The whole name, the same for all ways of writing it.
void imageref_name(const struct imageref *ref, char ret_name[IMAGEREF_NAME_SIZE]);

// Both at once: the whole name of what somebody wrote.
int imageref_whole(const char *text, char ret_name[IMAGEREF_NAME_SIZE], struct sbx_error *err);

// As people write it: without Docker Hub's own parts.
const char *imageref_short(const char *name);

// The hexadecimal part of "sha256:HEX", or NULL for anything else.
const char *imageref_hex(const char *digest);
