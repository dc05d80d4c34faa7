// SPDX-License-Identifier: Apache-2.0
// The provider "fake": its table, settings and end. Layer: provider.
#include "provider/fake/fake.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/settings.h"
#include "provider/fake/watch.h"

void fake_lock(struct fake_provider *provider)
{
    pthread_mutex_lock(&provider->lock);
}

void fake_unlock(struct fake_provider *provider)
{
    pthread_mutex_unlock(&provider->lock);
}

static int read_error(const struct sbx_settings *settings, const char *key, int *ret_code,
                      struct sbx_error *err)
{
    const char *name = sbx_settings_get(settings, key);
    *ret_code = SBX_ERR_UNAVAILABLE;
    if (!name)
        return 0;
    for (int code = -1; code >= SBX_ERR_LAST; code--)
        if (strcmp(sbx_code_name(code), name) == 0) {
            *ret_code = code;
            return 0;
        }
    return err_set(err, SBX_ERR_INVALID, "%s: '%s' is not the name of an error", key, name);
}

static int read_settings(const struct sbx_settings *settings, struct fake_provider *provider,
                         struct sbx_error *err)
{
    const struct {
        const char *key;
        int64_t *value;
    } numbers[] = {
        {"create_delay_ms", &provider->create_delay_ms},
        {"create_failures", &provider->create_failures},
        {"exec_failures", &provider->exec_failures},
        {"max_sandboxes", &provider->max_sandboxes},
        {"retry_after_ms", &provider->retry_after_ms},
    };
    static const char *const keys[] = {
        "create_delay_ms", "create_failures", "exec_failures", "max_sandboxes",
        "retry_after_ms",  "create_error",    "exec_error",    "configured",
    };
    int code = settings_only(settings, keys, ARRAY_SIZE(keys), err);
    for (size_t i = 0; code == 0 && i < ARRAY_SIZE(numbers); i++)
        code = settings_integer(settings, numbers[i].key, 0, 0, 1000000000, numbers[i].value, err);
    if (code == 0)
        code = read_error(settings, "create_error", &provider->create_error, err);
    if (code == 0)
        code = read_error(settings, "exec_error", &provider->exec_error, err);
    const char *configured = sbx_settings_get(settings, "configured");
    provider->configured = !configured || strcmp(configured, "false") != 0;
    return code;
}

static int fake_open(const struct sbx_settings *settings, void **ret_provider,
                     struct sbx_error *err)
{
    cleanup_free struct fake_provider *provider = calloc(1, sizeof(*provider));
    if (!provider)
        return err_nomem(err);
    int code = read_settings(settings, provider, err);
    if (code < 0)
        return code;
    pthread_mutex_init(&provider->lock, NULL);
    pthread_cond_init(&provider->idle, NULL);
    *ret_provider = steal_ptr(provider);
    return 0;
}

static void fake_close(void *self)
{
    struct fake_provider *provider = self;
    fake_lock(provider);
    while (provider->boxes)
        fake_box_end(provider->boxes);
    fake_snapshots_free(provider);
    fake_unlock(provider);
    pthread_mutex_destroy(&provider->lock);
    pthread_cond_destroy(&provider->idle);
    free(provider);
}

static int fake_probe(void *self, struct sbx_provider_info *ret_info, struct sbx_error *err)
{
    const struct fake_provider *provider = self;
    ret_info->configured = provider->configured;
    snprintf(ret_info->reason, sizeof(ret_info->reason), "%s",
             provider->configured ? "for tests: nothing runs, commands are imitated"
                                  : "switched off by its setting 'configured'");
    if (!provider->configured)
        snprintf(ret_info->remedy, sizeof(ret_info->remedy),
                 "remove 'configured' from [provider.fake] of the configuration");
    return 0;
}

const struct sbx_provider_ops provider_fake = {
    .size = sizeof(struct sbx_provider_ops),
    .name = "fake",
    .description = "imitation in memory, for tests: no isolation, no real programs",
    .capabilities = SBX_CAP_LABELS | SBX_CAP_STREAMING | SBX_CAP_STDERR | SBX_CAP_STDIN |
                    SBX_CAP_PTY | SBX_CAP_SIGNAL | SBX_CAP_BACKGROUND | SBX_CAP_FILES |
                    SBX_CAP_TTL | SBX_CAP_METRICS | SBX_CAP_SNAPSHOT | SBX_CAP_USERS |
                    SBX_CAP_REPLAY | SBX_CAP_WATCH,
    .open = fake_open,
    .close = fake_close,
    .probe = fake_probe,
    .create = fake_create,
    .get = fake_get,
    .list = fake_list,
    .list_free = fake_list_free,
    .lock = fake_lock_labels,
    .unlock = fake_unlock_labels,
    .box_free = fake_box_free,
    .box_id = fake_box_id,
    .info = fake_info,
    .destroy = fake_destroy,
    .set_ttl = fake_set_ttl,
    .metrics = fake_metrics,
    .process_start = fake_process_start,
    .process_attach = fake_process_attach,
    .process_pid = fake_process_pid,
    .process_read = fake_process_read,
    .process_write = fake_process_write,
    .process_close_input = fake_process_close_input,
    .process_resize = fake_process_resize,
    .process_signal = fake_process_signal,
    .process_free = fake_process_free,
    .process_list = fake_process_list,
    .process_list_free = fake_process_list_free,
    .file_write = fake_file_write,
    .file_read = fake_file_read,
    .file_upload = fake_file_upload,
    .file_download = fake_file_download,
    .file_stat = fake_file_stat,
    .file_list = fake_file_list,
    .file_list_free = fake_file_list_free,
    .file_mkdir = fake_file_mkdir,
    .file_remove = fake_file_remove,
    .file_rename = fake_file_rename,
    .snapshot = fake_snapshot,
    .snapshot_remove = fake_snapshot_remove,
    .fork = fake_fork,
    .watch_start = fake_watch_start,
    .watch_next = fake_watch_next,
    .watch_free = fake_watch_free,
};
