// SPDX-License-Identifier: Apache-2.0
// Names of images, by the grammar of the distribution project's reference format. Layer: engine.
#include "engine/imageref.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/utf8.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define HEX "0123456789abcdef"
#define HEX_SIZE 64

static int refuse(const char *text, const char *why, struct sbx_error *err)
{
    size_t length = strnlen(text, 120);
    cleanup_buf struct buf shown = BUF_INIT(1024);
    utf8_add_printable(&shown, text, length);
    const char *name = buf_text(&shown);
    err_set(err, SBX_ERR_INVALID, "'%s' is no image's name: %s", name ? name : "?", why);
    return err_hint(err, "write it like python:3.12-slim or ghcr.io/owner/name:tag; a path like "
                         "./rootfs");
}

const char *imageref_hex(const char *digest)
{
    static const char prefix[] = "sha256:";
    if (!digest || strncmp(digest, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    const char *hex = digest + sizeof(prefix) - 1;
    return strlen(hex) == HEX_SIZE && strspn(hex, HEX) == HEX_SIZE ? hex : NULL;
}

// A host is told from the first part of a path by what no path's part has.
static bool is_host(const char *part, size_t size)
{
    return memchr(part, '.', size) || memchr(part, ':', size) ||
           (size == 9 && memcmp(part, "localhost", 9) == 0);
}

// Letters, digits, dots and dashes; or an IPv6 address in brackets; then perhaps a port.
static bool host_fits(const char *host)
{
    size_t name = host[0] == '[' ? 1 + strspn(host + 1, HEX ":") : strspn(host, TEXT_ALNUM ".-");
    if (host[0] == '[') {
        if (host[name] != ']' || name < 3)
            return false;
        name++;
    }
    if (name == 0 || host[0] == '.' || host[0] == '-')
        return false;
    if (!host[name])
        return true;
    size_t digits = strspn(host + name + 1, TEXT_DIGITS);
    return host[name] == ':' && digits >= 1 && digits <= 5 && !host[name + 1 + digits];
}

// Lower-case words joined by one of . / _ or two _ or any number of -.
static bool path_fits(const char *path)
{
    const char *at = path;
    for (;;) {
        size_t word = strspn(at, LOWER TEXT_DIGITS);
        if (word == 0)
            return false;
        at += word;
        if (!*at)
            return true;
        size_t joint = *at == '-' ? strspn(at, "-") : *at == '_' && at[1] == '_' ? 2 : 1;
        if (!strchr("./_-", *at))
            return false;
        at += joint;
    }
}

static bool tag_fits(const char *tag)
{
    return text_of(tag, TEXT_ALNUM "_.-", 128) && tag[0] != '.' && tag[0] != '-';
}

static bool put(char *target, size_t size, const char *text, size_t length)
{
    if (length >= size)
        return false;
    memcpy(target, text, length);
    target[length] = '\0';
    return true;
}

// Splits off "@digest", then ":tag" behind the last slash.
static int cut_tail(const char *text, char *name, size_t size, struct imageref *ref,
                    struct sbx_error *err)
{
    const char *at = strchr(text, '@');
    size_t length = at ? (size_t)(at - text) : strlen(text);
    if (at &&
        (!imageref_hex(at + 1) || !put(ref->digest, sizeof(ref->digest), at + 1, strlen(at + 1))))
        return refuse(text, "after '@' belongs sha256: and 64 hexadecimal digits", err);
    if (!put(name, size, text, length))
        return refuse(text, "it is too long", err);
    char *slash = strrchr(name, '/'), *colon = strrchr(slash ? slash : name, ':');
    if (colon) {
        if (!put(ref->tag, sizeof(ref->tag), colon + 1, strlen(colon + 1)) || !tag_fits(ref->tag))
            return refuse(text, "the tag after ':' has letters, digits, '_', '.', '-' only", err);
        *colon = '\0';
    }
    return 0;
}

int imageref_parse(const char *text, struct imageref *ret_ref, struct sbx_error *err)
{
    struct imageref ref = {0};
    char name[520];
    static const char scheme[] = "docker://";
    const char *asked = text;
    if (strncmp(text, scheme, sizeof(scheme) - 1) == 0)
        text += sizeof(scheme) - 1;
    int rc = cut_tail(text, name, sizeof(name), &ref, err);
    if (rc < 0)
        return rc;
    const char *slash = strchr(name, '/'), *path = name;
    bool hosted = slash && is_host(name, (size_t)(slash - name));
    snprintf(ref.host, sizeof(ref.host), "%s", IMAGEREF_HUB);
    if (hosted) {
        path = slash + 1;
        if (!put(ref.host, sizeof(ref.host), name, (size_t)(slash - name)) || !host_fits(ref.host))
            return refuse(asked, "its registry is no host's name", err);
        if (strcmp(ref.host, "index.docker.io") == 0)
            snprintf(ref.host, sizeof(ref.host), "%s", IMAGEREF_HUB);
    }
    bool library = strcmp(ref.host, IMAGEREF_HUB) == 0 && !strchr(path, '/');
    if (snprintf(ref.path, sizeof(ref.path), "%s%s", library ? "library/" : "", path) >=
            (int)sizeof(ref.path) ||
        !path_fits(ref.path))
        return refuse(asked, "it has small letters and digits, joined by '.', '_', '-' and '/'",
                      err);
    if (!ref.tag[0] && !ref.digest[0])
        snprintf(ref.tag, sizeof(ref.tag), "latest");
    *ret_ref = ref;
    return 0;
}

void imageref_name(const struct imageref *ref, char ret_name[IMAGEREF_NAME_SIZE])
{
    snprintf(ret_name, IMAGEREF_NAME_SIZE, "%s/%s%s%s%s%s", ref->host, ref->path,
             ref->tag[0] ? ":" : "", ref->tag, ref->digest[0] ? "@" : "", ref->digest);
}

int imageref_whole(const char *text, char ret_name[IMAGEREF_NAME_SIZE], struct sbx_error *err)
{
    struct imageref ref;
    int rc = imageref_parse(text, &ref, err);
    if (rc == 0)
        imageref_name(&ref, ret_name);
    return rc;
}

const char *imageref_short(const char *name)
{
    static const char hub[] = IMAGEREF_HUB "/", library[] = "library/";
    if (strncmp(name, hub, sizeof(hub) - 1) != 0)
        return name;
    const char *path = name + sizeof(hub) - 1, *slash = strchr(path, '/');
    const char *rest = slash ? slash + 1 : "";
    if (strncmp(path, library, sizeof(library) - 1) == 0 && !strchr(rest, '/'))
        return rest;
    // What looks like a registry, or would get "library/" again, stays whole.
    return slash && !is_host(path, (size_t)(slash - path)) ? path : name;
}
