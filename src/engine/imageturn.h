// SPDX-License-Identifier: Apache-2.0
/*
 * Whose turn it is to fetch an image: of all processes that want one name at once, one asks its
 * registry, and the others sleep until it has ended, before they load anything heavy. What it has
 * found counts for all who began before it asked; for later ones the name may mean something else
 * by then, and one of them asks again. Layer: engine.
 */
#pragma once

#include "base/clock.h"
#include "engine/imagestore.h"

struct imageturn {
    int dir_fd; // borrowed from the store
    int fd;
    bool lent; // somebody else ends it
    char file[96];
};
#define IMAGETURN_NONE                                                                             \
    {                                                                                              \
        .dir_fd = -1, .fd = -1                                                                     \
    }
#define IMAGETURN_EVER 0 // for since_ns: whenever it was asked for

/*
 * 0: it is ours. 1: another process has fetched the image, having asked for it after since_ns, on
 * clock_boot_ns()'s scale; there is nothing to end. Errors: TIMEOUT, CANCELLED, IO.
 */
int imageturn_take(const struct imagestore *store, const char *name, int64_t since_ns,
                   struct deadline deadline, struct imageturn *ret_turn, struct sbx_error *err);

// One that the process has from its starter in `fd`. lent: who ends it himself.
struct imageturn imageturn_adopt(const struct imagestore *store, const char *name, int fd,
                                 bool lent);

// The image is here, as its registry had it at that time.
void imageturn_tell(const struct imageturn *turn, int64_t asked_ns);

void imageturn_end(struct imageturn *turn);
#define cleanup_imageturn cleanup(imageturn_end)
