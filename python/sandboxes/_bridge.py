# SPDX-License-Identifier: Apache-2.0
"""Waiting for jobs: on an event loop, without blocking it, or on this thread.

A job runs on a thread of the extension's; its end wakes the loop through a descriptor, and one
wake-up settles all that have ended. Cancelling the waiting task stops the call in the library, and
the cancellation goes on when the call has returned: nothing runs on behind its caller's back.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from . import _native
from .exceptions import from_native

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")

_native.set_error_factory(from_native)
os.register_at_fork(after_in_child=_native.after_fork)


class _Bridge:
    """The queue of one event loop. Only the loop holds it: it goes, and stops everything, with it."""

    __slots__ = ("__weakref__", "pending", "queue")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue = _native.Queue()
        self.pending: dict[_native.Job[Any], Callable[[_native.Job[Any]], None]] = {}
        loop.add_reader(self.queue.fileno(), self.drain)

    def drain(self) -> None:
        for job in self.queue.drain():
            tell = self.pending.pop(job, None) if job.done else self.pending.get(job)
            if tell:
                tell(job)

    def start(self, job: _native.Job[Any], tell: Callable[[_native.Job[Any]], None]) -> None:
        self.pending[job] = tell
        try:
            job.start(self.queue)
        except BaseException:
            del self.pending[job]
            raise


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[_Bridge]] = (
    weakref.WeakKeyDictionary()
)
_process = os.getpid()


def bridge(loop: asyncio.AbstractEventLoop) -> _Bridge:
    """The bridge of a loop; made when it is asked for first."""
    global _process
    if _process != os.getpid():  # a loop that went through a fork watches its parent's queue
        _process = os.getpid()
        _bridges.clear()
    reference = _bridges.get(loop)
    found = reference() if reference else None
    if found is None:
        found = _Bridge(loop)
        _bridges[loop] = weakref.ref(found)
    return found


class _Blocking(threading.local):
    """Whether this thread drives coroutines itself, and so waits right here."""

    on = False


_blocking = _Blocking()


def drive(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine that waits for nothing but jobs to its end, on this thread."""
    before, _blocking.on = _blocking.on, True
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        _blocking.on = before
        coroutine.close()
    raise RuntimeError("this waits for an event loop: use the asynchronous API")


def is_blocking() -> bool:
    """Whether the running coroutine is driven by drive()."""
    return _blocking.on


def wait(job: _native.Job[_T]) -> _T:
    """The result of a job, waited for on this thread; an interrupt (Ctrl-C) stops it."""
    return job.wait(threading.current_thread() is threading.main_thread())


async def call(job: _native.Job[_T]) -> _T:
    """The result of a job."""
    if _blocking.on:
        return wait(job)
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def tell(_: object) -> None:
        if not future.done():
            future.set_result(None)

    owner = bridge(loop)
    owner.start(job, tell)
    try:
        await future
    except asyncio.CancelledError:
        await _stop(owner, job, loop)
        raise
    except BaseException:  # the coroutine is closed: nobody can wait any more
        job.cancel()
        raise
    return job.result()


async def sleep(seconds: float) -> None:
    """Waits: the coroutine on its loop, or this thread."""
    if _blocking.on:
        import time

        time.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


async def _stop(owner: _Bridge, job: _native.Job[Any], loop: asyncio.AbstractEventLoop) -> None:
    if job.cancel() and job in owner.pending:
        ended: asyncio.Future[None] = loop.create_future()
        owner.pending[job] = lambda _: None if ended.done() else ended.set_result(None)
        await ended


class Reader:
    """Output of a command, chunk by chunk: (stream, bytes)."""

    def __init__(self, process: _native.Process) -> None:
        self._process = process
        self._job = process.read()
        self._woken: asyncio.Event | None = None
        self.outcome: _native.Outcome | None = None

    def _start(self) -> None:
        import asyncio

        woken = self._woken = asyncio.Event()
        bridge(asyncio.get_running_loop()).start(self._job, lambda _: woken.set())

    async def _wait(self) -> None:
        if _blocking.on:
            if self._woken is None and not self._job.done:
                self._start_alone()
            self._job.wait_output()
            return
        if self._woken is None:
            self._start()
        assert self._woken is not None
        await self._woken.wait()
        self._woken.clear()

    _alone = False

    def _start_alone(self) -> None:
        if not self._alone:
            self._alone = True
            self._job.run_on()

    async def next(self) -> list[tuple[int, bytes]]:
        """What has come since, at least one piece; nothing more: the command has ended."""
        while self.outcome is None:
            done = self._job.done
            chunks = self._job.take()
            if done and not chunks:
                self.outcome = self._job.result()
            elif chunks:
                return chunks
            else:
                await self._wait()
        return []

    def close(self) -> None:
        """Stops reading, and so the command, unless it runs in the background."""
        self._job.cancel()


def _shutdown() -> None:
    for reference in list(_bridges.values()):
        found = reference()
        if found:
            found.queue.close()


import atexit  # noqa: E402

atexit.register(_shutdown)
