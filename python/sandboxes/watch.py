# SPDX-License-Identifier: Apache-2.0
"""Changes in directories of sandboxes, as they happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from . import _bridge, _native

__all__ = ["FileChange", "Watch"]

_KINDS = {1: "create", 2: "write", 3: "remove", 4: "rename", 5: "mode"}


@dataclass(frozen=True)
class FileChange:
    """What has happened to a file: ``create``, ``write``, ``remove``, ``rename`` (its old name) or ``mode``."""

    kind: str
    path: str  # below the directory


class Watch:
    """A directory that is watched: ``async for change in watch``. It ends when this object goes."""

    def __init__(self, handle: _native.Watch) -> None:
        self._handle = handle

    async def next(self, timeout: float = 0) -> FileChange:
        """The next change. After so many seconds (0: never) without one it is a SandboxTimeoutError."""
        kind, path = await _bridge.call(self._handle.next(int(timeout * 1000)))
        return FileChange(_KINDS[kind], path)

    async def __aiter__(self) -> AsyncIterator[FileChange]:
        while True:
            yield await self.next()
