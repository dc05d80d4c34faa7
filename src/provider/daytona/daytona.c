// SPDX-License-Identifier: Apache-2.0
// The provider `daytona`: its table and settings. Layer: provider.
#include "provider/daytona/daytona.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/settings.h"
#include "net/keys.h"
#include "provider/cloud/commands.h"
#include "provider/daytona/row.h"

#define DEFAULT_API "https://app.daytona.io/api"
#define MINUTES_MAX 1000000

static void daytona_close(void *provider)
{
    struct daytona *daytona = provider;
    leashbook_deinit(&daytona->leashes);
    cloud_reapers_deinit(&daytona->reapers);
    http_close(daytona->http);
    cloud_key_free(daytona->key);
    free(daytona->api);
    free(daytona->organization);
    free(daytona->target);
    free(daytona);
}

static int read_key(const struct sbx_settings *settings, struct daytona *daytona,
                    struct sbx_error *err)
{
    const char *jwt = keys_get(settings, "DAYTONA_JWT_TOKEN", NULL);
    const char *organization = keys_get(settings, "DAYTONA_ORGANIZATION_ID", "organization");
    int code = cloud_key(settings, "DAYTONA_API_KEY", &daytona->key, err);
    if (code < 0)
        return code;
    if (!daytona->key && jwt && !(daytona->key = strdup(jwt)))
        return err_nomem(err);
    if (!daytona->key)
        return err_set(err, SBX_ERR_AUTH, "DAYTONA_API_KEY is not set");
    daytona->organization = organization ? strdup(organization) : NULL;
    return organization && !daytona->organization ? err_nomem(err) : 0;
}

static int read_addresses(const struct sbx_settings *settings, struct daytona *daytona,
                          struct sbx_error *err)
{
    const char *api = keys_get(settings, "DAYTONA_API_URL", "api_url");
    const char *target = keys_get(settings, "DAYTONA_TARGET", "target");
    if (!api)
        api = keys_get(settings, "DAYTONA_SERVER_URL", NULL); // its older name
    daytona->api = cloud_without_slash(api ? api : DEFAULT_API);
    daytona->target = target ? strdup(target) : NULL;
    return !daytona->api || (target && !daytona->target) ? err_nomem(err) : 0;
}

static int read_minutes(const struct sbx_settings *settings, const char *key, int64_t least,
                        int64_t *ret_minutes, struct sbx_error *err)
{
    const char *text = sbx_settings_get(settings, key);
    char *end;
    *ret_minutes = AS_IT_IS;
    if (!text)
        return 0;
    *ret_minutes = strtoll(text, &end, 10);
    if (!text[0] || *end || *ret_minutes < least || *ret_minutes > MINUTES_MAX)
        return err_set(err, SBX_ERR_INVALID,
                       "[provider.daytona] %s is a number of minutes, not '%s'", key, text);
    return 0;
}

static int read_pause(const struct sbx_settings *settings, struct daytona *daytona,
                      struct sbx_error *err)
{
    const char *text = sbx_settings_get(settings, "pause");
    daytona->archive = text && strcmp(text, "archive") == 0;
    return !text || daytona->archive || strcmp(text, "stop") == 0
               ? 0
               : err_set(err, SBX_ERR_INVALID,
                         "[provider.daytona] pause is \"stop\" or \"archive\", not '%s'", text);
}

static int read_plain(const struct sbx_settings *settings, struct daytona *daytona,
                      struct sbx_error *err)
{
    const char *text = keys_get(settings, "SANDBOXES_DAYTONA_PLAIN", "plain");
    daytona->plain = text && strcmp(text, "true") == 0;
    return !text || daytona->plain || strcmp(text, "false") == 0
               ? 0
               : err_set(err, SBX_ERR_INVALID,
                         "[provider.daytona] plain is \"true\" or \"false\", not '%s'", text);
}

static int read_settings(const struct sbx_settings *settings, struct daytona *daytona,
                         struct sbx_error *err)
{
    int code = read_key(settings, daytona, err);
    if (code == 0)
        code = read_addresses(settings, daytona, err);
    if (code == 0)
        code = read_minutes(settings, "auto_stop", 0, &daytona->auto_stop, err);
    if (code == 0)
        code = read_minutes(settings, "auto_archive", 0, &daytona->auto_archive, err);
    if (code == 0)
        code = read_minutes(settings, "auto_delete", -1, &daytona->auto_delete, err);
    if (code == 0)
        code = read_pause(settings, daytona, err);
    if (code == 0)
        code = read_plain(settings, daytona, err);
    return code;
}

static int daytona_open(const struct sbx_settings *settings, void **ret_provider,
                        struct sbx_error *err)
{
    static const char *const keys[] = {"api_key", "api_key_file", "api_url",      "organization",
                                       "target",  "auto_stop",    "auto_archive", "auto_delete",
                                       "pause",   "plain",        "ca_file",      "proxy"};
    int code = settings_only(settings, keys, ARRAY_SIZE(keys), err);
    if (code < 0)
        return code;
    struct daytona *daytona = calloc(1, sizeof(*daytona));
    if (!daytona)
        return err_nomem(err);
    daytona->reapers = (struct cloud_reapers){.name = DAYTONA_NAME,
                                              .provider = daytona,
                                              .list = daytona_list_boxes,
                                              .remove = daytona_control_delete};
    cloud_reapers_init(&daytona->reapers);
    leashbook_init(&daytona->leashes, daytona_control_renew, daytona_control_end, daytona,
                   LEASH_MS);
    code = read_settings(settings, daytona, err);
    struct http_options options = {.user_agent = "sandboxes/" SBX_VERSION,
                                   .ca_file = sbx_settings_get(settings, "ca_file"),
                                   .proxy = sbx_settings_get(settings, "proxy")};
    if (code == 0)
        code = http_open(&options, &daytona->http, err);
    if (code < 0) {
        daytona_close(daytona);
        return code;
    }
    *ret_provider = daytona;
    return 0;
}

// Contacts nobody: a wrong key shows at the first call.
static int daytona_probe(void *provider, struct sbx_provider_info *ret_info, struct sbx_error *err)
{
    const struct daytona *daytona = provider;
    snprintf(ret_info->reason, sizeof(ret_info->reason), "at %.400s", daytona->api);
    return 0;
}

extern const struct sbx_provider_ops daytona_ops;
const struct sbx_provider_ops daytona_ops = {
    .size = sizeof(daytona_ops),
    .name = DAYTONA_NAME,
    .description = DAYTONA_DESCRIPTION,
    .capabilities = DAYTONA_CAPABILITIES,
    .open = daytona_open,
    .close = daytona_close,
    .probe = daytona_probe,
    .create = daytona_control_create,
    .get = daytona_control_get,
    .list = daytona_list_boxes,
    .list_free = cloud_list_free,
    .lock = cloud_lock,
    .unlock = cloud_unlock,
    .box_free = daytona_box_unref,
    .box_id = daytona_box_id,
    .info = daytona_control_info,
    .destroy = daytona_control_destroy,
    .metrics = daytona_metrics,
    .expose = daytona_control_expose,
    .pause = daytona_control_pause,
    .resume = daytona_control_resume,
    .process_start = daytona_process_start,
    .process_attach = daytona_process_attach,
    .process_pid = daytona_process_pid,
    .process_read = daytona_process_read,
    .process_write = daytona_process_write,
    .process_close_input = daytona_process_close_input,
    .process_resize = daytona_process_resize,
    .process_signal = daytona_process_signal,
    .process_free = daytona_process_free,
    .process_list = daytona_process_list,
    .process_list_free = cloud_commands_free,
    .file_write = daytona_file_write,
    .file_read = daytona_file_read,
    .file_upload = daytona_file_upload,
    .file_download = daytona_file_download,
    .file_stat = daytona_file_stat,
    .file_list = daytona_file_list,
    .file_list_free = daytona_file_list_free,
    .file_mkdir = daytona_file_mkdir,
    .file_remove = daytona_file_remove,
    .file_rename = daytona_file_rename,
    .process_run = daytona_process_run,
    .process_follow = daytona_process_follow,
};
