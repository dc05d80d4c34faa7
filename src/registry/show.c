// SPDX-License-Identifier: Apache-2.0
// Images as text and JSON. Layer: registry.
#include "registry/show.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/units.h"
#include "engine/imageref.h"

#define OUTPUT_MAX (16u << 20)

void show_begin(struct show *show, const struct image_values *values, bool is_list)
{
    *show = (struct show){.as_json = values->json > 0,
                          .quiet = values->quiet > 0,
                          .is_list = is_list,
                          .out = BUF_INIT(OUTPUT_MAX)};
    show->json = (struct json)JSON_INIT(&show->out, true);
    if (show->as_json && is_list)
        json_begin_array(&show->json);
}

size_t show_layers(const struct imagerecord *record)
{
    return record->layers.count + imagerecord_is_snapshot(record);
}

static void put_words(struct json *json, const char *key, const struct imagewords *words)
{
    json_key(json, key);
    json_begin_array(json);
    for (size_t i = 0; i < words->count; i++)
        json_text(json, words->items[i]);
    json_end_array(json);
}

static void put_record(struct json *json, const struct imagerecord *record)
{
    json_begin_object(json);
    json_put_text(json, "name", imageref_short(record->name));
    json_put_text(json, "digest", record->digest);
    json_put_uint(json, "size", record->bytes);
    json_put_uint(json, "layers", show_layers(record));
    if (imagerecord_is_snapshot(record))
        json_put_text(json, "over", record->tree[0] ? "image" : record->base);
    json_put_int(json, "pulled_ms", record->made_ms);
    json_put_text(json, "user", record->user);
    json_put_text(json, "workdir", record->workdir);
    put_words(json, "entrypoint", &record->entrypoint);
    put_words(json, "cmd", &record->cmd);
    put_words(json, "env", &record->env);
    json_end_object(json);
}

void show_record(struct show *show, const struct imagerecord *record)
{
    char size[UNITS_SIZE];
    if (show->as_json)
        put_record(&show->json, record);
    else if (show->quiet)
        buf_printf(&show->out, "%s\n", imageref_short(record->name));
    else
        buf_printf(&show->out, "%s  %s  %s\n", imageref_short(record->name), record->digest,
                   units_bytes(record->bytes, size));
}

int show_finish(struct show *show)
{
    if (show->as_json && show->is_list)
        json_end_array(&show->json);
    if (show->as_json && show->out.size)
        buf_puts(&show->out, "\n");
    bool failed =
        show->out.failed || fd_write_full(STDOUT_FILENO, show->out.data, show->out.size) < 0;
    return failed ? SBX_ERR_IO : 0;
}

void show_deinit(struct show *show)
{
    buf_deinit(&show->out);
}
