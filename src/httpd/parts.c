// SPDX-License-Identifier: Apache-2.0
// Bodies in parts (RFC 7578), read by libmicrohttpd as they come. Layer: httpd.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "httpd/request.h"

#define PARTS_BUFFER (32 * 1024) // also the longest names

// Of the same part as the piece before, which had no data: libmicrohttpd may tell of a part first
// without any, and then from its beginning.
static bool goes_on(const struct httpd_request *request, const char *part)
{
    return request->empty_part && strcmp(request->empty_part, part) == 0;
}

static enum MHD_Result take_piece(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *file_name, const char *type, const char *encoding,
                                  const char *data, uint64_t offset, size_t size)
{
    struct httpd_request *request = cls;
    cleanup_free char *name = NULL;
    if (asprintf(&name, "%s\n%s", key ? key : "", file_name ? file_name : "") < 0) {
        name = NULL;
        return MHD_NO;
    }
    struct httpd_part part = {key, file_name, data, size, offset == 0 && !goes_on(request, name)};
    free(request->empty_part);
    request->empty_part = offset == 0 && size == 0 ? steal_ptr(name) : NULL;
    return request->take_part(request->sink_payload, &part) < 0 ? MHD_NO : MHD_YES;
}

static int feed(void *payload, const void *data, size_t size)
{
    struct httpd_request *request = payload;
    return MHD_post_process(request->parts_of, data, size) == MHD_YES ? 0 : -1;
}

bool httpd_set_part_sink(struct httpd_request *request,
                         int (*take)(void *payload, const struct httpd_part *part), void *payload)
{
    const char *type = httpd_header(request, "Content-Type");
    if (!type || strncasecmp(type, "multipart/form-data", 19) != 0)
        return false;
    request->parts_of =
        MHD_create_post_processor(request->connection, PARTS_BUFFER, take_piece, request);
    if (!request->parts_of)
        return false;
    request->take_part = take;
    request->sink_payload = payload;
    request->sink = feed;
    return true;
}
