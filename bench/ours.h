// SPDX-License-Identifier: Apache-2.0
// Our library in the comparison, over the public calls alone.
#pragma once

#include <stdbool.h>

#include <sandboxes/sandboxes.h>

struct ours;

struct ours *ours_open(const char *provider); // that lives as long
void ours_close(struct ours *ours);           // destroys what it made

// A sandbox of this image (NULL: default) and network, tied to this process. Dies on failure.
struct sbx_sandbox *ours_create(struct ours *ours, const char *image, uint32_t network);
struct sbx_sandbox *ours_try_create(struct ours *ours, const char *image, uint32_t network,
                                    struct sbx_error *err); // NULL on failure
void ours_destroy(struct sbx_sandbox *sandbox);             // frees the handle too

// Runs /bin/hello (or echo hello in the default image) and checks its output.
void ours_hello(struct sbx_sandbox *sandbox, bool host_image);

double ours_first(struct ours *ours, const char *image, uint32_t network); // ms, to output and end
// The same by a client that makes no other, so that nothing was made ahead.
double ours_cold(const char *image, uint32_t network);

double ours_whole(struct ours *ours, const char *image, uint32_t network); // ms, with destroy
double ours_living_exec(struct ours *ours, const char *image);             // ms, in a living one

struct sbx_client *ours_client(struct ours *ours);
void ours_check(int result, const struct sbx_error *err, const char *what); // dies on failure
