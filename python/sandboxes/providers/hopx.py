# SPDX-License-Identifier: Apache-2.0
"""Hopx's service. The key comes from HOPX_API_KEY unless it is given."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["HopxProvider"]


class HopxProvider(NativeProvider):
    """Hopx's service. The key comes from HOPX_API_KEY unless it is given."""

    SETTING = "HOPX_API_KEY"

    def __init__(self, api_key: str | None = None, **config: Any) -> None:
        super().__init__("hopx", api_key=api_key, **config)
