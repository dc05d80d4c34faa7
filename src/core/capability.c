// SPDX-License-Identifier: Apache-2.0
// Names of capabilities, states and networks. Layer: core.
#include "core/capability.h"

#include <sandboxes/sandbox.h>

#include "base/cleanup.h"

struct capability_row {
    uint32_t bit;
    const char *name;
    const char *what; // completes "can't do: ..."
};

static const struct capability_row capability_rows[] = {
    {SBX_CAP_LABELS, "labels", "keep labels"},
    {SBX_CAP_STREAMING, "streaming", "show output while a command runs"},
    {SBX_CAP_STDERR, "stderr", "tell stderr from stdout"},
    {SBX_CAP_STDIN, "stdin", "give input to a command"},
    {SBX_CAP_PTY, "pty", "open a terminal"},
    {SBX_CAP_SIGNAL, "signal", "send signals"},
    {SBX_CAP_BACKGROUND, "background", "run commands in the background"},
    {SBX_CAP_FILES, "files", "transfer and change files"},
    {SBX_CAP_TTL, "ttl", "set a time to live"},
    {SBX_CAP_LIMITS, "limits", "limit cpu, memory, processes or disk"},
    {SBX_CAP_NETWORK, "network", "choose a network policy"},
    {SBX_CAP_MOUNTS, "mounts", "mount directories of this machine"},
    {SBX_CAP_PORTS, "ports", "expose ports"},
    {SBX_CAP_METRICS, "metrics", "measure a sandbox"},
    {SBX_CAP_PAUSE, "pause", "pause and resume"},
    {SBX_CAP_SNAPSHOT, "snapshot", "take snapshots"},
    {SBX_CAP_GPU, "gpu", "give a gpu"},
    {SBX_CAP_PERSISTENT, "persistent", "keep sandboxes beyond this process"},
    {SBX_CAP_USERS, "users", "run commands as another user"},
    {SBX_CAP_REPLAY, "replay", "keep the output of background commands"},
    {SBX_CAP_WATCH, "watch", "tell of changes in directories"},
};

static const struct capability_row *find(uint32_t capability)
{
    for (size_t i = 0; i < ARRAY_SIZE(capability_rows); i++)
        if (capability_rows[i].bit == capability)
            return &capability_rows[i];
    return NULL;
}

const char *sbx_capability_name(uint32_t capability)
{
    const struct capability_row *row = find(capability);
    return row ? row->name : NULL;
}

int capability_missing(const char *provider, uint32_t capability, struct sbx_error *err)
{
    const struct capability_row *row = find(capability);
    err_set(err, SBX_ERR_UNSUPPORTED, "provider '%s' can't %s", provider,
            row ? row->what : "do that");
    err_hint(err, "choose a provider with the capability '%s': 'sandboxes providers' lists them",
             row ? row->name : "?");
    err_origin(err, provider);
    return SBX_ERR_UNSUPPORTED;
}

const char *sbx_state_name(uint32_t state)
{
    static const char *const names[] = {
        [SBX_STATE_UNKNOWN] = "unknown", [SBX_STATE_CREATING] = "creating",
        [SBX_STATE_RUNNING] = "running", [SBX_STATE_PAUSED] = "paused",
        [SBX_STATE_STOPPED] = "stopped", [SBX_STATE_FAILED] = "failed",
    };
    return state < ARRAY_SIZE(names) ? names[state] : NULL;
}

const char *sbx_network_name(uint32_t network)
{
    static const char *const names[] = {
        [SBX_NETWORK_DEFAULT] = "default",   [SBX_NETWORK_NONE] = "none",
        [SBX_NETWORK_INTERNET] = "internet", [SBX_NETWORK_ALLOW] = "allow",
        [SBX_NETWORK_HOST] = "host",
    };
    return network < ARRAY_SIZE(names) ? names[network] : NULL;
}
