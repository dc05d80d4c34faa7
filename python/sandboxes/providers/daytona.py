# SPDX-License-Identifier: Apache-2.0
"""Daytona's service. The key comes from DAYTONA_API_KEY unless it is given."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["DaytonaProvider"]


class DaytonaProvider(NativeProvider):
    """Daytona's service. The key comes from DAYTONA_API_KEY unless it is given."""

    SETTING = "DAYTONA_API_KEY"

    def __init__(self, api_key: str | None = None, **config: Any) -> None:
        super().__init__("daytona", api_key=api_key, **config)
