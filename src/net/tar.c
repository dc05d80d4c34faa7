// SPDX-License-Identifier: Apache-2.0
// Tar archives: POSIX ustar and pax (pax(1)), GNU's long names (tar's manual, "Basic Tar Format").
// Layer: net.
#include "net/tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], fill[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

static unsigned sum_of(const struct header *header)
{
    struct header copy = *header;
    const unsigned char *bytes = (const unsigned char *)&copy;
    unsigned sum = 0;
    memset(copy.sum, ' ', sizeof(copy.sum));
    for (size_t i = 0; i < sizeof(copy); i++)
        sum += bytes[i];
    return sum;
}

static void put_number(char *field, size_t size, uint64_t value)
{
    char text[32];
    if (value >> (3 * (size - 1)) == 0) {
        snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, value);
        memcpy(field, text, size);
        return;
    }
    for (size_t i = size; i-- > 0; value >>= 8) // GNU: the number in base 256
        field[i] = (char)value;
    field[0] = (char)((unsigned char)field[0] | 0x80);
}

static void put_header(struct buf *out, char type, const char *path, const char *link,
                       const struct tar_entry *entry, uint64_t size)
{
    struct header header = {.type = type};
    memcpy(header.magic, "ustar ", 6);
    memcpy(header.version, " ", 2);
    memcpy(header.name, path, strnlen(path, sizeof(header.name)));
    memcpy(header.link, link, strnlen(link, sizeof(header.link)));
    put_number(header.mode, sizeof(header.mode), entry->mode);
    put_number(header.uid, sizeof(header.uid), 0);
    put_number(header.gid, sizeof(header.gid), 0);
    put_number(header.size, sizeof(header.size), size);
    put_number(header.mtime, sizeof(header.mtime),
               entry->modified_s > 0 ? (uint64_t)entry->modified_s : 0);
    snprintf(header.sum, sizeof(header.sum), "%06o", sum_of(&header));
    header.sum[7] = ' ';
    buf_add(out, &header, sizeof(header));
}

static void put_zeros(struct buf *out, size_t size)
{
    static const char zeros[TAR_BLOCK];
    buf_add(out, zeros, size);
}

// A name that does not fit goes before the entry, as a file of its own.
static void put_long(struct buf *out, char type, const char *text)
{
    static const struct tar_entry none = {.mode = 0644};
    size_t size = strlen(text) + 1;
    if (size <= sizeof(((struct header *)0)->name))
        return;
    put_header(out, type, "././@LongLink", "", &none, size);
    buf_add(out, text, size);
    put_zeros(out, tar_padding(size));
}

void tar_put(struct buf *out, const struct tar_entry *entry)
{
    bool file = entry->kind == SBX_FILE_REGULAR;
    put_long(out, 'K', entry->link);
    put_long(out, 'L', entry->path);
    put_header(out,
               file                                ? '0'
               : entry->kind == SBX_FILE_DIRECTORY ? '5'
                                                   : '2',
               entry->path, entry->link, entry, file ? entry->size : 0);
}

void tar_put_end(struct buf *out)
{
    put_zeros(out, TAR_BLOCK);
    put_zeros(out, TAR_BLOCK);
}

static int broken(const char *what, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the archive that came makes no sense: %s", what);
}

int tar_read(const struct tar_source *source, void *data, size_t size, struct sbx_error *err)
{
    char *at = data;
    while (size > 0) {
        size_t got = 0;
        int code = source->read(source->payload, at, size, &got, err);
        if (code < 0)
            return code;
        if (got == 0)
            return broken("it ends too early", err);
        at += got;
        size -= got;
    }
    return 0;
}

int tar_skip(const struct tar_source *source, uint64_t size, struct sbx_error *err)
{
    char piece[4096];
    while (size > 0) {
        size_t part = size < sizeof(piece) ? (size_t)size : sizeof(piece);
        int code = tar_read(source, piece, part, err);
        if (code < 0)
            return code;
        size -= part;
    }
    return 0;
}

// Octal, or base 256 with the first bit set; -1 for neither.
static int64_t number_of(const char *field, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t value = 0;
    if (bytes[0] & 0x80) {
        for (size_t i = 0; i < size; i++) {
            if (value >> 54)
                return -1;
            value = value << 8 | (i ? bytes[i] : bytes[i] & 0x7f);
        }
        return (int64_t)value;
    }
    size_t i = 0;
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    return i < size && field[i] && field[i] != ' ' ? -1 : (int64_t)value;
}

static int read_text(const struct tar_source *source, uint64_t size, char text[TAR_PATH_MAX],
                     struct sbx_error *err)
{
    if (size >= TAR_PATH_MAX)
        return broken("a name is too long", err);
    int code = tar_read(source, text, (size_t)size, err);
    text[size] = '\0';
    return code < 0 ? code : tar_skip(source, tar_padding(size), err);
}

// What records before an entry say about it.
struct extra {
    bool has_path, has_link, has_size;
    char path[TAR_PATH_MAX], link[TAR_PATH_MAX];
    uint64_t size;
};

// "27 path=some/thing\n": the length counts all of it.
static int take_pax(const char *text, size_t size, struct extra *extra, struct sbx_error *err)
{
    while (size > 0 && *text) {
        size_t length = 0, digits = 0;
        while (digits < size && digits < 6 && text[digits] >= '0' && text[digits] <= '9')
            length = length * 10 + (size_t)(text[digits++] - '0');
        if (length <= digits + 2 || length > size || text[digits] != ' ' ||
            text[length - 1] != '\n')
            return broken("a pax record", err);
        const char *key = text + digits + 1;
        size_t rest = length - digits - 2;
        const char *equal = memchr(key, '=', rest);
        size_t value = equal ? rest - (size_t)(equal + 1 - key) : 0;
        if (equal && value < TAR_PATH_MAX && equal - key == 4 && memcmp(key, "path", 4) == 0) {
            snprintf(extra->path, sizeof(extra->path), "%.*s", (int)value, equal + 1);
            extra->has_path = true;
        } else if (equal && value < TAR_PATH_MAX && equal - key == 8 &&
                   memcmp(key, "linkpath", 8) == 0) {
            snprintf(extra->link, sizeof(extra->link), "%.*s", (int)value, equal + 1);
            extra->has_link = true;
        } else if (equal && value < 20 && equal - key == 4 && memcmp(key, "size", 4) == 0) {
            char digits_only[24];
            snprintf(digits_only, sizeof(digits_only), "%.*s", (int)value, equal + 1);
            extra->has_size = sscanf(digits_only, "%" SCNu64, &extra->size) == 1;
        }
        text += length;
        size -= length;
    }
    return 0;
}

static int read_pax(const struct tar_source *source, uint64_t size, struct extra *extra,
                    struct sbx_error *err)
{
    char text[4 * TAR_PATH_MAX];
    if (size >= sizeof(text))
        return broken("a pax record is too long", err);
    int code = tar_read(source, text, (size_t)size, err);
    if (code == 0)
        code = tar_skip(source, tar_padding(size), err);
    text[code == 0 ? size : 0] = '\0';
    return code < 0 ? code : take_pax(text, (size_t)size, extra, err);
}

static void set_names(const struct header *header, const struct extra *extra,
                      struct tar_entry *entry)
{
    bool prefixed = memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0];
    if (extra->has_path)
        memcpy(entry->path, extra->path, sizeof(entry->path));
    else
        snprintf(entry->path, sizeof(entry->path), "%.*s%s%.*s", prefixed ? 155 : 0, header->prefix,
                 prefixed ? "/" : "", 100, header->name);
    if (extra->has_link)
        memcpy(entry->link, extra->link, sizeof(entry->link));
    else
        snprintf(entry->link, sizeof(entry->link), "%.*s", 100, header->link);
}

static uint32_t kind_of(char type)
{
    if (type == '0' || type == '\0' || type == '7')
        return SBX_FILE_REGULAR;
    return type == '5' ? SBX_FILE_DIRECTORY : type == '2' ? SBX_FILE_SYMLINK : SBX_FILE_OTHER;
}

int tar_get(const struct tar_source *source, struct tar_entry *ret_entry, bool *ret_more,
            struct sbx_error *err)
{
    struct extra extra = {0};
    for (int records = 0; records < 16; records++) {
        struct header header;
        static const struct header end;
        int code = tar_read(source, &header, sizeof(header), err);
        *ret_more = code == 0 && memcmp(&header, &end, sizeof(end)) != 0;
        if (!*ret_more)
            return code;
        int64_t size = number_of(header.size, sizeof(header.size));
        int64_t mode = number_of(header.mode, sizeof(header.mode));
        if (size < 0 || mode < 0 || number_of(header.sum, sizeof(header.sum)) != sum_of(&header))
            return broken("a header", err);
        if (header.type == 'L' || header.type == 'K') {
            bool path = header.type == 'L';
            code = read_text(source, (uint64_t)size, path ? extra.path : extra.link, err);
            extra.has_path |= path;
            extra.has_link |= !path;
        } else if (header.type == 'x') {
            code = read_pax(source, (uint64_t)size, &extra, err);
        } else if (header.type == 'g') {
            code = tar_skip(source, (uint64_t)size + tar_padding((uint64_t)size), err);
        } else {
            set_names(&header, &extra, ret_entry);
            ret_entry->kind = kind_of(header.type);
            ret_entry->mode = (uint32_t)mode & 07777;
            ret_entry->size = extra.has_size ? extra.size : (uint64_t)size;
            ret_entry->modified_s = number_of(header.mtime, sizeof(header.mtime));
            return 0;
        }
        if (code < 0)
            return code;
    }
    return broken("too many records before an entry", err);
}
