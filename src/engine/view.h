// SPDX-License-Identifier: Apache-2.0
/*
 * Trees made by us from something of this machine, kept in the cache directory under a name that
 * tells the state they were made from; each with a manifest of the layers it stands for. Layer:
 * engine.
 */
#pragma once

#include "engine/cachedir.h"
#include "engine/image.h"
#include "engine/statkey.h"

#define VIEW_KIND_MAX 8
#define VIEW_NAME_SIZE (VIEW_KIND_MAX + 1 + STATKEY_SIZE)
#define VIEW_PATH                                                                                  \
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin%s:/home/user/.local/bin"

// A key that other versions, accounts and boots of this machine don't share.
struct statkey view_key(const char *kind);

/*
 * Opens the view KIND-KEY; made by `build` unless it is there. build writes `manifest` into the new
 * directory: lines "layer TARGET PATH" and "env NAME VALUE" with tabs between (PATH relative to
 * that directory, or absolute).
 */
int view_open(const struct cachedir *cache, const char *kind, const struct statkey *key,
              struct deadline deadline, cachedir_build_fn build, void *payload,
              struct image *ret_image, struct sbx_error *err);

/*
 * Removes views of this kind: those of earlier boots, which nobody can find any more, and those of
 * prune_rule_making(); never one that a living sandbox stands on; and what killed builders left,
 * other than `building`. The lock of the kind is held.
 */
void view_prune(const struct cachedir *cache, const char *kind, const char *building);

// Views of all kinds by prune_rule_asked(), and those of earlier boots. Returns how many went.
size_t view_clear(const struct cachedir *cache, bool all);
