# SPDX-License-Identifier: Apache-2.0
"""Vercel's sandboxes."""

from __future__ import annotations

from typing import Any

from .native import NativeProvider

__all__ = ["VercelProvider"]


class VercelProvider(NativeProvider):
    """Vercel's sandboxes."""

    SETTING = "VERCEL_TOKEN (and VERCEL_PROJECT_ID, VERCEL_TEAM_ID)"

    def __init__(self, token: str | None = None, project_id: str | None = None, team_id: str | None = None, **config: Any) -> None:
        super().__init__("vercel", token=token, project_id=project_id, team_id=team_id, **config)
