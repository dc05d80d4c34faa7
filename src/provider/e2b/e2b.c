// SPDX-License-Identifier: Apache-2.0
// The provider `e2b`: its table and settings. Layer: provider.
#include "provider/e2b/e2b.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "core/settings.h"
#include "engine/lock.h"
#include "engine/store.h"
#include "net/keys.h"
#include "provider/e2b/row.h"

#define DEBUG_API "http://localhost:3000"

static void e2b_close(void *provider)
{
    struct e2b *e2b = provider;
    leashbook_deinit(&e2b->leashes);
    pthread_mutex_lock(&e2b->lock);
    while (e2b->reapers > 0)
        pthread_cond_wait(&e2b->idle, &e2b->lock);
    pthread_mutex_unlock(&e2b->lock);
    http_close(e2b->http);
    if (e2b->key)
        explicit_bzero(e2b->key, strlen(e2b->key));
    free(e2b->key);
    free(e2b->api);
    free(e2b->domain);
    free(e2b->sandbox_url);
    pthread_mutex_destroy(&e2b->lock);
    pthread_cond_destroy(&e2b->idle);
    free(e2b);
}

// A key in a file that others can read is no secret any more.
static int read_key_file(const char *path, char key[512], struct sbx_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 077)) {
        err_set(err, SBX_ERR_DENIED, "others can read the key in '%s'", path);
        return err_hint(err, "run: chmod 600 '%s'", path);
    }
    if (fd_read_file(AT_FDCWD, path, key, 512) < 0)
        return err_sys(err, 0, errno, "cannot read the key in '%s'", path);
    key[strcspn(key, "\r\n")] = '\0';
    return 0;
}

static int read_key(const struct sbx_settings *settings, struct e2b *e2b, struct sbx_error *err)
{
    char text[512];
    const char *key = keys_get(settings, "E2B_API_KEY", "api_key");
    const char *file = sbx_settings_get(settings, "api_key_file");
    if (!key && file) {
        int code = read_key_file(file, text, err);
        if (code < 0)
            return code;
        key = text;
    }
    if (!key && e2b->debug)
        return 0;
    if (!key)
        return err_set(err, SBX_ERR_AUTH, "E2B_API_KEY is not set");
    e2b->key = strdup(key);
    return e2b->key ? 0 : err_nomem(err);
}

static char *without_slash(const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '/')
        size--;
    return strndup(text, size);
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
    e2b->api = without_slash(api ? api : e2b->debug ? DEBUG_API : made);
    e2b->sandbox_url = url ? without_slash(url) : NULL;
    return !e2b->api || (url && !e2b->sandbox_url) ? err_nomem(err) : 0;
}

static int e2b_open(const struct sbx_settings *settings, void **ret_provider, struct sbx_error *err)
{
    static const char *const keys[] = {"api_key",     "api_key_file", "api_url", "domain",
                                       "sandbox_url", "debug",        "ca_file", "proxy"};
    int code = settings_only(settings, keys, ARRAY_SIZE(keys), err);
    if (code < 0)
        return code;
    struct e2b *e2b = calloc(1, sizeof(*e2b));
    if (!e2b)
        return err_nomem(err);
    pthread_mutex_init(&e2b->lock, NULL);
    pthread_cond_init(&e2b->idle, NULL);
    leashbook_init(&e2b->leashes, e2b_control_renew, e2b_control_end, e2b, LEASH_MS);
    e2b->debug = keys_true(keys_get(settings, "E2B_DEBUG", "debug"));
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

// E2B has no exclusion of its own: one for the processes of this machine.
static int e2b_lock(void *provider, const struct sbx_pair *labels, size_t label_count,
                    const struct sbx_call *call, void **ret_lock, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    struct label_lock *lock;
    int code = store_open(&store, err);
    if (code == 0)
        code = lock_labels(store.fd, labels, label_count, deadline_from_call(call), &lock, err);
    if (code == 0)
        *ret_lock = lock;
    return code;
}

static void e2b_unlock(void *lock)
{
    lock_release(lock);
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
    .list_free = e2b_list_free,
    .lock = e2b_lock,
    .unlock = e2b_unlock,
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
    .process_list_free = e2b_process_list_free,
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
};
