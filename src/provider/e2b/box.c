// SPDX-License-Identifier: Apache-2.0
// What is held of a sandbox of E2B. Layer: provider.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "provider/e2b/e2b.h"

// Domains of the service where one host takes the requests for all sandboxes, told by headers.
static const char *const shared[] = {"e2b.app",          "e2b.dev",       "e2b.pro",
                                     "e2b-staging.dev",  "e2b-tango.dev", "e2b-juliett.dev",
                                     "foxtrot-2.e2b.dev"};

static char *base_url(const struct e2b *e2b, const char *id, const char *domain)
{
    char url[600];
    if (e2b->sandbox_url)
        return strdup(e2b->sandbox_url);
    if (e2b->debug)
        return strdup("http://localhost:49983");
    snprintf(url, sizeof(url), "https://%d-%.100s.%.250s", ENVD_PORT, id, domain);
    for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
        if (strcmp(shared[i], domain) == 0)
            snprintf(url, sizeof(url), "https://sandbox.%s", domain);
    return strdup(url);
}

static bool copy(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

static bool at_least(const char *version, int major, int minor, int patch)
{
    int parts[3] = {0};
    if (!version || sscanf(version, "%d.%d.%d", &parts[0], &parts[1], &parts[2]) < 1)
        return true; // of a server that doesn't say: take it for a new one
    if (parts[0] != major)
        return parts[0] > major;
    return parts[1] != minor ? parts[1] > minor : parts[2] >= patch;
}

static bool fill(struct e2b_box *box, const struct jsonv *object)
{
    const char *domain = jsonv_text(object, "domain");
    const struct jsonv *metadata = jsonv_get(object, "metadata");
    if (!domain || !cloud_is_name(domain))
        domain = box->e2b->domain;
    box->octets = at_least(jsonv_text(object, "envdVersion"), 0, 5, 7);
    bool copied = copy(jsonv_text(object, "sandboxID"), &box->id);
    copied &= copy(jsonv_text(object, "envdAccessToken"), &box->token);
    copied &= copy(jsonv_text(metadata, OWN_USER), &box->user);
    copied &= copy(jsonv_text(metadata, OWN_WORKDIR), &box->workdir);
    copied &= copy(domain, &box->domain);
    box->base = copied ? base_url(box->e2b, box->id, domain) : NULL;
    return box->base != NULL;
}

int e2b_box_new(struct e2b *e2b, const struct jsonv *object, struct e2b_box **ret_box,
                struct sbx_error *err)
{
    if (!cloud_is_name(jsonv_text(object, "sandboxID")))
        return err_set(err, SBX_ERR_PROTOCOL, "the service named no id of the sandbox");
    struct e2b_box *box = calloc(1, sizeof(*box));
    if (!box)
        return err_nomem(err);
    box->e2b = e2b;
    box->refs = 1;
    pthread_mutex_init(&box->lock, NULL);
    if (!fill(box, object)) {
        e2b_box_unref(box);
        return err_nomem(err);
    }
    *ret_box = box;
    return 0;
}

void e2b_box_ref(struct e2b_box *box)
{
    pthread_mutex_lock(&box->lock);
    box->refs++;
    pthread_mutex_unlock(&box->lock);
}

void e2b_box_unref(void *self)
{
    struct e2b_box *box = self;
    pthread_mutex_lock(&box->lock);
    bool last = --box->refs == 0;
    pthread_mutex_unlock(&box->lock);
    if (!last)
        return;
    cloud_record_deinit(&box->record);
    pthread_mutex_destroy(&box->lock);
    free(box->id);
    free(box->base);
    free(box->domain);
    free(box->token);
    free(box->user);
    free(box->workdir);
    free(box);
}

const char *e2b_box_id(void *box)
{
    return ((struct e2b_box *)box)->id;
}
