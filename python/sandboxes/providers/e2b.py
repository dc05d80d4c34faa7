# SPDX-License-Identifier: Apache-2.0
"""E2B's service. The key comes from E2B_API_KEY unless it is given."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["E2BProvider"]


class E2BProvider(NativeProvider):
    """E2B's service. The key comes from E2B_API_KEY unless it is given."""

    SETTING = "E2B_API_KEY"

    def __init__(self, api_key: str | None = None, **config: Any) -> None:
        super().__init__("e2b", api_key=api_key, **config)
