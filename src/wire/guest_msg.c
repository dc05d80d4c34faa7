// SPDX-License-Identifier: Apache-2.0
// Messages between sandboxes-vmm and the guest. Layer: wire.
#include "wire/guest_msg.h"

void guest_config_put(struct buf *out, const struct guest_config *config)
{
    wire_put_u64(out, config->unix_ns);
    wire_put_bytes(out, config->entropy, config->entropy_size);
    wire_put_text(out, config->hostname);
    wire_put_u64(out, config->disk_bytes);
    wire_put_u32(out, config->open_files);
    wire_put_u32(out, config->processes);
    wire_put_u32(out, config->network);
    wire_put_bytes(out, config->agent, config->agent_size);
}

int guest_config_get(const void *payload, size_t size, struct guest_config *ret_config)
{
    struct wire_reader in = wire_reader(payload, size);
    struct guest_config config = {.unix_ns = wire_u64(&in)};
    config.entropy = wire_bytes(&in, &config.entropy_size);
    config.hostname = wire_text(&in);
    config.disk_bytes = wire_u64(&in);
    config.open_files = wire_u32(&in);
    config.processes = wire_u32(&in);
    config.network = wire_u32(&in);
    config.agent = wire_bytes(&in, &config.agent_size);
    if (!wire_end(&in))
        return -1;
    *ret_config = config;
    return 0;
}
