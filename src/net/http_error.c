// SPDX-License-Identifier: Apache-2.0
// What the end of a transfer means to the caller. Layer: net.
#include "net/http_internal.h"

#include <errno.h>

struct meaning {
    CURLcode result;
    int code;
    const char *what; // before the host
    const char *hint; // NULL: the code's own
    int sys_errno;    // where no connection came about: the request was surely not carried out
};

#define TRUST_HINT                                                                                 \
    "check the service's certificate; for one of your own authority set SSL_CERT_FILE to its "     \
    "certificate (PEM)"

static const struct meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, SBX_ERR_UNAVAILABLE, "cannot find the address of",
     "check the name in the settings, and this machine's name service", EHOSTUNREACH},
    {CURLE_COULDNT_RESOLVE_PROXY, SBX_ERR_UNAVAILABLE, "cannot find the proxy on the way to",
     "check https_proxy, http_proxy and the setting 'proxy'", EHOSTUNREACH},
    {CURLE_COULDNT_CONNECT, SBX_ERR_UNAVAILABLE, "cannot connect to", NULL, ECONNREFUSED},
    {CURLE_OPERATION_TIMEDOUT, SBX_ERR_TIMEOUT, "no connection in time to", NULL, 0},
    {CURLE_PEER_FAILED_VERIFICATION, SBX_ERR_SETUP, "cannot trust", TRUST_HINT, 0},
    {CURLE_SSL_CACERT_BADFILE, SBX_ERR_SETUP, "cannot read the CA certificates for", TRUST_HINT, 0},
    {CURLE_SSL_CONNECT_ERROR, SBX_ERR_UNAVAILABLE, "cannot agree on TLS with", NULL, 0},
    {CURLE_URL_MALFORMAT, SBX_ERR_INVALID, "a malformed address:", NULL, 0},
    {CURLE_UNSUPPORTED_PROTOCOL, SBX_ERR_PROTOCOL, "no HTTP came from", NULL, 0}, // HTTP/0.9
    {CURLE_WEIRD_SERVER_REPLY, SBX_ERR_PROTOCOL, "no HTTP came from", NULL, 0},
    {CURLE_OUT_OF_MEMORY, SBX_ERR_NOMEM, "out of memory for the exchange with", NULL, 0},
    {CURLE_ABORTED_BY_CALLBACK, SBX_ERR_UNAVAILABLE,
     "not sent again, since it may have been carried out: the connection was lost with",
     "look at the state of things before you try again", 0},
    {CURLE_HTTP_RETURNED_ERROR, SBX_ERR_UNAVAILABLE, "refused by", NULL, 0},
};

int stream_error(const struct http_stream *stream, struct sbx_error *err)
{
    if (stream->too_large)
        return err_set(err, SBX_ERR_PROTOCOL, "%s sent more than %u KiB of headers", stream->host,
                       HEADERS_MAX >> 10);
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
        const struct meaning *row = &meanings[i];
        if (row->result != stream->result)
            continue;
        err_set(err, row->code, "%s %s: %s", row->what, stream->host,
                stream->error_text[0] ? stream->error_text : curl_easy_strerror(stream->result));
        err->sys_errno = row->sys_errno;
        return row->hint ? err_hint(err, "%s", row->hint) : row->code;
    }
    return err_set(err, SBX_ERR_UNAVAILABLE, "connection lost to %s: %s", stream->host,
                   stream->error_text[0] ? stream->error_text : curl_easy_strerror(stream->result));
}
