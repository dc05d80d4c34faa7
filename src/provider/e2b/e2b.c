// SPDX-License-Identifier: Apache-2.0
// The provider `e2b`: its table and settings. Layer: provider.
#include "provider/e2b/e2b.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "core/settings.h"
#include "net/keys.h"
#include "provider/cloud/commands.h"
#include "provider/e2b/row.h"

#define DEBUG_API "http://localhost:3000"
#define LEASH_LEAST_S 2
#define LEASH_MOST_S 3600
#define LEASH_RENEWALS 4 // within a tied sandbox's life: two may be lost

static void e2b_close(void *provider)
{
    struct e2b *e2b = provider;
    leashbook_deinit(&e2b->leashes);
    cloud_reapers_deinit(&e2b->reapers);
    http_close(e2b->http);
    cloud_key_free(e2b->key);
    free(e2b->api);
    free(e2b->domain);
    free(e2b->sandbox_url);
    free(e2b);
}

static int read_key(const struct sbx_settings *settings, struct e2b *e2b, struct sbx_error *err)
{
    int code = cloud_key(settings, "E2B_API_KEY", &e2b->key, err);
    if (code == 0 && !e2b->key && !e2b->debug)
        return err_set(err, SBX_ERR_AUTH, "E2B_API_KEY is not set");
    return code;
}

static int read_addresses(const struct sbx_settings *settings, struct e2b *e2b,
                          struct sbx_error *err)
{
    const char *domain = keys_get(settings, "E2B_DOMAIN", "domain");
    const char *api = keys_get(settings, "E2B_API_URL", "api_url");
    const char *url = keys_get(settings, "E2B_SANDBOX_URL", "sandbox_url");
    char made[300];
    e2b->domain = strdup(domain ? domain : "e2b.app");
    if (!e2b->domain)
        return err_nomem(err);
    snprintf(made, sizeof(made), "https://api.%.250s", e2b->domain);
    e2b->api = cloud_without_slash(api ? api : e2b->debug ? DEBUG_API : made);
    e2b->sandbox_url = url ? cloud_without_slash(url) : NULL;
    return !e2b->api || (url && !e2b->sandbox_url) ? err_nomem(err) : 0;
}

static int read_leash(const struct sbx_settings *settings, struct e2b *e2b, struct sbx_error *err)
{
    const char *text = keys_get(settings, "SANDBOXES_E2B_TIED_LIFE", "tied_life");
    char *end = NULL;
    e2b->leash_s = text ? strtoll(text, &end, 10) : LEASH_S;
    return (end && *end) || e2b->leash_s < LEASH_LEAST_S || e2b->leash_s > LEASH_MOST_S
               ? err_set(err, SBX_ERR_INVALID,
                         "[provider.e2b] tied_life is %d to %d seconds, not '%s'", LEASH_LEAST_S,
                         LEASH_MOST_S, text)
               : 0;
}

static int e2b_open(const struct sbx_settings *settings, void **ret_provider, struct sbx_error *err)
{
    static const char *const keys[] = {"api_key", "api_key_file", "api_url",
                                       "domain",  "sandbox_url",  "debug",
                                       "ca_file", "proxy",        "tied_life"};
    int code = settings_only(settings, keys, ARRAY_SIZE(keys), err);
    if (code < 0)
        return code;
    struct e2b *e2b = calloc(1, sizeof(*e2b));
    if (!e2b)
        return err_nomem(err);
    e2b->reapers = (struct cloud_reapers){
        .name = E2B_NAME, .provider = e2b, .list = e2b_list_boxes, .remove = e2b_control_delete};
    cloud_reapers_init(&e2b->reapers);
    e2b->debug = keys_true(keys_get(settings, "E2B_DEBUG", "debug"));
    code = read_leash(settings, e2b, err);
    leashbook_init(&e2b->leashes, e2b_control_renew, e2b_control_end, e2b,
                   e2b->leash_s * 1000 / LEASH_RENEWALS);
    if (code == 0)
        code = read_key(settings, e2b, err);
    if (code == 0)
        code = read_addresses(settings, e2b, err);
    struct http_options options = {.user_agent = "sandboxes/" SBX_VERSION,
                                   .ca_file = sbx_settings_get(settings, "ca_file"),
                                   .proxy = sbx_settings_get(settings, "proxy")};
    if (code == 0)
        code = http_open(&options, &e2b->http, err);
    if (code < 0) {
        e2b_close(e2b);
        return code;
    }
    *ret_provider = e2b;
    return 0;
}

// Contacts nobody: a wrong key shows at the first call.
static int e2b_probe(void *provider, struct sbx_provider_info *ret_info, struct sbx_error *err)
{
    const struct e2b *e2b = provider;
    snprintf(ret_info->reason, sizeof(ret_info->reason), "at %.400s", e2b->api);
    return 0;
}

extern const struct sbx_provider_ops e2b_ops;
const struct sbx_provider_ops e2b_ops = {
    .size = sizeof(e2b_ops),
    .name = E2B_NAME,
    .description = E2B_DESCRIPTION,
    .capabilities = E2B_CAPABILITIES,
    .open = e2b_open,
    .close = e2b_close,
    .probe = e2b_probe,
    .create = e2b_control_create,
    .get = e2b_control_get,
    .list = e2b_list_boxes,
    .list_free = cloud_list_free,
    .lock = cloud_lock,
    .unlock = cloud_unlock,
    .box_free = e2b_box_unref,
    .box_id = e2b_box_id,
    .info = e2b_control_info,
    .destroy = e2b_control_destroy,
    .set_ttl = e2b_control_set_ttl,
    .metrics = e2b_envd_metrics,
    .expose = e2b_envd_expose,
    .pause = e2b_control_pause,
    .resume = e2b_control_resume,
    .process_start = e2b_process_start,
    .process_attach = e2b_process_attach,
    .process_pid = e2b_process_pid,
    .process_read = e2b_process_read,
    .process_write = e2b_process_write,
    .process_close_input = e2b_process_close_input,
    .process_resize = e2b_process_resize,
    .process_signal = e2b_process_signal,
    .process_free = e2b_process_free,
    .process_list = e2b_process_list,
    .process_list_free = cloud_commands_free,
    .file_write = e2b_file_write,
    .file_read = e2b_file_read,
    .file_upload = e2b_file_upload,
    .file_download = e2b_file_download,
    .file_stat = e2b_file_stat,
    .file_list = e2b_file_list,
    .file_list_free = e2b_file_list_free,
    .file_mkdir = e2b_file_mkdir,
    .file_remove = e2b_file_remove,
    .file_rename = e2b_file_rename,
    .watch_start = e2b_watch_start,
    .watch_next = e2b_watch_next,
    .watch_free = e2b_watch_free,
};
