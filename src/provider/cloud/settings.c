// SPDX-License-Identifier: Apache-2.0
// Settings of providers of services, and their exclusion. Layer: provider.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/lock.h"
#include "engine/store.h"
#include "net/keys.h"
#include "provider/cloud/cloud.h"

#define KEY_SIZE 4096

// A key in a file that others can read is no secret any more.
static int read_key_file(const char *path, char key[KEY_SIZE], struct sbx_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 077)) {
        err_set(err, SBX_ERR_DENIED, "others can read the key in '%s'", path);
        return err_hint(err, "run: chmod 600 '%s'", path);
    }
    if (fd_read_file(AT_FDCWD, path, key, KEY_SIZE) < 0)
        return err_sys(err, 0, errno, "cannot read the key in '%s'", path);
    key[strcspn(key, "\r\n")] = '\0';
    return 0;
}

int cloud_key(const struct sbx_settings *settings, const char *env, char **ret_key,
              struct sbx_error *err)
{
    char text[KEY_SIZE];
    const char *key = keys_get(settings, env, "api_key");
    const char *file = sbx_settings_get(settings, "api_key_file");
    if (!key && file) {
        int code = read_key_file(file, text, err);
        if (code < 0)
            return code;
        key = text;
    }
    *ret_key = key ? strdup(key) : NULL;
    explicit_bzero(text, sizeof(text));
    return key && !*ret_key ? err_nomem(err) : 0;
}

void cloud_key_free(char *key)
{
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
}

char *cloud_without_slash(const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '/')
        size--;
    return strndup(text, size);
}

bool cloud_is_name(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    return size > 0 && size < 200 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") ==
               size;
}

struct deadline cloud_deadline(const struct sbx_call *call)
{
    return deadline_min(deadline_from_call(call), clock_boot_ms() + REQUEST_MS);
}

int cloud_lock(void *provider, const struct sbx_pair *labels, size_t label_count,
               const struct sbx_call *call, void **ret_lock, struct sbx_error *err)
{
    struct label_lock *lock;
    int code = store_lock_labels(labels, label_count, deadline_from_call(call), &lock, err);
    if (code == 0)
        *ret_lock = lock;
    return code;
}

void cloud_unlock(void *lock)
{
    lock_release(lock);
}
