# SPDX-License-Identifier: Apache-2.0
"""Modal's service. Its token comes from ~/.modal.toml or MODAL_TOKEN_ID."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["ModalProvider"]


class ModalProvider(NativeProvider):
    """Modal's service. Its token comes from ~/.modal.toml or MODAL_TOKEN_ID."""

    SETTING = "MODAL_TOKEN_ID (and MODAL_TOKEN_SECRET), or ~/.modal.toml"

    def __init__(self, **config: Any) -> None:
        super().__init__("modal", **config)
