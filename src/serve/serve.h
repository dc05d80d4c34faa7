// SPDX-License-Identifier: Apache-2.0
// The server as a whole: what all its parts share. Layer: serve.
#pragma once

#include <stdatomic.h>

#include <sandboxes/sandboxes.h>

#include "httpd/httpd.h"
#include "serve/keys.h"
#include "serve/limit.h"
#include "serve/place.h"
#include "serve/warm.h"

struct serve_settings {
    const char *domain;               // names like 49983-ID.DOMAIN lead here; NULL: none
    const char *proxy_url;            // how clients reach this server; NULL: as they asked for it
    const struct sbx_pair *templates; // names of templates and snapshots, with their images
    size_t template_count;
    const char *const *allow; // what sandboxes reach besides the internet
    size_t allow_count;
    uint32_t max_boxes; // a key
    uint32_t rate;      // requests a second and key; 0: no limit
    uint32_t warm;      // sandboxes made ahead, of each kind
    int64_t max_life_ms;
    uint64_t max_upload;
    bool open_private; // clients may name private addresses in their lists
    bool open;         // requests without a key are fine
    bool debug;        // one sandbox for clients in debug mode
};

struct serve {
    struct serve_settings settings;
    struct sbx_client *client;
    int state_fd, sheets_fd, spool_fd, snapshots_fd;
    uint8_t secret[SHA256_SIZE];
    struct keys keys;
    struct places boxes;
    struct warm warm;
    struct limits limits;
    struct httpd *httpd;
    atomic_uint_fast64_t created, create_us; // sandboxes made, and how long that took in all
    atomic_uint jobs;                        // commands now
};

static inline struct serve *serve_of(const struct httpd_request *request)
{
    return httpd_context(request);
}

// The image of a template, or of a snapshot of this key: false when the name is unknown. NULL
// image: the provider's.
#define SERVE_IMAGE_SIZE 160
bool serve_image(const struct serve *serve, const char *owner, const char *name,
                 char space[SERVE_IMAGE_SIZE], const char **ret_image);

// The status that tells an error of the library.
unsigned serve_status(const struct sbx_error *err);
// Fails the request with the error's message (and Retry-After where that helps).
void serve_fail(struct httpd_request *request, const struct sbx_error *err);

// A call that ends when the server stops.
struct sbx_call serve_call(const struct httpd_request *request, int64_t timeout_ms);

// The handler of what is not served: 501, with the text that is the route's data.
void serve_refuse(struct httpd_request *request);
#define SERVE_REFUSED(verb, path, why)                                                             \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = serve_refuse, .data = why                      \
    }

// The body as an object; NULL object for an empty body. INVALID.
int serve_body(struct httpd_request *request, struct jsonv **ret_root, struct sbx_error *err);

// RFC 3339 in UTC.
#define SERVE_TIME_SIZE 32
void serve_time(int64_t unix_ms, char ret_text[SERVE_TIME_SIZE]);

// Puts the sandbox of the path's {id} with the caller's right on it into *ret_box, or replies.
bool serve_box(struct httpd_request *request, struct place **ret_box);
