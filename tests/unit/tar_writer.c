// SPDX-License-Identifier: Apache-2.0
// Writing tar archives field by field.
#include "tar_writer.h"

#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[8], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == 512, "a header is one block");

void tar_put_raw(const struct tar_writer *tar, const void *data, size_t size)
{
    assert_int_equal(fd_write_full(tar->fd, data, size), 0);
}

static void put_padded(const struct tar_writer *tar, const void *data, size_t size)
{
    static const char zeros[512];
    tar_put_raw(tar, data, size);
    tar_put_raw(tar, zeros, (512 - size % 512) % 512);
}

static void put_header(const struct tar_writer *tar, const struct tar_entry *entry, uint64_t size)
{
    struct header header = {.type = entry->type};
    unsigned mode = entry->mode ? entry->mode : entry->type == '5' ? 0755 : 0644, sum = 0;
    memcpy(header.name, entry->name, strnlen(entry->name, sizeof(header.name)));
    snprintf(header.mode, sizeof(header.mode), "%07o", mode);
    snprintf(header.uid, sizeof(header.uid), "%07o", entry->uid);
    snprintf(header.gid, sizeof(header.gid), "%07o", entry->gid);
    if (size < UINT64_C(1) << 33)
        snprintf(header.size, sizeof(header.size), "%011llo", (unsigned long long)size);
    else { // base 256, as GNU tar writes large numbers
        header.size[0] = (char)0x80;
        for (int i = 0; i < 8; i++)
            header.size[11 - i] = (char)(size >> (8 * i));
    }
    snprintf(header.mtime, sizeof(header.mtime), "%011o", 1000000000u);
    if (entry->link)
        memcpy(header.link, entry->link, strnlen(entry->link, sizeof(header.link)));
    memcpy(header.magic, "ustar\00000", 8);
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < sizeof(header); i++)
        sum += ((unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
    tar_put_raw(tar, &header, sizeof(header));
}

void tar_put(const struct tar_writer *tar, const struct tar_entry *entry)
{
    size_t size = entry->size ? entry->size : entry->data ? strlen(entry->data) : 0;
    size_t length = strlen(entry->name) + 1;
    if (length > 100) {
        struct tar_entry longer = {.name = "././@LongLink", .type = 'L'};
        put_header(tar, &longer, length);
        put_padded(tar, entry->name, length);
    }
    put_header(tar, entry, entry->claim ? entry->claim : size);
    if (size > 0)
        put_padded(tar, entry->data, size);
}

void tar_put_pax(const struct tar_writer *tar, const char *name, const void *value, size_t size)
{
    char record[65536];
    // The record's length counts its own digits.
    size_t rest = 1 + strlen(name) + 1 + size + 1, digits = 1, limit = 10;
    while (rest + digits >= limit) {
        digits++;
        limit *= 10;
    }
    assert_true(rest + digits < sizeof(record));
    size_t used = (size_t)snprintf(record, sizeof(record), "%zu %s=", rest + digits, name);
    memcpy(record + used, value, size);
    record[used + size] = '\n';
    struct tar_entry entry = {.name = "pax", .type = 'x'};
    put_header(tar, &entry, used + size + 1);
    put_padded(tar, record, used + size + 1);
}

void tar_end(const struct tar_writer *tar)
{
    static const char zeros[1024];
    tar_put_raw(tar, zeros, sizeof(zeros));
}
