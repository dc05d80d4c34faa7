// SPDX-License-Identifier: Apache-2.0
// Manifests, indexes and configurations. Layer: registry.
#include "registry/manifest.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/text.h"

#define INDEX_MAX 1024
#define USER_MAX 63
#define WORKDIR_MAX 1000
#define WORD_MAX (128u << 10)
#define WORDS_BYTES_MAX (512u << 10)

const char *manifest_architecture(void)
{
    static const char *const names[][2] = {{"x86_64", "amd64"},    {"aarch64", "arm64"},
                                           {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"},
                                           {"s390x", "s390x"},     {"i686", "386"}};
    struct utsname info;
    if (uname(&info) < 0)
        return "unknown";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(info.machine, names[i][0]) == 0)
            return names[i][1];
    return "unknown";
}

static int damaged(const char *what, struct sbx_error *err)
{
    err_set(err, SBX_ERR_PROTOCOL, "the image's manifest is not valid: %s", what);
    return err_hint(err, "have whoever made the image push it again");
}

static int read_descriptor(const struct jsonv *value, struct descriptor *ret_out,
                           struct sbx_error *err)
{
    const char *digest = jsonv_text(value, "digest");
    int64_t size = jsonv_int(value, "size", -1);
    if (digest && strncmp(digest, "sha512:", 7) == 0)
        return err_set(err, SBX_ERR_UNSUPPORTED, "the image uses digests other than sha256");
    if (!imageref_hex(digest) || size < 0)
        return damaged("a part without digest or size", err);
    snprintf(ret_out->digest, sizeof(ret_out->digest), "%s", digest);
    ret_out->size = (uint64_t)size;
    return 0;
}

bool manifest_is_index(const struct jsonv *root)
{
    return jsonv_is_array(jsonv_get(root, "manifests"));
}

static bool text_is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

static void add_platform(const struct jsonv *platform, char *names, size_t size)
{
    const char *os = jsonv_text(platform, "os"), *arch = jsonv_text(platform, "architecture");
    const char *variant = jsonv_text(platform, "variant");
    size_t used = strlen(names);
    if (!os || !arch || text_is(os, "unknown") || strlen(os) > 16 || strlen(arch) > 16)
        return;
    snprintf(names + used, size - used, "%s%s/%s%s%.8s", used ? ", " : "", os, arch,
             variant ? "/" : "", variant ? variant : "");
}

int manifest_choose(const struct jsonv *index, struct descriptor *ret_chosen, struct sbx_error *err)
{
    const struct jsonv *list = jsonv_get(index, "manifests");
    char there[256] = "";
    if (jsonv_count(list) > INDEX_MAX)
        return damaged("an index of too many manifests", err);
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const struct jsonv *item = jsonv_at(list, i), *platform = jsonv_get(item, "platform");
        bool fits = text_is(jsonv_text(platform, "os"), "linux") &&
                    text_is(jsonv_text(platform, "architecture"), manifest_architecture());
        // One manifest without a platform is what tools write that make but one.
        if (fits || (!platform && jsonv_count(list) == 1))
            return read_descriptor(item, ret_chosen, err);
        add_platform(platform, there, sizeof(there));
    }
    err_set(err, SBX_ERR_NOT_FOUND, "the image has nothing for linux/%s, but for: %s",
            manifest_architecture(), there[0] ? there : "nothing");
    return err_hint(err, "choose another image or tag, made for this machine");
}

// Layers that registries don't hand out, or of kinds that no unpacker of ours knows.
static int check_media(const char *media, struct sbx_error *err)
{
    static const char *const known[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (text_is(media, known[i]))
            return 0;
    char shown[100] = "no kind at all";
    if (media && !text_has_control(media, strlen(media)))
        snprintf(shown, sizeof(shown), "'%.90s'", media);
    err_set(err, SBX_ERR_UNSUPPORTED, "a layer of the image is of %s", shown);
    return err_hint(err, "use a container image of Linux; this may be an artifact, an image of "
                         "Windows or an encrypted one");
}

int manifest_read(const struct jsonv *root, struct manifest *ret_manifest, struct sbx_error *err)
{
    const struct jsonv *layers = jsonv_get(root, "layers");
    if (jsonv_int(root, "schemaVersion", 2) == 1 || jsonv_get(root, "fsLayers")) {
        err_set(err, SBX_ERR_UNSUPPORTED, "the image is in the old format, schema 1");
        return err_hint(err, "push it again with a docker of this decade");
    }
    if (!jsonv_is_object(jsonv_get(root, "config")) || !jsonv_is_array(layers))
        return damaged("it has no config or no layers", err);
    if (jsonv_count(layers) > LAYERS_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the image has more than %d layers", LAYERS_MAX);
    int rc = read_descriptor(jsonv_get(root, "config"), &ret_manifest->config, err);
    ret_manifest->layer_count = 0;
    ret_manifest->bytes = 0;
    for (size_t i = 0; rc == 0 && i < jsonv_count(layers); i++) {
        const struct jsonv *layer = jsonv_at(layers, i);
        struct descriptor *out = &ret_manifest->layers[ret_manifest->layer_count];
        rc = check_media(jsonv_text(layer, "mediaType"), err);
        if (rc == 0)
            rc = read_descriptor(layer, out, err);
        if (rc == 0 && out->size > UINT64_C(1) << 40)
            rc = damaged("a layer of more than a terabyte", err);
        if (rc == 0) {
            ret_manifest->bytes += out->size;
            ret_manifest->layer_count++;
        }
    }
    return rc;
}

static int read_words(const struct jsonv *list, struct imagewords *words, struct sbx_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const char *text = jsonv_as_text(jsonv_at(list, i));
        size_t size = text ? strlen(text) : 0;
        bytes += size;
        if (!text || size > WORD_MAX || bytes > WORDS_BYTES_MAX)
            return damaged("a word of its settings is no text or too long", err);
        int rc = imagewords_add(words, text, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int set_text(char **target, const char *text, size_t most, const char *what,
                    struct sbx_error *err)
{
    size_t size = text ? strlen(text) : 0;
    if (size > most || (size && text_has_control(text, size)))
        return damaged(what, err);
    free(*target);
    *target = strdup(text ? text : "");
    return *target ? 0 : err_nomem(err);
}

static int check_platform(const struct jsonv *config, struct sbx_error *err)
{
    const char *os = jsonv_text(config, "os"), *arch = jsonv_text(config, "architecture");
    if ((!os || strcmp(os, "linux") == 0) && (!arch || strcmp(arch, manifest_architecture()) == 0))
        return 0;
    err_set(err, SBX_ERR_UNSUPPORTED, "the image is for %.16s/%.16s, this machine is linux/%s",
            os ? os : "?", arch ? arch : "?", manifest_architecture());
    return err_hint(err, "choose an image or tag made for this machine");
}

int manifest_read_config(const struct jsonv *config, struct imagerecord *record,
                         struct sbx_error *err)
{
    const struct jsonv *settings = jsonv_get(config, "config");
    const char *workdir = jsonv_text(settings, "WorkingDir");
    int rc = check_platform(config, err);
    if (rc == 0 && workdir && workdir[0] && workdir[0] != '/')
        rc = damaged("its working directory is not absolute", err);
    if (rc == 0)
        rc = set_text(&record->user, jsonv_text(settings, "User"), USER_MAX, "its user", err);
    if (rc == 0)
        rc = set_text(&record->workdir, workdir, WORKDIR_MAX, "its working directory", err);
    if (rc == 0)
        rc = read_words(jsonv_get(settings, "Env"), &record->env, err);
    if (rc == 0)
        rc = read_words(jsonv_get(settings, "Entrypoint"), &record->entrypoint, err);
    return rc < 0 ? rc : read_words(jsonv_get(settings, "Cmd"), &record->cmd, err);
}
