// SPDX-License-Identifier: Apache-2.0
// A client from inside: its configuration and its providers. Layer: core.
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include <sandboxes/provider.h>

#include "base/error.h"
#include "core/config.h"
#include "core/registry.h"
#include "core/settings.h"

#define CLIENT_PROVIDERS_MAX 64

// One provider of a client. Its address stays as long as the client.
struct provider {
    struct sbx_client *client;
    struct sbx_provider_ops ops; // own copy: functions that an older program doesn't know are NULL
    char *name, *description;    // what ops points to: copies, a caller's may go away
    struct sbx_settings settings;
    bool detected;
    registry_load_fn *load; // the rest of ops, before the first open
    pthread_mutex_t lock;   // guards opening and probing; taken after the client's, if both are
    bool opened;
    void *handle; // of ops.open, or the payload it was registered with
};

struct sbx_client {
    pthread_mutex_t lock; // guards all below but config, which never changes
    struct config config;
    struct provider *providers[CLIENT_PROVIDERS_MAX];
    size_t count;
    struct provider *chosen; // default provider once known
};

// The provider of this name, the default one for NULL; opened. Errors: NOT_FOUND, INVALID, and
// open's.
int client_provider(struct sbx_client *client, const char *name, struct provider **ret_provider,
                    struct sbx_error *err);

// The same without opening it.
int client_find(struct sbx_client *client, const char *name, struct provider **ret_provider,
                struct sbx_error *err);

// All providers that are configured, opened, in the order of auto-detection. Returns their number.
size_t client_configured(struct sbx_client *client,
                         struct provider *ret_providers[CLIENT_PROVIDERS_MAX]);

// What each call to a provider ends with: puts the provider's name into the error and returns code.
int client_done(const struct provider *provider, int code, struct sbx_error *err);

// UNSUPPORTED naming provider and capability, unless `has`.
int client_need(const struct provider *provider, bool has, uint32_t capability,
                struct sbx_error *err);

// A setting of the configuration file outside of [provider.*], e.g. table "run"; NULL if absent.
const char *client_setting(const struct sbx_client *client, const char *table, const char *key);
