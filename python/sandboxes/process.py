# SPDX-License-Identifier: Apache-2.0
"""Running commands: input, output as it comes, terminals, signals, the background."""

from __future__ import annotations

import signal as _signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from . import _bridge, _client, _native
from .base import ExecutionResult

__all__ = ["Process", "ProcessInfo"]

_NAMES = {1: "stdout", 2: "stderr"}


@dataclass(frozen=True)
class ProcessInfo:
    """A command of a sandbox that runs, or whose output is still kept."""

    pid: int
    command: str
    running: bool
    background: bool
    exit_code: int | None
    started_at: datetime


class Process:
    """A running command. Iterate over it for its output: ``async for stream, data in process``.

    It is killed when this object goes, unless it was started in the background.
    """

    def __init__(self, handle: _native.Process) -> None:
        self._handle = handle
        self._reader: _bridge.Reader | None = None

    @property
    def pid(self) -> int:
        """Its number inside the sandbox; ``Sandbox.attach`` takes it."""
        return self._handle.pid

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        reader = self._read()
        while chunks := await reader.next():
            for stream, data in chunks:
                yield _NAMES[stream], data

    def _read(self) -> _bridge.Reader:
        if self._reader is None:
            self._reader = _bridge.Reader(self._handle)
        return self._reader

    async def wait(self) -> ExecutionResult:
        """Reads what is left of its output and waits for its end."""
        parts: dict[int, list[bytes]] = {1: [], 2: []}
        reader = self._read()
        while chunks := await reader.next():
            for stream, data in chunks:
                parts[stream].append(data)
        assert reader.outcome is not None
        out, err = (b"".join(parts[stream]).decode("utf-8", "replace") for stream in (1, 2))
        return _client.result((*reader.outcome, out, err))

    async def write(self, data: str | bytes) -> None:
        """Writes to its input; it must have been started with ``stdin=True`` or ``pty=True``."""
        raw = data.encode() if isinstance(data, str) else bytes(data)
        await _bridge.call(self._handle.write(raw, 0))

    async def close_stdin(self) -> None:
        """Ends its input."""
        await _bridge.call(self._handle.close_input())

    async def send_signal(self, signal: int) -> None:
        """Sends a signal to its process group."""
        await _bridge.call(self._handle.signal(int(signal)))

    async def kill(self) -> None:
        """Kills it and all its descendants."""
        await self.send_signal(_signal.SIGKILL)

    async def resize(self, rows: int, cols: int) -> None:
        """New size of its terminal."""
        await _bridge.call(self._handle.resize(rows, cols))

    def close(self) -> None:
        """Lets go of it: no output is read any more, and it is killed unless in the background."""
        if self._reader:
            self._reader.close()
