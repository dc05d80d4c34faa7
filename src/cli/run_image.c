// SPDX-License-Identifier: Apache-2.0
// What an image says about the programs that run in it. Layer: cli.
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "engine/pulled.h"

// Only images of layers have such settings, and only the provider local has those.
static void read_record(const struct run *run, struct imagerecord *record)
{
    const char *image = run->values->spec.image;
    if (image && strcmp(sbx_sandbox_provider(run->sandbox), "local") == 0)
        (void)pulled_record(image, record, NULL);
}

static int complain(const struct run *run, struct sbx_error *err)
{
    const char *image = run->values->spec.image;
    err_set(err, SBX_ERR_INVALID, "the image '%s' names no program to run", image ? image : "host");
    return err_hint(err, "name one: sandboxes run [OPTIONS] -- PROGRAM ARGUMENTS...");
}

int run_image_words(const struct run *run, struct imagerecord *record, const char ***ret_words,
                    size_t *ret_count, struct sbx_error *err)
{
    const struct program *program = &run->program;
    const char *own = run->values->entrypoint;
    read_record(run, record);
    size_t first = own ? own[0] != '\0' : record->entrypoint.count;
    const char *const *rest = program->words;
    size_t count = program->word_count;
    // Its own arguments go with its own entrypoint alone.
    if (count == 0 && !own) {
        rest = (const char *const *)record->cmd.items;
        count = record->cmd.count;
    }
    const char **words = calloc(first + count + 1, sizeof(*words));
    if (!words)
        return err_nomem(err);
    for (size_t i = 0; i < first; i++)
        words[i] = own ? own : record->entrypoint.items[i];
    if (count)
        memcpy(words + first, rest, count * sizeof(*words));
    *ret_words = words;
    *ret_count = first + count;
    return *ret_count ? 0 : complain(run, err);
}
