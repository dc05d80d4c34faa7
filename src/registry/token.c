// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens by the distribution project's token authentication: a GET with basic credentials or none,
 * or a POST with an identity token. Layer: registry.
 */
#include "registry/token.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "net/json.h"
#include "net/url.h"
#include "registry/credentials.h"

#define TOKEN_REPLY_MAX (256u << 10)
#define HEADER_MAX 8000 // that a request carries

static int refused(const struct place *place, bool known, struct sbx_error *err)
{
    err_set(err, SBX_ERR_AUTH, "%s refuses %s", place->host,
            known ? "the credentials stored for it" : "to answer without credentials");
    return err_hint(err, "log in again: docker login %s", place->host);
}

static int basic_value(const struct credentials *credentials, char **ret_value)
{
    struct buf pair = BUF_INIT(2 * CREDENTIAL_MAX + 1);
    struct buf value = BUF_INIT(HEADER_MAX);
    buf_add(&pair, credentials->user.data, credentials->user.size);
    buf_puts(&pair, ":");
    buf_add(&pair, credentials->secret.data, credentials->secret.size);
    buf_puts(&value, "Basic ");
    if (!pair.failed)
        base64_encode(&value, pair.data, pair.size);
    bool failed = pair.failed || !buf_text(&value);
    if (pair.data)
        explicit_bzero(pair.data, pair.capacity);
    buf_deinit(&pair);
    *ret_value = failed ? NULL : buf_steal(&value, NULL);
    buf_deinit(&value);
    return failed ? -1 : 0;
}

// A secret must not go unencrypted where the registry itself would not let it.
static int check_realm(const struct place *place, const char *realm, struct sbx_error *err)
{
    bool https = strncmp(realm, "https://", 8) == 0;
    if (https || (strncmp(realm, "http://", 7) == 0 && strncmp(place->base, "http://", 7) == 0))
        return 0;
    return err_set(err, SBX_ERR_PROTOCOL, "%s sends to an unsafe place for tokens", place->host);
}

static int take_token(const struct http_reply *reply, const struct place *place, bool known,
                      char **ret_value, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    if (reply->status == 401 || reply->status == 403 || reply->status == 400)
        return refused(place, known, err);
    if (reply->status != 200) {
        err_set(err,
                reply->status >= 500 || reply->status == 429 ? SBX_ERR_UNAVAILABLE
                                                             : SBX_ERR_PROTOCOL,
                "%s gives no token: status %d", place->host, reply->status);
        return err ? err->code : SBX_ERR_PROTOCOL;
    }
    int rc = jsonv_parse(reply->body.data, reply->body.size, &root, err);
    if (rc < 0)
        return err_wrap(err, "%s's token", place->host);
    const char *token = jsonv_text(root, "token");
    if (!token || !token[0])
        token = jsonv_text(root, "access_token");
    if (!token || !token[0] || strlen(token) > HEADER_MAX - 64 || strpbrk(token, "\r\n"))
        return err_set(err, SBX_ERR_PROTOCOL, "%s gives a token of no use", place->host);
    return asprintf(ret_value, "Bearer %s", token) < 0 ? err_nomem(err) : 0;
}

static void put_form(struct buf *form, const char *name, const char *value)
{
    buf_printf(form, "%s%s=", form->size ? "&" : "", name);
    url_add(form, value);
}

static int ask_with_identity(struct http *http, const struct challenge *challenge,
                             const char *scope, struct credentials *credentials,
                             struct deadline deadline, struct http_reply *reply,
                             struct sbx_error *err)
{
    struct buf form = BUF_INIT(3 * CREDENTIAL_MAX + 8192);
    const char *secret = buf_text(&credentials->secret);
    put_form(&form, "grant_type", "refresh_token");
    put_form(&form, "service", challenge->service);
    put_form(&form, "scope", scope);
    put_form(&form, "client_id", "sandboxes");
    put_form(&form, "refresh_token", secret ? secret : "");
    const struct http_header headers[] = {{"Content-Type", "application/x-www-form-urlencoded"}};
    const struct http_request request = {.method = "POST",
                                         .url = challenge->realm,
                                         .headers = headers,
                                         .header_count = 1,
                                         .body = form.data,
                                         .body_size = form.size,
                                         .flags = HTTP_IDEMPOTENT,
                                         .reply_max = TOKEN_REPLY_MAX};
    int rc = form.failed ? err_nomem(err) : http_call(http, &request, deadline, reply, err);
    if (form.data)
        explicit_bzero(form.data, form.capacity);
    buf_deinit(&form);
    return rc;
}

static int ask_for_token(struct http *http, const struct challenge *challenge, const char *scope,
                         const char *basic, struct deadline deadline, struct http_reply *reply,
                         struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192);
    buf_puts(&url, challenge->realm);
    if (strchr(challenge->realm, '?')) {
        buf_puts(&url, "&scope=");
        url_add(&url, scope);
    } else {
        url_query(&url, "scope", scope);
    }
    if (challenge->service[0])
        url_query(&url, "service", challenge->service);
    if (!buf_text(&url))
        return err_nomem(err);
    const struct http_header headers[] = {{"Authorization", basic}};
    const struct http_request request = {.method = "GET",
                                         .url = url.data,
                                         .headers = headers,
                                         .header_count = 1,
                                         .flags = HTTP_IDEMPOTENT,
                                         .reply_max = TOKEN_REPLY_MAX};
    return http_call(http, &request, deadline, reply, err);
}

static int answer_bearer(struct http *http, const struct place *place, const char *path,
                         const struct challenge *challenge, struct credentials *credentials,
                         struct deadline deadline, char **ret_value, struct sbx_error *err)
{
    cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
    char scope[600], *basic = NULL;
    snprintf(scope, sizeof(scope), "repository:%s:pull", path);
    const char *asked = challenge->scope[0] ? challenge->scope : scope;
    int rc = check_realm(place, challenge->realm, err);
    if (rc < 0)
        return rc;
    if (credentials->found && credentials->token) {
        rc = ask_with_identity(http, challenge, asked, credentials, deadline, &reply, err);
    } else {
        if (credentials->found && basic_value(credentials, &basic) < 0)
            return err_nomem(err);
        rc = ask_for_token(http, challenge, asked, basic, deadline, &reply, err);
        if (basic)
            explicit_bzero(basic, strlen(basic));
        free(basic);
    }
    return rc < 0 ? rc : take_token(&reply, place, credentials->found, ret_value, err);
}

int token_answer(struct http *http, const struct place *place, const char *path,
                 const struct challenge *challenge, struct deadline deadline, char **ret_value,
                 struct sbx_error *err)
{
    cleanup_credentials struct credentials credentials = CREDENTIALS_NONE;
    int rc = credentials_find(place->host, deadline, &credentials, err);
    if (rc < 0)
        return rc;
    if (challenge->bearer)
        return answer_bearer(http, place, path, challenge, &credentials, deadline, ret_value, err);
    if (!credentials.found || credentials.token)
        return refused(place, credentials.found, err);
    return basic_value(&credentials, ret_value) < 0 ? err_nomem(err) : 0;
}
