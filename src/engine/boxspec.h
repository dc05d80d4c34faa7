// SPDX-License-Identifier: Apache-2.0
// From what a user asks for to a local sandbox in full. Layer: engine.
#pragma once

#include <sandboxes/sandbox.h>

#include "base/clock.h"
#include "engine/image.h"
#include "wire/box_msg.h"

// Defaults of local sandboxes. Memory and disk are also bounded by a part of this machine's memory.
#define SPEC_MEMORY_MOST (4ull << 30)  // and half of the machine's
#define SPEC_MEMORY_LEAST (8ull << 20) // less can't hold a command; of what is asked for
#define SPEC_DISK_MOST (2ull << 30)    // and half of the sandbox's memory, which it is a part of
#define SPEC_PIDS 2048
#define SPEC_OPEN_FILES 65536        // and the hard limit of this process
#define SPEC_TTL_MS (60 * 60 * 1000) // of a detached one: forgotten ones end. Tied ones have none
#define SPEC_CPU_LEAST 10            // thousandths of a core: the kernel's least quota, 1 ms in 100

// A box_spec with everything it points to.
struct boxspec {
    struct box_spec box; // id, created_ms, agent and netstack are left to the caller
    struct image image;
    struct sbx_pair *env, *labels, *mounts;
    const char **ports;
    char **texts; // made up here
    size_t text_count;
};

/*
 * Fills in defaults and checks what only this machine can tell. `asked` is already valid in form
 * and must outlive the result. Errors: INVALID, UNSUPPORTED, QUOTA (more than the machine has),
 * NOT_FOUND (image, mount's source), and image_open()'s.
 */
int boxspec_fill(const struct sbx_spec *asked, struct deadline deadline, struct boxspec *ret_spec,
                 struct sbx_error *err);
// The same on an image that is open already, which is taken over in any case.
int boxspec_fill_on(const struct sbx_spec *asked, struct image *image, struct boxspec *ret_spec,
                    struct sbx_error *err);

// The network of a sandbox that was asked for like this.
uint32_t boxspec_network(const struct sbx_spec *asked);
int boxspec_check_network(const struct sbx_spec *asked, struct sbx_error *err); // its allow list

void boxspec_deinit(struct boxspec *spec);
#define cleanup_boxspec cleanup(boxspec_deinit)
