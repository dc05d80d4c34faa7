// SPDX-License-Identifier: Apache-2.0
// API keys. Layer: serve.
#include "serve/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/text.h"

#define FILE_NAME "keys"
#define FILE_NEXT "keys.new"
#define FILE_MAX (512 * 1024)

void keys_init(struct keys *keys, int dir_fd)
{
    *keys = (struct keys){.dir_fd = dir_fd};
    pthread_mutex_init(&keys->lock, NULL);
}

void keys_deinit(struct keys *keys)
{
    pthread_mutex_destroy(&keys->lock);
    free(keys->items);
}

static bool parse_line(char *line, struct key *key)
{
    int at = 0;
    *key = (struct key){0};
    if (sscanf(line, "%15s %64s %" SCNd64 " %n", key->id, key->hash, &key->created_ms, &at) < 3)
        return false;
    snprintf(key->name, sizeof(key->name), "%s", line + at);
    return strlen(key->hash) == SHA256_HEX_SIZE - 1;
}

static int parse(char *text, struct key **ret_items, size_t *ret_count, struct sbx_error *err)
{
    cleanup_free struct key *items = calloc(KEYS_MAX, sizeof(*items));
    size_t count = 0;
    char *rest = text;
    if (!items)
        return err_nomem(err);
    for (char *line; (line = strsep(&rest, "\n")) && count < KEYS_MAX;)
        if (line[0] && parse_line(line, &items[count]))
            count++;
    *ret_items = steal_ptr(items);
    *ret_count = count;
    return 0;
}

// Under the lock.
static int reload(struct keys *keys, struct sbx_error *err)
{
    struct stat status;
    if (fstatat(keys->dir_fd, FILE_NAME, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        keys->count = 0;
        return errno == ENOENT ? 0 : err_sys(err, 0, errno, "cannot read the keys");
    }
    if (memcmp(&status.st_mtim, &keys->changed, sizeof(keys->changed)) == 0)
        return 0;
    if (status.st_mode & 077)
        return err_set(err, SBX_ERR_DENIED, "the file of keys can be read by others");
    cleanup_free char *text = malloc(FILE_MAX);
    if (!text)
        return err_nomem(err);
    if (fd_read_file(keys->dir_fd, FILE_NAME, text, FILE_MAX) < 0)
        return err_sys(err, 0, errno, "cannot read the keys");
    struct key *items = NULL;
    size_t count = 0;
    int code = parse(text, &items, &count, err);
    if (code < 0)
        return code;
    free(keys->items);
    keys->items = items;
    keys->count = count;
    keys->changed = status.st_mtim;
    return 0;
}

int keys_load(struct keys *keys, struct sbx_error *err)
{
    pthread_mutex_lock(&keys->lock);
    int code = reload(keys, err);
    pthread_mutex_unlock(&keys->lock);
    return code;
}

static int save(struct keys *keys, struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(FILE_MAX);
    for (size_t i = 0; i < keys->count; i++)
        buf_printf(&buf, "%s %s %" PRId64 " %s\n", keys->items[i].id, keys->items[i].hash,
                   keys->items[i].created_ms, keys->items[i].name);
    cleanup_fd int fd = openat(keys->dir_fd, FILE_NEXT,
                               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (buf.failed || fd < 0 || fd_write_full(fd, buf.data ? buf.data : "", buf.size) < 0 ||
        renameat(keys->dir_fd, FILE_NEXT, keys->dir_fd, FILE_NAME) < 0)
        return err_sys(err, 0, errno, "cannot keep the keys");
    return 0;
}

static void hash_text(const char *text, char ret_hex[SHA256_HEX_SIZE])
{
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, text, strlen(text));
    sha256_final(&hash, digest);
    sha256_hex(digest, ret_hex);
}

static int make_key(char ret_key[KEY_SIZE], struct sbx_error *err)
{
    uint8_t data[20];
    if (id_random(data, sizeof(data)) < 0)
        return err_sys(err, 0, errno, "cannot make a key");
    memcpy(ret_key, "e2b_", 5);
    for (size_t i = 0; i < sizeof(data); i++)
        snprintf(ret_key + 4 + 2 * i, 3, "%02x", data[i]);
    return 0;
}

static int add_row(struct keys *keys, const struct key *key, struct sbx_error *err)
{
    int code = reload(keys, err);
    if (code < 0)
        return code;
    if (keys->count == KEYS_MAX)
        return err_set(err, SBX_ERR_QUOTA, "there are %d keys already", KEYS_MAX);
    struct key *items = realloc(keys->items, KEYS_MAX * sizeof(*items));
    if (!items)
        return err_nomem(err);
    keys->items = items;
    items[keys->count++] = *key;
    return save(keys, err);
}

int keys_create(struct keys *keys, const char *name, char ret_key[KEY_SIZE], struct key *ret_row,
                struct sbx_error *err)
{
    struct key key = {.created_ms = clock_unix_ms()};
    char id[ID_SIZE];
    if (text_has_control(name, strlen(name)) || strlen(name) >= sizeof(key.name))
        return err_set(err, SBX_ERR_INVALID, "the name of a key has up to %d printable characters",
                       KEY_NAME_SIZE - 1);
    int code = make_key(ret_key, err);
    if (code < 0)
        return code;
    if (id_new(id) < 0)
        return err_sys(err, 0, errno, "cannot make a key");
    snprintf(key.id, sizeof(key.id), "key-%.8s", id + 3);
    snprintf(key.name, sizeof(key.name), "%s", name);
    hash_text(ret_key, key.hash);
    pthread_mutex_lock(&keys->lock);
    code = add_row(keys, &key, err);
    pthread_mutex_unlock(&keys->lock);
    if (code == 0)
        *ret_row = key;
    return code;
}

static int drop_row(struct keys *keys, const char *id, struct sbx_error *err)
{
    int code = reload(keys, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->items[i].id, id) != 0)
            continue;
        memmove(&keys->items[i], &keys->items[i + 1], (--keys->count - i) * sizeof(*keys->items));
        return save(keys, err);
    }
    err_set(err, SBX_ERR_NOT_FOUND, "there is no key '%s'", id);
    return err_hint(err, "'sandboxes serve key list' shows them");
}

int keys_revoke(struct keys *keys, const char *id, struct sbx_error *err)
{
    pthread_mutex_lock(&keys->lock);
    int code = drop_row(keys, id, err);
    pthread_mutex_unlock(&keys->lock);
    return code;
}

bool keys_equal(const char *a, const char *b)
{
    size_t size = strlen(a);
    if (strlen(b) != size)
        return false;
    unsigned char differs = 0;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

bool keys_check(struct keys *keys, const char *text, char ret_id[KEY_ID_SIZE])
{
    char hash[SHA256_HEX_SIZE];
    struct sbx_error err;
    bool found = false;
    hash_text(text, hash);
    pthread_mutex_lock(&keys->lock);
    // What can't be read opens nothing.
    if (reload(keys, &err) == 0)
        for (size_t i = 0; i < keys->count; i++)
            if (keys_equal(keys->items[i].hash, hash)) {
                found = true;
                memcpy(ret_id, keys->items[i].id, KEY_ID_SIZE);
            }
    pthread_mutex_unlock(&keys->lock);
    return found;
}

void keys_hmac(const void *key, size_t key_size, const void *text, size_t size,
               uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t pad[64] = {0};
    struct sha256 hash;
    memcpy(pad, key, key_size < sizeof(pad) ? key_size : sizeof(pad));
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36;
    sha256_init(&hash);
    sha256_update(&hash, pad, sizeof(pad));
    sha256_update(&hash, text, size);
    sha256_final(&hash, ret_digest);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sha256_init(&hash);
    sha256_update(&hash, pad, sizeof(pad));
    sha256_update(&hash, ret_digest, SHA256_SIZE);
    sha256_final(&hash, ret_digest);
}

void keys_sign(const uint8_t secret[SHA256_SIZE], const char *purpose, const char *text,
               char ret_hex[SHA256_HEX_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    char whole[KEYS_SIGNED_MAX];
    snprintf(whole, sizeof(whole), "%s:%s", purpose, text);
    keys_hmac(secret, SHA256_SIZE, whole, strlen(whole), digest);
    sha256_hex(digest, ret_hex);
}
