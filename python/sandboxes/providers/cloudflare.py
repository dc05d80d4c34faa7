# SPDX-License-Identifier: Apache-2.0
"""Cloudflare's sandboxes, through a Worker of yours."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["CloudflareProvider"]


class CloudflareProvider(NativeProvider):
    """Cloudflare's sandboxes, through a Worker of yours."""

    SETTING = "CLOUDFLARE_SANDBOX_BASE_URL (and CLOUDFLARE_API_TOKEN)"

    def __init__(self, *, base_url: str | None = None, api_token: str | None = None, account_id: str | None = None, **config: Any) -> None:
        super().__init__("cloudflare", base_url=base_url, api_token=api_token, account_id=account_id, **config)
