// SPDX-License-Identifier: Apache-2.0
/*
 * Running the helper that fetches images: it brings libcurl and jansson, which no sandbox of this
 * machine pays for. Layer: engine.
 */
#pragma once

#include "base/clock.h"
#include "engine/imageref.h"
#include "engine/imageturn.h"

#define FETCH_PROGRAM "sandboxes-image"
#define FETCH_ANSWER_FLAG "--answer" // first argument when the library starts it
#define FETCH_TURN_FLAG "--turn" // first argument of a command whose starter has given it its turn
#define FETCH_ANSWER_FD 3
#define FETCH_TURN_FD 4 // imageturn.h

struct fetch_answer {
    struct sbx_error err; // code 0: a record of it is in the store
};

/*
 * Brings an image into the store and waits: from its registry, or from the saved image at `path` if
 * that is not NULL. name is a whole one: imageref_name(). It is our turn. The helper ends with its
 * caller, the deadline or the token.
 */
int fetcher_run(const char *name, const char *path, const struct imageturn *turn,
                struct deadline deadline, struct sbx_error *err);
