// SPDX-License-Identifier: Apache-2.0
// Settings of registries. Layer: registry.
#include "registry/settings.h"

#include <stdio.h>
#include <string.h>

#include "engine/imageref.h"

#define TABLE "images"
#define HUB_HOST "registry-1.docker.io"

static int complain(const struct config *config, const struct config_entry *entry, const char *what,
                    struct sbx_error *err)
{
    err_set(err, SBX_ERR_INVALID, "%s:%u: %s", config->path ? config->path : "configuration",
            entry->line, what);
    return err_hint(err, "for example: plain_http = [\"registry.lan:5000\"], "
                         "mirrors = [\"docker.io=https://mirror.lan\"]");
}

static int check(const struct config *config, struct sbx_error *err)
{
    static const char *const keys[] = {"plain_http", "mirrors"};
    for (size_t i = 0; i < config->count; i++) {
        const struct config_entry *entry = &config->entries[i];
        if (strcmp(entry->table, TABLE) != 0)
            continue;
        if (strcmp(entry->key, keys[0]) != 0 && strcmp(entry->key, keys[1]) != 0)
            return complain(config, entry, "unknown setting of [images]", err);
        if (entry->kind != CONFIG_LIST)
            return complain(config, entry, "a list is wanted", err);
    }
    return 0;
}

// Strings of a list are each followed by a newline.
static bool listed(const char *list, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = list; *at; at += strcspn(at, "\n") + 1)
        if (strcspn(at, "\n") == length && memcmp(at, wanted, length) == 0)
            return true;
    return false;
}

// This machine's own registries speak plain HTTP, as everywhere else.
static bool is_loopback(const char *host)
{
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    return (length == 9 && memcmp(host, "localhost", 9) == 0) || strncmp(host, "127.", 4) == 0 ||
           (length == 5 && memcmp(host, "[::1]", 5) == 0);
}

static void put_itself(const struct config *config, const char *host, struct place *ret_place)
{
    const struct config_entry *plain = config_find(config, TABLE, "plain_http");
    bool open = is_loopback(host) || (plain && listed(plain->value, host));
    const char *address = strcmp(host, IMAGEREF_HUB) == 0 ? HUB_HOST : host;
    snprintf(ret_place->base, sizeof(ret_place->base), "%s://%s", open ? "http" : "https", address);
    snprintf(ret_place->host, sizeof(ret_place->host), "%s", host);
}

// "registry=URL"; false for one of another registry.
static int put_mirror(const char *line, size_t length, const char *host, struct place *ret_place,
                      bool *ret_fits)
{
    size_t name = strlen(host);
    const char *equals = memchr(line, '=', length);
    *ret_fits = false;
    if (!equals)
        return -1;
    const char *url = equals + 1, *end = line + length;
    size_t scheme = end - url > 8 && strncmp(url, "https://", 8) == 0  ? 8
                    : end - url > 7 && strncmp(url, "http://", 7) == 0 ? 7
                                                                       : 0;
    if (scheme == 0 || (size_t)(end - url) >= PLACE_SIZE)
        return -1;
    if ((size_t)(equals - line) != name || memcmp(line, host, name) != 0)
        return 0;
    while (end > url + scheme && end[-1] == '/')
        end--;
    snprintf(ret_place->base, PLACE_SIZE, "%.*s", (int)(end - url), url);
    snprintf(ret_place->host, PLACE_SIZE, "%.*s", (int)strcspn(ret_place->base + scheme, "/"),
             ret_place->base + scheme);
    *ret_fits = true;
    return 0;
}

int settings_places(const struct config *config, const char *host,
                    struct place ret_places[PLACES_MAX], size_t *ret_count, struct sbx_error *err)
{
    size_t count = 0;
    int rc = check(config, err);
    if (rc < 0)
        return rc;
    const struct config_entry *mirrors = config_find(config, TABLE, "mirrors");
    for (const char *at = mirrors ? mirrors->value : ""; *at; at += strcspn(at, "\n") + 1) {
        bool fits;
        if (count + 1 < PLACES_MAX) {
            if (put_mirror(at, strcspn(at, "\n"), host, &ret_places[count], &fits) < 0)
                return complain(config, mirrors, "a mirror is written REGISTRY=URL", err);
            count += fits;
        }
    }
    put_itself(config, host, &ret_places[count++]);
    *ret_count = count;
    return 0;
}
