// SPDX-License-Identifier: Apache-2.0
// Pulling from a registry or its mirrors. Layer: registry.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "registry/blob.h"
#include "registry/endpoint.h"
#include "registry/puller.h"

#define INDEX_DEPTH 3

static int fill(void *payload, const struct descriptor *layer, struct sink *sink,
                struct sbx_error *err)
{
    struct endpoint *endpoint = payload;
    struct deadline deadline = {.at_ms = DEADLINE_NEVER};
    return blob_stream(endpoint, layer, deadline, sink, err);
}

static int fetch_manifest(struct puller *puller, struct endpoint *endpoint, const char *wanted,
                          struct buf *body, struct sbx_error *err)
{
    const struct endpoint_get get = {
        .kind = "manifests", .name = wanted, .accept = MANIFEST_ACCEPT};
    int rc = endpoint_fetch(endpoint, &get, puller->deadline, body, err);
    if (rc == 0 && imageref_hex(wanted))
        rc = puller_check_digest(body->data, body->size, wanted, err);
    return rc;
}

// From what the name means down to one manifest, through indexes.
static int find_manifest(struct puller *puller, struct endpoint *endpoint,
                         const struct imageref *ref, char ret_digest[IMAGEREF_DIGEST_SIZE],
                         struct manifest *ret_manifest, struct sbx_error *err)
{
    char wanted[IMAGEREF_NAME_SIZE];
    snprintf(wanted, sizeof(wanted), "%s", ref->digest[0] ? ref->digest : ref->tag);
    for (int depth = 0; depth < INDEX_DEPTH; depth++) {
        cleanup_buf struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
        cleanup_jsonv struct jsonv *root = NULL;
        struct descriptor chosen;
        int rc = fetch_manifest(puller, endpoint, wanted, &body, err);
        if (rc == 0)
            rc = jsonv_parse(body.data, body.size, &root, err);
        if (rc < 0)
            return rc;
        if (depth == 0)
            puller_digest(body.data, body.size, ret_digest);
        if (!manifest_is_index(root))
            return manifest_read(root, ret_manifest, err);
        rc = manifest_choose(root, &chosen, err);
        if (rc < 0)
            return rc;
        snprintf(wanted, sizeof(wanted), "%s", chosen.digest);
    }
    return err_set(err, SBX_ERR_PROTOCOL, "the image is an index of indexes of indexes");
}

static int fetch_config(struct puller *puller, struct endpoint *endpoint,
                        const struct descriptor *config, struct imagerecord *record,
                        struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(CONFIG_BYTES_MAX);
    const struct endpoint_get get = {.kind = "blobs", .name = config->digest};
    int rc = endpoint_fetch(endpoint, &get, puller->deadline, &body, err);
    if (rc == 0)
        rc = puller_check_digest(body.data, body.size, config->digest, err);
    return rc < 0 ? rc : puller_read_config(body.data, body.size, record, err);
}

static int pull_from(struct puller *puller, struct endpoint *endpoint, const struct imageref *ref,
                     struct imagerecord *ret_record, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    cleanup_free struct manifest *manifest = calloc(1, sizeof(*manifest));
    char name[IMAGEREF_NAME_SIZE], digest[IMAGEREF_DIGEST_SIZE];
    imageref_name(ref, name);
    record.name = strdup(name);
    if (!manifest || !record.name)
        return err_nomem(err);
    int rc = find_manifest(puller, endpoint, ref, digest, manifest, err);
    if (rc == 0)
        rc = fetch_config(puller, endpoint, &manifest->config, &record, err);
    if (rc < 0)
        return rc;
    const struct puller_source source = {.layers = {fill, endpoint}, .digest = digest};
    rc = puller_keep(puller, manifest, &source, &record, err);
    if (rc < 0)
        return rc;
    *ret_record = record;
    record = (struct imagerecord){0};
    return 0;
}

static int open_http(struct puller *puller, struct sbx_error *err)
{
    const struct http_options options = {.user_agent = "sandboxes/" SBX_VERSION};
    return puller->http ? 0 : http_open(&options, &puller->http, err);
}

// Mirrors may lack an image or be away: the next place is asked then, the registry itself last.
static int pull_anywhere(struct puller *puller, const struct imageref *ref,
                         struct imagerecord *ret_record, struct sbx_error *err)
{
    struct place places[PLACES_MAX];
    size_t count;
    int rc = settings_places(&puller->config, ref->host, places, &count, err);
    if (rc == 0)
        rc = open_http(puller, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        struct sbx_error own = {0};
        cleanup_endpoint struct endpoint endpoint;
        endpoint_init(&endpoint, puller->http, &places[i], ref->path);
        rc = pull_from(puller, &endpoint, ref, ret_record, &own);
        if (rc == 0)
            return 0;
        if (own.code == SBX_ERR_UNAVAILABLE)
            err_hint(&own,
                     "see whether this machine reaches it: curl -I %s/v2/; https_proxy names a "
                     "proxy, and [images] of the configuration mirrors",
                     places[i].base);
        log_info("images", "%s: %s", places[i].host, own.message);
        if (err)
            *err = own;
    }
    return rc;
}

static bool is_here(const struct puller *puller, const char *name, struct imagerecord *ret_record)
{
    if (imagerecord_read(&puller->store, name, ret_record, NULL) < 0)
        return false;
    if (puller_has_tree(puller, ret_record))
        return true;
    imagerecord_deinit(ret_record);
    return false;
}

// 0: it is our turn; 1: the image is here.
static int wait_turn(struct puller *puller, const char *name, struct imagerecord *ret_record,
                     struct sbx_error *err)
{
    int rc = 0;
    while (rc == 0 && puller->turn.fd < 0) {
        rc = imageturn_take(&puller->store, name, puller->began_ns, puller->deadline, &puller->turn,
                            err);
        if (rc == 1 && !is_here(puller, name, ret_record))
            rc = 0; // removed meanwhile
    }
    return rc;
}

int puller_pull(struct puller *puller, const struct imageref *ref, bool missing,
                struct imagerecord *ret_record, struct sbx_error *err)
{
    char name[IMAGEREF_NAME_SIZE];
    cleanup_fd int hold = -1;
    imageref_name(ref, name);
    int rc = imagestore_hold(&puller->store, false, puller->deadline, &hold, err);
    if (rc == 0)
        rc = wait_turn(puller, name, ret_record, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (!missing || !is_here(puller, name, ret_record)) {
        int64_t asked_ns = clock_boot_ns();
        rc = pull_anywhere(puller, ref, ret_record, err);
        if (rc == 0)
            imageturn_tell(&puller->turn, asked_ns);
    }
    imageturn_end(&puller->turn);
    return rc;
}
