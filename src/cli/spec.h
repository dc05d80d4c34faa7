// SPDX-License-Identifier: Apache-2.0
// The options that describe a sandbox, shared by `run` and `create`. Layer: cli.
#pragma once

#include <sandboxes/sandbox.h>

#include "base/opt.h"
#include "cli/pairs.h"

struct spec_values {
    const char *provider, *image, *user, *cwd, *gpu, *hostname;
    struct opt_list env, env_files, labels, allow, mounts, publish;
    int64_t cpu, pids, ttl;
    uint64_t memory, disk;
    int network;
};

#define SPEC_ROW_COUNT 18
extern const struct opt_row spec_rows[SPEC_ROW_COUNT];

// A specification with what it points to.
struct spec {
    struct sbx_spec spec;
    struct pairs env, labels;
    struct sbx_mount *mounts; // owned, with owned paths
    struct sbx_port *ports;   // owned
};

// INVALID for values that make no sense; the values must outlive the spec. On failure nothing is
// kept.
int spec_build(const struct spec_values *values, struct spec *ret_spec, struct sbx_error *err);
void spec_deinit(struct spec *spec);
#define cleanup_spec cleanup(spec_deinit)

// "8080:80" or "80"; `option` names it in messages.
int spec_parse_port(const char *text, const char *option, struct sbx_port *ret_port,
                    struct sbx_error *err);
