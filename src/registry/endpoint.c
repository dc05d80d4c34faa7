// SPDX-License-Identifier: Apache-2.0
// Requests to a registry. Layer: registry.
#include "registry/endpoint.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cancel.h"
#include "base/utf8.h"
#include "net/json.h"
#include "registry/token.h"

#define REDIRECTS_MAX 5
#define URL_MAX 8192
#define ATTEMPTS_MAX 3 // beyond the first, without getting on
#define WAIT_FIRST_MS 100
#define WAIT_MOST_MS 10000
#define REASON_MAX 8192

void endpoint_init(struct endpoint *endpoint, struct http *http, const struct place *place,
                   const char *path)
{
    *endpoint = (struct endpoint){.http = http, .place = *place};
    snprintf(endpoint->path, sizeof(endpoint->path), "%s", path);
    pthread_mutex_init(&endpoint->lock, NULL);
}

void endpoint_deinit(struct endpoint *endpoint)
{
    if (endpoint->authorization)
        explicit_bzero(endpoint->authorization, strlen(endpoint->authorization));
    free(endpoint->authorization);
    pthread_mutex_destroy(&endpoint->lock);
}

// A copy of the header's value and of its number; NULL while none is known to be needed.
static char *copy_authorization(struct endpoint *endpoint, unsigned *ret_generation)
{
    pthread_mutex_lock(&endpoint->lock);
    char *copy = endpoint->authorization ? strdup(endpoint->authorization) : NULL;
    *ret_generation = endpoint->generation;
    pthread_mutex_unlock(&endpoint->lock);
    return copy;
}

// A new authorization, unless another thread has fetched one since.
static int authorize(struct endpoint *endpoint, const struct buf *headers, unsigned generation,
                     struct deadline deadline, struct sbx_error *err)
{
    char header[2048], *value = NULL;
    struct challenge challenge;
    if (!http_header_get(headers, "www-authenticate", header, sizeof(header)) ||
        !challenge_parse(header, &challenge))
        return err_set(err, SBX_ERR_PROTOCOL, "%s refuses access and does not say how to get it",
                       endpoint->place.host);
    int rc = 0;
    pthread_mutex_lock(&endpoint->lock);
    if (endpoint->generation == generation) {
        rc = token_answer(endpoint->http, &endpoint->place, endpoint->path, &challenge, deadline,
                          &value, err);
        if (rc == 0) {
            free(endpoint->authorization);
            endpoint->authorization = value;
            endpoint->generation++;
        }
    }
    pthread_mutex_unlock(&endpoint->lock);
    return rc;
}

static int send_get(struct endpoint *endpoint, const char *url, const struct endpoint_get *get,
                    const char *authorization, struct deadline deadline,
                    struct http_stream **ret_stream, int *ret_status, struct sbx_error *err)
{
    char range[64] = "";
    struct http_stream *stream = NULL;
    if (get->from)
        snprintf(range, sizeof(range), "bytes=%llu-", (unsigned long long)get->from);
    const struct http_header headers[] = {{"Accept", get->accept},
                                          {"Authorization", authorization},
                                          {"Range", range[0] ? range : NULL}};
    const struct http_request request = {.method = "GET",
                                         .url = url,
                                         .headers = headers,
                                         .header_count = ARRAY_SIZE(headers),
                                         .flags = HTTP_IDEMPOTENT | HTTP_STEADY};
    int rc = http_start(endpoint->http, &request, &stream, err);
    if (rc == 0)
        rc = http_wait(stream, deadline, ret_status, err);
    if (rc < 0) {
        http_stream_close(stream);
        return rc;
    }
    *ret_stream = stream;
    return 0;
}

// The address of a redirect; relative ones are of this place. Never from https down to http.
static int next_url(const struct endpoint *endpoint, const struct http_stream *stream, char *url,
                    struct sbx_error *err)
{
    char location[URL_MAX];
    bool was_https = strncmp(url, "https://", 8) == 0;
    if (!http_header_get(http_headers(stream), "location", location, sizeof(location)))
        return err_set(err, SBX_ERR_PROTOCOL, "%s redirects to nowhere", endpoint->place.host);
    if (location[0] == '/' && location[1] != '/') {
        size_t origin = strcspn(url + (was_https ? 8 : 7), "/") + (was_https ? 8 : 7);
        if (origin + strlen(location) >= URL_MAX)
            return err_set(err, SBX_ERR_PROTOCOL, "%s redirects too far", endpoint->place.host);
        memmove(url + origin, location, strlen(location) + 1);
        return 0;
    }
    if (strncmp(location, "https://", 8) != 0 &&
        (was_https || strncmp(location, "http://", 7) != 0))
        return err_set(err, SBX_ERR_PROTOCOL, "%s redirects to an unsafe address",
                       endpoint->place.host);
    memcpy(url, location, strlen(location) + 1);
    return 0;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int follow(struct endpoint *endpoint, const struct endpoint_get *get, char *url,
                  const char *authorization, struct deadline deadline,
                  struct http_stream **ret_stream, int *ret_status, struct sbx_error *err)
{
    for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
        struct http_stream *stream = NULL;
        int status = 0;
        // The registry's rights are nobody else's business.
        int rc = send_get(endpoint, url, get, hops == 0 ? authorization : NULL, deadline, &stream,
                          &status, err);
        if (rc < 0)
            return rc;
        if (!is_redirect(status)) {
            *ret_stream = stream;
            *ret_status = status;
            return 0;
        }
        rc = next_url(endpoint, stream, url, err);
        http_stream_close(stream);
        if (rc < 0)
            return rc;
    }
    return err_set(err, SBX_ERR_PROTOCOL, "%s redirects in circles", endpoint->place.host);
}

// The registry's own words, as far as they are printable.
static void read_reason(struct http_stream *stream, struct deadline deadline, char *out,
                        size_t size)
{
    cleanup_buf struct buf body = BUF_INIT(REASON_MAX);
    cleanup_buf struct buf shown = BUF_INIT(REASON_MAX);
    cleanup_jsonv struct jsonv *root = NULL;
    out[0] = '\0';
    if (http_read_all(stream, &body, deadline, NULL) < 0 ||
        jsonv_parse(body.data, body.size, &root, NULL) < 0)
        return;
    const struct jsonv *first = jsonv_at(jsonv_get(root, "errors"), 0);
    const char *text = jsonv_text(first, "message");
    if (!text || !text[0])
        return;
    utf8_add_printable(&shown, text, strnlen(text, 160));
    if (buf_text(&shown))
        snprintf(out, size, " (it says: %s)", shown.data);
}

static int explain(const struct endpoint *endpoint, const struct endpoint_get *get, int status,
                   const char *reason, struct sbx_error *err)
{
    const char *host = endpoint->place.host, *path = endpoint->path;
    bool manifest = strcmp(get->kind, "manifests") == 0;
    switch (status) {
    case 404:
        err_set(err, SBX_ERR_NOT_FOUND,
                manifest ? "%s has no image '%s' with tag or digest '%s'%s"
                         : "%s has lost a part of '%s', '%s'%s",
                host, path, get->name, reason);
        return err_hint(err, manifest ? "check the name and the tag"
                                      : "have whoever made the image push it again");
    case 401:
        err_set(err, SBX_ERR_AUTH, "%s gives no access to '%s'%s", host, path, reason);
        return err_hint(err,
                        "check the name: one that does not exist looks the same as a private "
                        "one; for a private one log in: docker login %s",
                        host);
    case 403:
        err_set(err, SBX_ERR_DENIED, "%s does not let this account read '%s'%s", host, path,
                reason);
        return err_hint(err,
                        "ask its owner for the right, or log in as another account: docker "
                        "login %s",
                        host);
    case 429:
        err_set(err, SBX_ERR_QUOTA, "%s wants fewer requests%s", host, reason);
        return err_hint(err, "wait, or log in for a higher limit: docker login %s", host);
    default:
        return err_set(err, status >= 500 || status == 408 ? SBX_ERR_UNAVAILABLE : SBX_ERR_PROTOCOL,
                       "%s answers with status %d%s", host, status, reason);
    }
}

static int fail(const struct endpoint *endpoint, const struct endpoint_get *get, int status,
                struct http_stream *stream, struct deadline deadline, struct sbx_error *err)
{
    char reason[200], after[32];
    bool has_after = http_header_get(http_headers(stream), "retry-after", after, sizeof(after));
    read_reason(stream, deadline, reason, sizeof(reason));
    int code = explain(endpoint, get, status, reason, err);
    if (err)
        err->http_status = status;
    if (err && has_after)
        err->retry_after_ms = (uint32_t)(strtoul(after, NULL, 10) % 86400 * 1000);
    return code;
}

int endpoint_open(struct endpoint *endpoint, const struct endpoint_get *get,
                  struct deadline deadline, struct http_stream **ret_stream, int *ret_status,
                  struct sbx_error *err)
{
    for (int round = 0;; round++) {
        char url[URL_MAX];
        unsigned generation;
        cleanup_stream struct http_stream *stream = NULL;
        snprintf(url, sizeof(url), "%s/v2/%s/%s/%s", endpoint->place.base, endpoint->path,
                 get->kind, get->name);
        char *authorization = copy_authorization(endpoint, &generation);
        int status = 0;
        int rc = follow(endpoint, get, url, authorization, deadline, &stream, &status, err);
        if (authorization)
            explicit_bzero(authorization, strlen(authorization));
        free(authorization);
        if (rc < 0)
            return rc;
        if (status == 200 || (status == 206 && get->from)) {
            *ret_stream = steal_ptr(stream);
            *ret_status = status;
            return 0;
        }
        // A second time with what the challenge asked for; it may also have expired meanwhile.
        if (status != 401 || round > 0)
            return fail(endpoint, get, status, stream, deadline, err);
        rc = authorize(endpoint, http_headers(stream), generation, deadline, err);
        if (rc < 0)
            return rc;
    }
}

bool endpoint_again(const struct sbx_error *err, unsigned attempt, struct deadline deadline)
{
    bool passing = err->code == SBX_ERR_UNAVAILABLE || err->http_status == 429;
    if (!passing || attempt >= ATTEMPTS_MAX || deadline_poll_ms(deadline) == 0)
        return false;
    int64_t wait = (int64_t)WAIT_FIRST_MS << (attempt < 8 ? attempt : 8);
    if (err->retry_after_ms > wait)
        wait = err->retry_after_ms;
    if (wait > WAIT_MOST_MS)
        wait = WAIT_MOST_MS;
    int left = deadline_poll_ms(deadline);
    struct pollfd cancelled = {.fd = cancel_fd(deadline.cancel), .events = POLLIN};
    return poll(&cancelled, 1, left >= 0 && left < wait ? left : (int)wait) == 0;
}

int endpoint_fetch(struct endpoint *endpoint, const struct endpoint_get *get,
                   struct deadline deadline, struct buf *ret_body, struct sbx_error *err)
{
    struct sbx_error own;
    for (unsigned attempt = 0;; attempt++) {
        cleanup_stream struct http_stream *stream = NULL;
        int status;
        ret_body->size = 0;
        err_clear(&own);
        int rc = endpoint_open(endpoint, get, deadline, &stream, &status, &own);
        if (rc == 0)
            rc = http_read_all(stream, ret_body, deadline, &own);
        if (rc == 0)
            return 0;
        if (!endpoint_again(&own, attempt, deadline)) {
            if (err)
                *err = own;
            return rc;
        }
    }
}
