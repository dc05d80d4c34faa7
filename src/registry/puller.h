// SPDX-License-Identifier: Apache-2.0
// Images brought into the store. Layer: registry.
#pragma once

#include "base/clock.h"
#include "core/config.h"
#include "engine/imagerecord.h"
#include "engine/imageref.h"
#include "engine/imageturn.h"
#include "net/http.h"
#include "registry/layer.h"
#include "registry/manifest.h"

struct puller {
    struct imagestore store;
    struct config config;
    struct deadline deadline;
    struct progress *progress; // or NULL
    struct http *http;         // opened by the first request
    bool fresh;                // something was made that the disk may not have yet
    int64_t began_ns;          // what others have asked for since then counts (imageturn.h)
    struct imageturn turn;     // to pull: that of this process, or none yet
};

int puller_open(const char *config_path, struct puller *ret_puller, struct sbx_error *err);
void puller_close(struct puller *puller);

// Leaves a process behind that waits for the disk, if anything was made (imagefresh.h). Nothing can
// be fetched any more.
void puller_settle(struct puller *puller);
// Waits for the disk, with images that no registry has.
int puller_settle_now(struct puller *puller, struct sbx_error *err);
#define cleanup_puller cleanup(puller_close)

/*
 * Brings what the name means at its registry now. missing: only if nothing is known of it. Of all
 * processes that pull one name, one works, the others wait: puller->turn, which it ends, or the
 * turn it takes itself. *ret_record is what is known then.
 */
int puller_pull(struct puller *puller, const struct imageref *ref, bool missing,
                struct imagerecord *ret_record, struct sbx_error *err);

/*
 * Brings a saved image in: a directory as OCI's image layout or `docker save` have it, or a tar
 * archive of one. name: what to call it; NULL: what it calls itself.
 */
int puller_import(struct puller *puller, const char *path, const char *name,
                  struct imagerecord *ret_record, struct sbx_error *err);

// Makes an image of one layer out of a directory; its files belong to root.
int puller_build(struct puller *puller, const char *path, const char *name,
                 struct imagerecord *ret_record, struct sbx_error *err);

// For those above.

struct puller_source {
    struct layer_source layers;
    const char *digest; // of the manifest
};

// Layers, tree and record of an image whose configuration is at hand. The record has a name.
int puller_keep(struct puller *puller, const struct manifest *manifest,
                const struct puller_source *source, struct imagerecord *record,
                struct sbx_error *err);

bool puller_has_tree(const struct puller *puller, const struct imagerecord *record);

// PROTOCOL for what is not what its digest says.
int puller_check_digest(const void *data, size_t size, const char *digest, struct sbx_error *err);
void puller_digest(const void *data, size_t size, char ret_digest[IMAGEREF_DIGEST_SIZE]);
int puller_read_config(const void *data, size_t size, struct imagerecord *record,
                       struct sbx_error *err);
