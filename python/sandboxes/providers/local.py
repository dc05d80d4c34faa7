# SPDX-License-Identifier: Apache-2.0
"""Sandboxes on this machine."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["LocalProvider"]


class LocalProvider(NativeProvider):
    """Sandboxes on this machine."""

    SETTING = ""

    def __init__(self, **config: Any) -> None:
        super().__init__("local", **config)
