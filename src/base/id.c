// SPDX-License-Identifier: Apache-2.0
// Random identifiers. Layer: base.
#include "base/id.h"

#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

int id_random(void *data, size_t size)
{
    ssize_t got = getrandom(data, size, 0);
    return got == (ssize_t)size ? 0 : -1;
}

int id_new(char ret_id[ID_SIZE])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz012345";
    unsigned char random[12];
    if (id_random(random, sizeof(random)) < 0)
        return -1;
    memcpy(ret_id, "sb-", 3);
    for (size_t i = 0; i < sizeof(random); i++)
        ret_id[3 + i] = alphabet[random[i] % 32];
    ret_id[15] = '\0';
    return 0;
}

bool id_valid(const char *id)
{
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length < 64 && id[length] == '\0' && id[0] != '-';
}
