// SPDX-License-Identifier: Apache-2.0
// A local sandbox in full. Layer: wire.
#include "wire/box_msg.h"

void box_spec_put(struct buf *out, const struct box_spec *spec)
{
    wire_put_u32(out, BOX_VERSION);
    const char *const texts[] = {spec->id,       spec->image, spec->user,     spec->workdir,
                                 spec->hostname, spec->agent, spec->netstack, spec->machine};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        wire_put_text(out, texts[i]);
    wire_put_u64(out, spec->memory_bytes);
    wire_put_u64(out, spec->disk_bytes);
    const uint32_t numbers[] = {spec->cpu_millis, spec->max_pids, spec->max_open_files,
                                spec->lifetime,   spec->network,  spec->flags};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        wire_put_u32(out, numbers[i]);
    wire_put_u64(out, (uint64_t)spec->created_ms);
    wire_put_u64(out, (uint64_t)spec->ttl_ms);
    wire_put_pairs(out, spec->layers, spec->layer_count);
    wire_put_pairs(out, spec->env, spec->env_count);
    wire_put_pairs(out, spec->labels, spec->label_count);
    wire_put_pairs(out, spec->mounts, spec->mount_count);
    wire_put_texts(out, spec->allow, spec->allow_count);
    wire_put_texts(out, spec->ports, spec->port_count);
}

static void get_scalars(struct wire_reader *in, struct box_spec *spec)
{
    const char **const texts[] = {&spec->id,       &spec->image, &spec->user,     &spec->workdir,
                                  &spec->hostname, &spec->agent, &spec->netstack, &spec->machine};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *texts[i] = wire_text(in);
    spec->memory_bytes = wire_u64(in);
    spec->disk_bytes = wire_u64(in);
    uint32_t *const numbers[] = {&spec->cpu_millis, &spec->max_pids, &spec->max_open_files,
                                 &spec->lifetime,   &spec->network,  &spec->flags};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        *numbers[i] = wire_u32(in);
    spec->created_ms = (int64_t)wire_u64(in);
    spec->ttl_ms = (int64_t)wire_u64(in);
}

int box_spec_get(const void *payload, size_t size, struct box_spec *ret_spec)
{
    struct wire_reader in = wire_reader(payload, size);
    struct box_spec spec = {0};
    if (wire_u32(&in) != BOX_VERSION)
        return -1;
    get_scalars(&in, &spec);
    spec.layers = wire_pairs(&in, BOX_LISTS_MAX, &spec.layer_count);
    spec.env = wire_pairs(&in, BOX_LISTS_MAX, &spec.env_count);
    spec.labels = wire_pairs(&in, BOX_LISTS_MAX, &spec.label_count);
    spec.mounts = wire_pairs(&in, BOX_LISTS_MAX, &spec.mount_count);
    spec.allow = wire_texts(&in, BOX_LISTS_MAX, &spec.allow_count);
    spec.ports = wire_texts(&in, BOX_LISTS_MAX, &spec.port_count);
    if (!wire_end(&in)) {
        box_spec_deinit(&spec);
        return -1;
    }
    *ret_spec = spec;
    return 0;
}

void box_spec_deinit(struct box_spec *spec)
{
    free(spec->layers);
    free(spec->env);
    free(spec->labels);
    free(spec->mounts);
    free(spec->allow);
    free(spec->ports);
    *spec = (struct box_spec){0};
}
