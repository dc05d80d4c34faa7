// SPDX-License-Identifier: Apache-2.0
// Looking over the store and clearing it. Layer: registry.
#pragma once

#include "registry/puller.h"

struct shelf_list {
    struct imagerecord *items; // owned, by name
    size_t count;
};

int shelf_list(const struct puller *puller, struct shelf_list *ret_list, struct sbx_error *err);
void shelf_list_free(struct shelf_list *list);
#define cleanup_shelf_list cleanup(shelf_list_free)

// What is there of a name, which may be given short. NOT_FOUND.
int shelf_find(const struct puller *puller, const char *name, struct imagerecord *ret_record,
               struct sbx_error *err);
int shelf_remove(const struct puller *puller, const char *name, struct sbx_error *err);

struct shelf_freed {
    size_t images, trees, layers;
    size_t snapshots;       // files of some without a name
    size_t views, archives; // made of this machine and of directories; unpacked
};

/*
 * Removes layers and trees that no image needs, and what killed processes left; never a tree on
 * which a living sandbox of this account stands. all: first forgets every image on whose tree none
 * stands. views: also what is made anew when it is needed, by prune_rule_asked(). Waits until
 * nobody fetches or starts an image: TIMEOUT.
 */
int shelf_prune(const struct puller *puller, bool all, bool views, struct shelf_freed *ret_freed,
                struct sbx_error *err);
