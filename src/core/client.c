// SPDX-License-Identifier: Apache-2.0
// Clients: opening, the default provider, what is known about each provider. Layer: core.
#include "core/client.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "core/capability.h"
#include "core/check.h"
#include "core/registry.h"

const char *sbx_version(void)
{
    return SBX_VERSION;
}

const char *client_setting(const struct sbx_client *client, const char *table, const char *key)
{
    const struct config_entry *entry = config_find(&client->config, table, key);
    return entry ? entry->value : NULL;
}

int client_done(const struct provider *provider, int code, struct sbx_error *err)
{
    if (code >= 0)
        return 0;
    if (err->code != code)
        err_set(err, code, "provider '%s' failed without saying why", provider->ops.name);
    err_origin(err, provider->ops.name);
    return code;
}

int client_need(const struct provider *provider, bool has, uint32_t capability,
                struct sbx_error *err)
{
    return has ? 0 : capability_missing(provider->ops.name, capability, err);
}

// "boxlite" is what decorators call a sandbox under a kernel of its own.
static struct provider *find(const struct sbx_client *client, const char *name)
{
    if (strcmp(name, "boxlite") == 0)
        name = "microvm";
    for (size_t i = 0; i < client->count; i++)
        if (strcmp(client->providers[i]->ops.name, name) == 0)
            return client->providers[i];
    return NULL;
}

static int unknown_provider(const struct sbx_client *client, const char *name,
                            struct sbx_error *err)
{
    char known[256] = "";
    for (size_t i = 0, used = 0; i < client->count && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                                 client->providers[i]->ops.name);
    err_set(err, SBX_ERR_NOT_FOUND, "there is no provider '%.64s'", name);
    return err_hint(err, "choose one of: %s", known);
}

// What every provider must have for the core's calls to make sense. One that is there already need
// not be opened.
static int check_ops(const struct sbx_provider_ops *ops, bool there, struct sbx_error *err)
{
    if (!ops->name || !text_of(ops->name, "abcdefghijklmnopqrstuvwxyz" TEXT_DIGITS "-_", 32))
        return err_set(err, SBX_ERR_INVALID,
                       "ops.name must have 1 to 32 characters of a-z 0-9 - _");
    if ((!there && (!ops->open || !ops->close)) || !ops->create || !ops->get || !ops->list ||
        !ops->list_free || !ops->box_free || !ops->box_id || !ops->info || !ops->destroy)
        return err_set(err, SBX_ERR_INVALID,
                       "provider '%s' lacks one of open, close, create, get, list, list_free, "
                       "box_free, box_id, info, destroy",
                       ops->name);
    if (ops->process_start && (!ops->process_read || !ops->process_free || !ops->process_pid))
        return err_set(err, SBX_ERR_INVALID,
                       "provider '%s' lacks one of process_read, process_free, process_pid",
                       ops->name);
    return 0;
}

static void provider_free(struct provider *provider)
{
    if (provider->opened && provider->ops.close)
        provider->ops.close(provider->handle);
    pthread_mutex_destroy(&provider->lock);
    free(provider->name);
    free(provider->description);
    free(provider);
}

static int new_provider(const struct sbx_provider_ops *ops, bool there, bool loaded_later,
                        struct provider **ret_provider, struct sbx_error *err)
{
    struct sbx_provider_ops full;
    int code = check_struct(&full, sizeof(full), ops, "ops", err);
    if (code == 0 && !loaded_later)
        code = check_ops(&full, there, err);
    if (code < 0)
        return code;
    struct provider *provider = calloc(1, sizeof(*provider));
    if (!provider)
        return err_nomem(err);
    pthread_mutex_init(&provider->lock, NULL);
    provider->name = strdup(full.name);
    provider->description = strdup(full.description ? full.description : "");
    if (!provider->name || !provider->description) {
        provider_free(provider);
        return err_nomem(err);
    }
    provider->ops = full;
    provider->ops.name = provider->name;
    provider->ops.description = provider->description;
    *ret_provider = provider;
    return 0;
}

static int add(struct sbx_client *client, const struct sbx_provider_ops *ops, bool there,
               bool loaded_later, struct provider **ret_provider, struct sbx_error *err)
{
    struct provider *provider;
    int code = new_provider(ops, there, loaded_later, &provider, err);
    if (code < 0)
        return code;
    if (find(client, provider->name))
        code = err_set(err, SBX_ERR_CONFLICT, "there is a provider '%s' already", provider->name);
    else if (client->count == CLIENT_PROVIDERS_MAX)
        code = err_set(err, SBX_ERR_QUOTA, "a client holds at most %d providers",
                       CLIENT_PROVIDERS_MAX);
    if (code < 0) {
        provider_free(provider);
        return code;
    }
    provider->client = client;
    settings_init(&provider->settings, &client->config, provider->name);
    client->providers[client->count++] = provider;
    *ret_provider = provider;
    return 0;
}

static int add_own(struct sbx_client *client, const struct sbx_provider_ops *ops, bool there,
                   void *payload, struct sbx_error *err)
{
    struct provider *provider;
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_not_null(ops, "ops", err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&client->lock);
    code = add(client, ops, there, false, &provider, err);
    if (code == 0 && there) {
        provider->handle = payload;
        provider->opened = true;
    }
    pthread_mutex_unlock(&client->lock);
    return code;
}

int sbx_client_add_provider(struct sbx_client *client, const struct sbx_provider_ops *ops,
                            struct sbx_error *err)
{
    need_error(err);
    return add_own(client, ops, false, NULL, err);
}

int sbx_client_register_provider(struct sbx_client *client, const struct sbx_provider_ops *ops,
                                 void *payload, struct sbx_error *err)
{
    need_error(err);
    return add_own(client, ops, true, payload, err);
}

int sbx_client_set_default(struct sbx_client *client, const char *name, struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_not_null(name, "name", err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&client->lock);
    struct provider *provider = find(client, name);
    if (provider)
        client->chosen = provider;
    else
        code = unknown_provider(client, name, err);
    pthread_mutex_unlock(&client->lock);
    return code;
}

void sbx_client_close(struct sbx_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->count; i++)
        provider_free(client->providers[i]);
    config_deinit(&client->config);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

void sbx_client_forked(struct sbx_client *client)
{
    for (size_t i = 0; client && i < client->count; i++) {
        struct provider *provider = client->providers[i];
        if (provider->opened && provider->ops.forked)
            provider->ops.forked(provider->handle);
    }
}

static void close_client(struct sbx_client **client)
{
    sbx_client_close(*client);
}

// The default provider by name: the option, the environment, the configuration file. NULL: none
// named.
static const char *named_default(const struct sbx_client *client, const char *option,
                                 const char **ret_where)
{
    const char *env = getenv("SANDBOXES_PROVIDER");
    *ret_where = "options.provider";
    if (option)
        return option;
    *ret_where = "SANDBOXES_PROVIDER";
    if (env && env[0])
        return env;
    *ret_where = client->config.path;
    return client_setting(client, "", "provider");
}

static int choose_named(struct sbx_client *client, const char *option, struct sbx_error *err)
{
    const char *where, *name = named_default(client, option, &where);
    if (!name)
        return 0;
    client->chosen = find(client, name);
    if (client->chosen)
        return 0;
    unknown_provider(client, name, err);
    return err_wrap(err, "%s", where);
}

// Unknown settings are errors: a typo must not change what runs where in silence. Those of [run]
// are the command's, which checks them itself.
static int check_config(const struct config *config, struct sbx_error *err)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct config_entry *entry = &config->entries[i];
        bool provider =
            strncmp(entry->table, "provider.", 9) == 0 && !strchr(entry->table + 9, '.');
        bool top = !entry->table[0] && strcmp(entry->key, "provider") == 0;
        if (top && entry->kind != CONFIG_STRING)
            return err_set(err, SBX_ERR_INVALID, "%s:%u: 'provider' must be text in quotes",
                           config->path, entry->line);
        if (provider || top || strcmp(entry->table, "run") == 0 ||
            strcmp(entry->table, "images") == 0)
            continue;
        err_set(err, SBX_ERR_INVALID, "%s:%u: unknown setting '%s%s%s'", config->path, entry->line,
                entry->table, entry->table[0] ? "." : "", entry->key);
        return err_hint(err,
                        "known are 'provider' and the tables [provider.NAME], [run] and [images]");
    }
    return 0;
}

static int fill_client(struct sbx_client *client, const struct sbx_client_options *options,
                       struct sbx_error *err)
{
    if (options->reserved || options->flags & ~(uint32_t)SBX_CLIENT_SETTINGS_FIRST)
        return err_set(err, SBX_ERR_INVALID,
                       "options.flags 0x%x has unknown bits, or reserved is not 0", options->flags);
    int code = config_load(options->config_path, &client->config, err);
    client->config.first = options->flags & SBX_CLIENT_SETTINGS_FIRST;
    if (code == 0)
        code = check_config(&client->config, err);
    for (size_t i = 0; code == 0 && i < registry_count; i++) {
        struct provider *provider;
        const struct registry_row *row = &registry_rows[i];
        code = add(client, row->ops, false, row->load != NULL, &provider, err);
        if (code < 0)
            break;
        provider->detected = row->detected;
        provider->load = row->load;
    }
    return code < 0 ? code : choose_named(client, options->provider, err);
}

int sbx_client_open(const struct sbx_client_options *options, struct sbx_client **ret_client,
                    struct sbx_error *err)
{
    need_error(err);
    struct sbx_client_options full;
    int code = check_struct(&full, sizeof(full), options, "options", err);
    if (code == 0)
        code = check_not_null(ret_client, "ret_client", err);
    if (code < 0)
        return code;
    cleanup(close_client) struct sbx_client *client = calloc(1, sizeof(*client));
    if (!client)
        return err_nomem(err);
    pthread_mutex_init(&client->lock, NULL);
    code = fill_client(client, &full, err);
    if (code < 0)
        return code;
    *ret_client = steal_ptr(client);
    return 0;
}

// The rest of a table of which the registry has the first lines. With the provider's lock held.
static int load_locked(struct provider *provider, struct sbx_error *err)
{
    const struct sbx_provider_ops *ops;
    if (!provider->load)
        return 0;
    int code = provider->load(&provider->settings, &ops, err);
    if (code < 0)
        return code;
    provider->ops = *ops;
    provider->ops.name = provider->name;
    provider->ops.description = provider->description;
    provider->load = NULL;
    return 0;
}

// With the provider's lock held.
static int open_locked(struct provider *provider, struct sbx_error *err)
{
    if (provider->opened)
        return 0;
    int code = load_locked(provider, err);
    if (code == 0)
        code = provider->ops.open(&provider->settings, &provider->handle, err);
    provider->opened = code >= 0;
    return client_done(provider, code, err);
}

static int open_provider(struct provider *provider, struct sbx_error *err)
{
    pthread_mutex_lock(&provider->lock);
    int code = open_locked(provider, err);
    pthread_mutex_unlock(&provider->lock);
    return code;
}

static void describe(struct provider *provider, struct sbx_provider_info *info)
{
    *info = (struct sbx_provider_info){.size = sizeof(*info),
                                       .name = provider->ops.name,
                                       .description = provider->ops.description,
                                       .capabilities = provider->ops.capabilities,
                                       .configured = 1};
}

// With the provider's lock held.
static int probe_locked(struct provider *provider, struct sbx_provider_info *ret_info,
                        struct sbx_error *err)
{
    int code = open_locked(provider, err);
    if (code < 0)
        return code;
    describe(provider, ret_info);
    if (provider->ops.probe)
        code = provider->ops.probe(provider->handle, ret_info, err);
    ret_info->size = sizeof(*ret_info);
    ret_info->name = provider->ops.name;
    ret_info->description = provider->ops.description;
    return client_done(provider, code, err);
}

// A provider that fails to open or to probe is one that is not configured.
static void probe(struct provider *provider, struct sbx_provider_info *ret_info)
{
    struct sbx_error err;
    err_clear(&err);
    pthread_mutex_lock(&provider->lock);
    int code = probe_locked(provider, ret_info, &err);
    pthread_mutex_unlock(&provider->lock);
    if (code == 0)
        return;
    describe(provider, ret_info);
    ret_info->configured = 0;
    snprintf(ret_info->reason, sizeof(ret_info->reason), "%s", err.message);
    snprintf(ret_info->remedy, sizeof(ret_info->remedy), "%s", err.remedy);
}

// With the client's lock held. The last resort isn't probed: it is the answer in any case, and says
// what it lacks.
static struct provider *detect(struct sbx_client *client)
{
    for (size_t i = 0; i < client->count; i++) {
        struct provider *provider = client->providers[i];
        if (strcmp(provider->ops.name, REGISTRY_LAST_RESORT) == 0)
            break;
        struct sbx_provider_info info;
        if (!provider->detected)
            continue;
        probe(provider, &info);
        if (info.configured)
            return provider;
    }
    return find(client, REGISTRY_LAST_RESORT);
}

static struct provider *default_provider(struct sbx_client *client)
{
    if (!client->chosen) {
        client->chosen = detect(client);
        if (client->chosen)
            log_debug("core", "default provider: %s", client->chosen->ops.name);
    }
    return client->chosen;
}

const char *sbx_client_default_provider(const struct sbx_client *client)
{
    // Found out on first use, since probing has a cost; the lock makes that safe behind the const.
    struct sbx_client *self = (struct sbx_client *)(uintptr_t)client;
    if (!self)
        return NULL;
    pthread_mutex_lock(&self->lock);
    struct provider *provider = default_provider(self);
    pthread_mutex_unlock(&self->lock);
    return provider ? provider->ops.name : REGISTRY_LAST_RESORT;
}

int client_find(struct sbx_client *client, const char *name, struct provider **ret_provider,
                struct sbx_error *err)
{
    int code = check_not_null(client, "client", err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&client->lock);
    struct provider *provider = name ? find(client, name) : default_provider(client);
    if (!provider)
        code = unknown_provider(client, name ? name : REGISTRY_LAST_RESORT, err);
    pthread_mutex_unlock(&client->lock);
    if (code == 0)
        *ret_provider = provider;
    return code;
}

int client_provider(struct sbx_client *client, const char *name, struct provider **ret_provider,
                    struct sbx_error *err)
{
    struct provider *provider;
    int code = client_find(client, name, &provider, err);
    if (code == 0)
        code = open_provider(provider, err);
    if (code == 0)
        *ret_provider = provider;
    return code;
}

size_t client_configured(struct sbx_client *client,
                         struct provider *ret_providers[CLIENT_PROVIDERS_MAX])
{
    size_t known = sbx_provider_count(client), count = 0;
    for (size_t i = 0; i < known; i++) {
        struct sbx_provider_info info;
        probe(client->providers[i], &info); // an entry stays, once it is counted
        if (info.configured)
            ret_providers[count++] = client->providers[i];
    }
    return count;
}

size_t sbx_provider_count(const struct sbx_client *client)
{
    struct sbx_client *self = (struct sbx_client *)(uintptr_t)client;
    if (!self)
        return 0;
    pthread_mutex_lock(&self->lock);
    size_t count = self->count;
    pthread_mutex_unlock(&self->lock);
    return count;
}

int sbx_provider_get(struct sbx_client *client, size_t index, struct sbx_provider_info *ret_info,
                     struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_not_null(ret_info, "ret_info", err);
    if (code == 0)
        code = check_room(ret_info->size, "ret_info", err);
    if (code < 0)
        return code;
    if (index >= sbx_provider_count(client))
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no provider number %zu", index);
    struct sbx_provider_info info;
    probe(client->providers[index], &info);
    check_give(ret_info, ret_info->size, &info, sizeof(info));
    return 0;
}
