# SPDX-License-Identifier: Apache-2.0
"""Sprites' service. The token comes from SPRITES_TOKEN unless it is given."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["SpritesProvider"]


class SpritesProvider(NativeProvider):
    """Sprites' service. The token comes from SPRITES_TOKEN unless it is given."""

    SETTING = "SPRITES_TOKEN"

    def __init__(self, token: str | None = None, **config: Any) -> None:
        super().__init__("sprites", token=token, **config)
