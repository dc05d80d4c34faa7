// SPDX-License-Identifier: Apache-2.0
// What registries and saved images say: by the first byte names, records of the store, challenges,
// indexes and manifests, configurations, files of credentials.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/imagerecord.h"
#include "engine/imageref.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/manifest.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What is accepted is written whole in one way, and reads as the same again.
static void check_name(const char *text)
{
    struct imageref ref, again;
    char name[IMAGEREF_NAME_SIZE], second[IMAGEREF_NAME_SIZE];
    struct sbx_error err;
    if (imageref_parse(text, &ref, &err) < 0)
        return;
    imageref_name(&ref, name);
    CHECK(strlen(name) < IMAGEREF_NAME_SIZE - 1 && !strpbrk(name, " \t\n\r?#%\\\"'"));
    CHECK(!strstr(ref.path, "..") && !strstr(ref.path, "//") && ref.tag[0] != '.');
    CHECK(imageref_parse(name, &again, &err) == 0);
    imageref_name(&again, second);
    CHECK(strcmp(name, second) == 0);
    CHECK(imageref_parse(imageref_short(name), &again, &err) == 0);
    imageref_name(&again, second);
    CHECK(strcmp(name, second) == 0);
}

static void check_record(char *text)
{
    struct imagerecord record = {0};
    struct sbx_error err;
    if (imagerecord_parse(text, &record, &err) == 0) {
        CHECK(record.name && record.user && record.workdir && strlen(record.tree) == 64);
        for (size_t i = 0; i < record.layers.count; i++)
            CHECK(!strchr(record.layers.items[i], '/'));
    }
    imagerecord_deinit(&record);
}

static void check_challenge(const char *text)
{
    struct challenge challenge;
    if (challenge_parse(text, &challenge))
        CHECK(challenge.basic || (challenge.bearer && challenge.realm[0]));
}

static void check_manifest(const struct jsonv *root)
{
    static struct manifest manifest;
    struct descriptor chosen;
    struct sbx_error err;
    if (manifest_is_index(root) && manifest_choose(root, &chosen, &err) == 0)
        CHECK(imageref_hex(chosen.digest));
    if (manifest_read(root, &manifest, &err) < 0)
        return;
    CHECK(imageref_hex(manifest.config.digest) && manifest.layer_count <= LAYERS_MAX);
    for (size_t i = 0; i < manifest.layer_count; i++)
        CHECK(imageref_hex(manifest.layers[i].digest));
}

static void check_settings(const struct jsonv *root)
{
    struct imagerecord record = {0};
    struct sbx_error err;
    if (manifest_read_config(root, &record, &err) == 0)
        CHECK(strlen(record.user) < 64 && (!record.workdir[0] || record.workdir[0] == '/'));
    imagerecord_deinit(&record);
}

static void check_credentials(const struct jsonv *root)
{
    struct credentials found = CREDENTIALS_NONE;
    struct sbx_error err;
    char helper[80];
    if (credentials_read(root, "docker.io", &found, helper, sizeof(helper), &err) == 0)
        CHECK(!strpbrk(helper, "/. ") && (!found.found || found.secret.size > 0));
    credentials_deinit(&found);
}

static void check_json(const uint8_t *data, size_t size, unsigned kind)
{
    struct jsonv *root = NULL;
    struct sbx_error err;
    if (jsonv_parse(data, size, &root, &err) < 0)
        return;
    if (kind == 0)
        check_manifest(root);
    else if (kind == 1)
        check_settings(root);
    else
        check_credentials(root);
    jsonv_free(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned kind = data[0] % 6;
    if (kind >= 3) {
        check_json(data + 1, size - 1, kind - 3);
        return 0;
    }
    char *text = malloc(size);
    CHECK(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (kind == 0)
        check_name(text);
    else if (kind == 1)
        check_record(text);
    else
        check_challenge(text);
    free(text);
    return 0;
}
