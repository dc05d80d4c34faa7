# SPDX-License-Identifier: Apache-2.0
"""A credential that Azurite takes: a token that nobody has signed, in place of what asks Microsoft's servers for one."""
import base64
import json
import time


def token():
    now = int(time.time())
    claims = {"iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/", "aud": "https://storage.azure.com",
              "iat": now, "nbf": now - 60, "exp": now + 3600, "oid": "x", "tid": "x"}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "x"])


class Credential:
    def get_token(self, *_, **__):
        from azure.core.credentials import AccessToken

        return AccessToken(token(), int(time.time()) + 3600)


class Provider:
    create_cacheable_azure_credential = Credential


def install():
    from metaflow.plugins.azure import azure_credential

    azure_credential.cached_provider_class = Provider
