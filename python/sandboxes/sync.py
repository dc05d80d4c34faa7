# SPDX-License-Identifier: Apache-2.0
"""The same names without an event loop: ``from sandboxes.sync import Sandbox, run``.

Calls of the library's providers are made right on this thread. Providers written in Python need an
event loop: one runs in the background for them, from their first use on.
"""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import _bridge
from . import sandbox as _async
from .base import ExecutionResult, SandboxConfig, SandboxProvider, SandboxState
from .base import Sandbox as BaseSandbox
from .manager import SandboxManager as _AsyncManager
from .process import Process as _AsyncProcess
from .process import ProcessInfo
from .providers.native import NativeProvider
from .sandbox import FileInfo, Metrics
from .watch import FileChange
from .watch import Watch as _AsyncWatch

if TYPE_CHECKING:
    import asyncio

    from .pool import ConnectionPool as _AsyncConnectionPool
    from .pool import PoolConfig
    from .pool import SandboxPool as _AsyncPool

__all__ = ["ConnectionPool", "Manager", "Process", "Sandbox", "SandboxManager", "SandboxPool", "Watch", "run", "run_many"]

_T = TypeVar("_T")
_loop: asyncio.AbstractEventLoop | None = None
_loop_process = 0
_lock = threading.Lock()


def _background() -> asyncio.AbstractEventLoop:
    import asyncio

    global _loop, _loop_process
    with _lock:
        if _loop is None or _loop_process != os.getpid():
            _loop, _loop_process = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="sandboxes", daemon=True).start()
        return _loop


def _on_loop(coroutine: Coroutine[Any, Any, _T]) -> _T:
    import asyncio

    future = asyncio.run_coroutine_threadsafe(coroutine, _background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _drive(coroutine: Coroutine[Any, Any, _T], providers: Iterable[SandboxProvider]) -> _T:
    if all(isinstance(provider, NativeProvider) for provider in providers):
        return _bridge.drive(coroutine)
    return _on_loop(coroutine)


def _all() -> Iterable[SandboxProvider]:
    return _async.Sandbox._ensure_manager().providers.values()  # pyright: ignore[reportPrivateUsage]


class OutputStream:
    """Output of a command as it comes. ``result`` is there when it has ended."""

    def __init__(self, inner: _async.OutputStream, providers: Sequence[SandboxProvider]) -> None:
        self._inner = inner
        self._providers = providers

    @property
    def result(self) -> ExecutionResult | None:
        """How it ended; None while it runs."""
        return self._inner.result

    def __iter__(self) -> Iterator[str]:
        iterator = self._inner.__aiter__()
        end = object()

        async def following() -> Any:
            try:
                return await iterator.__anext__()
            except StopAsyncIteration:
                return end

        try:
            while (chunk := _drive(following(), self._providers)) is not end:
                yield chunk
        finally:
            _drive(self._inner.aclose(), self._providers)


class Watch:
    """A directory that is watched: ``for change in watch``."""

    def __init__(self, inner: _AsyncWatch) -> None:
        self._inner = inner

    def next(self, timeout: float = 0) -> FileChange:
        """The next change. After so many seconds (0: never) without one it is a SandboxTimeoutError."""
        return _bridge.drive(self._inner.next(timeout))

    def __iter__(self) -> Iterator[FileChange]:
        while True:
            yield self.next()


class Process:
    """A running command; iterate over it for its output: (stream, bytes)."""

    def __init__(self, inner: _AsyncProcess) -> None:
        self._inner = inner

    @property
    def pid(self) -> int:
        """Its number inside the sandbox."""
        return self._inner.pid

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        reader = self._inner._read()  # pyright: ignore[reportPrivateUsage]
        while chunks := _bridge.drive(reader.next()):
            for stream, data in chunks:
                yield "stderr" if stream == 2 else "stdout", data

    def wait(self) -> ExecutionResult:
        """Reads what is left of its output and waits for its end."""
        return _bridge.drive(self._inner.wait())

    def write(self, data: str | bytes) -> None:
        """Writes to its input."""
        _bridge.drive(self._inner.write(data))

    def close_stdin(self) -> None:
        """Ends its input."""
        _bridge.drive(self._inner.close_stdin())

    def send_signal(self, signal: int) -> None:
        """Sends a signal to its process group."""
        _bridge.drive(self._inner.send_signal(signal))

    def kill(self) -> None:
        """Kills it and all its descendants."""
        _bridge.drive(self._inner.kill())

    def resize(self, rows: int, cols: int) -> None:
        """New size of its terminal."""
        _bridge.drive(self._inner.resize(rows, cols))

    def close(self) -> None:
        """Lets go of it; it is killed unless in the background."""
        self._inner.close()


class Sandbox:
    """As sandboxes.Sandbox, without await. ``with Sandbox.create() as sandbox`` ends it with the
    block; call ``destroy()`` otherwise."""

    def __init__(self, inner: _async.Sandbox) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def id(self) -> str:
        """Its id."""
        return self._inner.id

    @property
    def state(self) -> SandboxState:
        """Where it is in its life, as far as this object knows."""
        return self._inner.state

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self._inner.labels

    @property
    def metadata(self) -> dict[str, Any]:
        """What else is known about it."""
        return self._inner.metadata

    def _do(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return _drive(coroutine, (self._inner._provider(),))  # pyright: ignore[reportPrivateUsage]

    @classmethod
    def configure(cls, **settings: Any) -> None:
        """As sandboxes.Sandbox.configure()."""
        _async.Sandbox.configure(**settings)

    @classmethod
    def create(cls, **kwargs: Any) -> Sandbox:
        """Makes a sandbox. Takes the arguments of sandboxes.Sandbox.create()."""

        async def make() -> _async.Sandbox:
            return await _async.Sandbox.create(**kwargs)

        return cls(_drive(make(), _all()))

    @classmethod
    def get_or_create(cls, labels: Mapping[str, str], **kwargs: Any) -> Sandbox:
        """The sandbox with these labels; made if there is none."""
        return cls(_drive(_async.Sandbox.get_or_create(labels, **kwargs), _all()))

    @classmethod
    def find(cls, labels: Mapping[str, str], provider: str | None = None) -> Sandbox | None:
        """A running sandbox that has all these labels, or None."""
        found = _drive(_async.Sandbox.find(labels, provider), _all())
        return cls(found) if found else None

    @classmethod
    def get(cls, sandbox_id: str, provider: str | None = None) -> Sandbox:
        """The living sandbox with this id."""
        return cls(_drive(_async.Sandbox.get(sandbox_id, provider), _all()))

    @classmethod
    def list(cls, labels: Mapping[str, str] | None = None, provider: str | None = None) -> list[Sandbox]:
        """All living sandboxes that have these labels."""
        return [cls(one) for one in _drive(_async.Sandbox.list(labels, provider), _all())]

    def execute(
        self,
        command: str | Sequence[str],
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ExecutionResult:
        """Runs a command to its end."""
        return self._do(self._inner.execute(command, env_vars, timeout, **kwargs))

    def execute_many(
        self, commands: Iterable[str], stop_on_error: bool = True, **kwargs: Any
    ) -> builtins.list[ExecutionResult]:
        """Runs commands one after the other, up to the first that fails."""
        return self._do(self._inner.execute_many(commands, stop_on_error, **kwargs))

    def run_code(self, code: str, language: str = "python", **kwargs: Any) -> ExecutionResult:
        """Runs a program given as text."""
        return self._do(self._inner.run_code(code, language, **kwargs))

    def stream(self, command: str, **kwargs: Any) -> OutputStream:
        """Output of a command as it comes."""
        provider = self._inner._provider()  # pyright: ignore[reportPrivateUsage]
        return OutputStream(self._inner.stream(command, **kwargs), (provider,))

    def start(self, command: str | Sequence[str], **kwargs: Any) -> Process:
        """Starts a command and returns while it runs."""
        return Process(self._do(self._inner.start(command, **kwargs)))

    def attach(self, pid: int) -> Process:
        """Joins a background command."""
        return Process(self._do(self._inner.attach(pid)))

    def processes(self) -> builtins.list[ProcessInfo]:
        """Commands that run, and those whose output is still kept."""
        return self._do(self._inner.processes())

    def upload(self, local_path: str | os.PathLike[str], remote_path: str) -> bool:
        """Copies a file or directory of this machine into the sandbox."""
        return self._do(self._inner.upload(local_path, remote_path))

    def download(self, remote_path: str, local_path: str | os.PathLike[str]) -> bool:
        """Copies a file or directory out of the sandbox."""
        return self._do(self._inner.download(remote_path, local_path))

    def write_file(self, path: str, data: str | bytes, **kwargs: Any) -> None:
        """Replaces a file's contents."""
        self._do(self._inner.write_file(path, data, **kwargs))

    def read_file(self, path: str, *, limit: int = 0) -> bytes:
        """A file's contents."""
        return self._do(self._inner.read_file(path, limit=limit))

    def read_text(self, path: str) -> str:
        """A file's contents as text."""
        return self._do(self._inner.read_text(path))

    def list_files(self, path: str = ".") -> builtins.list[FileInfo]:
        """What is in a directory."""
        return self._do(self._inner.list_files(path))

    def stat(self, path: str) -> FileInfo:
        """What is known about a file."""
        return self._do(self._inner.stat(path))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self._do(self._inner.exists(path))

    def mkdir(self, path: str, **kwargs: Any) -> None:
        """Makes a directory."""
        self._do(self._inner.mkdir(path, **kwargs))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a directory with all that is in it."""
        self._do(self._inner.remove(path, recursive=recursive))

    def rename(self, path: str, to: str) -> None:
        """Renames a file or directory."""
        self._do(self._inner.rename(path, to))

    def watch(self, path: str, *, recursive: bool = False) -> Watch:
        """Watches a directory; all that changes from here on is told."""
        return Watch(self._do(self._inner.watch(path, recursive=recursive)))

    def destroy(self) -> bool:
        """Ends the sandbox with everything in it."""
        return self._do(self._inner.destroy())

    def refresh(self) -> Sandbox:
        """Asks for state, labels and metadata anew."""
        self._do(self._inner.refresh())
        return self

    def set_timeout(self, seconds: float | None) -> None:
        """A new time to live, from now on."""
        self._do(self._inner.set_timeout(seconds))

    def set_network(self, network: str | None = None, allow: Sequence[str] = ()) -> None:
        """Other rules for its network, from now on."""
        self._do(self._inner.set_network(network, allow))

    def metrics(self) -> Metrics:
        """What it uses now."""
        return self._do(self._inner.metrics())

    def expose(self, port: int, host_port: int = 0) -> str:
        """Makes a TCP port of the sandbox reachable; returns the address."""
        return self._do(self._inner.expose(port, host_port))

    def get_url(self, port: int) -> str:
        """A URL of a port of the sandbox."""
        return self._do(self._inner.get_url(port))

    def pause(self) -> None:
        """Stops all its processes until resume()."""
        self._do(self._inner.pause())

    def resume(self) -> None:
        """Lets its processes run on."""
        self._do(self._inner.resume())

    def snapshot(self, name: str | None = None) -> str:
        """Keeps its files as an image and returns the name of that."""
        return self._do(self._inner.snapshot(name))

    def fork(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Sandbox:
        """A new sandbox with the files of this one, and with its settings but the labels."""
        return Sandbox(self._do(self._inner.fork(labels=labels, env_vars=env_vars, timeout=timeout)))

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc: object) -> None:
        self.destroy()


def run(command: str, *, provider: str | None = None, **kwargs: Any) -> ExecutionResult:
    """Runs one command in a sandbox of its own, which ends with it."""
    return _drive(_async.run(command, provider=provider, **kwargs), _all())


def run_many(commands: Iterable[str], *, provider: str | None = None, **kwargs: Any) -> list[ExecutionResult]:
    """Runs commands one after the other in one sandbox, up to the first that fails."""
    return _drive(_async.run_many(commands, provider=provider, **kwargs), _all())


class SandboxManager:
    """As sandboxes.SandboxManager, without await."""

    def __init__(
        self, default_provider: str | None = None, *, providers: Iterable[SandboxProvider] | None = None
    ) -> None:
        self._inner = _AsyncManager(default_provider, providers=providers)

    @property
    def providers(self) -> dict[str, SandboxProvider]:
        """The providers by name."""
        return self._inner.providers

    @property
    def default_provider(self) -> str | None:
        """Name of the default provider."""
        return self._inner.default_provider

    def register_provider(
        self, name: str, provider_class: type[SandboxProvider], config: dict[str, Any] | None = None
    ) -> None:
        """Makes a provider of a class and adds it."""
        self._inner.register_provider(name, provider_class, config)

    def get_provider(self, name: str | None = None) -> SandboxProvider:
        """A provider by name; the default without."""
        return self._inner.get_provider(name)

    def _do(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return _drive(coroutine, self._inner.providers.values())

    def create_sandbox(self, config: SandboxConfig, *args: Any, **kwargs: Any) -> BaseSandbox:
        """Makes a sandbox with the first provider that can."""
        return self._do(self._inner.create_sandbox(config, *args, **kwargs))

    def execute_with_fallback(self, code: str, config: SandboxConfig | None = None, **kwargs: Any) -> ExecutionResult:
        """Runs a command in a sandbox of its own with the first provider that can."""
        return self._do(self._inner.execute_with_fallback(code, config, **kwargs))

    def get_or_create_sandbox(self, config: SandboxConfig, provider: str | None = None) -> BaseSandbox:
        """The sandbox with the labels of this configuration; made if there is none."""
        return self._do(self._inner.get_or_create_sandbox(config, provider))

    def execute_command(self, sandbox_id: str, command: str, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Runs a command."""
        return self._do(self._inner.execute_command(sandbox_id, command, *args, **kwargs))

    def destroy_sandbox(self, sandbox_id: str, provider: str | None = None) -> bool:
        """Ends a sandbox."""
        return self._do(self._inner.destroy_sandbox(sandbox_id, provider))

    def list_sandboxes(
        self, provider: str | None = None, labels: dict[str, str] | None = None
    ) -> list[BaseSandbox]:
        """Sandboxes of one provider or of all."""
        return self._do(self._inner.list_sandboxes(provider, labels))

    def health_check(self, provider: str | None = None) -> dict[str, bool]:
        """Whether each provider answers."""
        return self._do(self._inner.health_check(provider))

    def cleanup_sandboxes(self, *args: Any, **kwargs: Any) -> int:
        """Ends sandboxes."""
        return self._do(self._inner.cleanup_sandboxes(*args, **kwargs))


Manager = SandboxManager


async def _made(make: Callable[[], _T]) -> _T:
    return make()


class SandboxPool:
    """As sandboxes.SandboxPool, without await; any thread may use it. It lives on a loop in the
    background."""

    def __init__(self, pool_config: PoolConfig | None = None) -> None:
        from .pool import SandboxPool as Inner

        self._inner: _AsyncPool = _on_loop(_made(lambda: Inner(pool_config)))

    def start(self, provider: SandboxProvider | None = None, config: SandboxConfig | None = None) -> None:
        """Begins to clean up by itself, and prewarms."""
        _on_loop(self._inner.start(provider, config))

    def acquire(self, provider: SandboxProvider, config: SandboxConfig, timeout: float | None = None) -> BaseSandbox:
        """A sandbox for the caller alone."""
        return _on_loop(self._inner.acquire(provider, config, timeout))

    def release(self, sandbox_id: str) -> None:
        """Gives a sandbox back."""
        _on_loop(self._inner.release(sandbox_id))

    def destroy(self, sandbox_id: str) -> None:
        """Ends one sandbox of the pool."""
        _on_loop(self._inner.destroy(sandbox_id))

    def stop(self) -> None:
        """Ends the pool and all its sandboxes."""
        _on_loop(self._inner.stop())

    def get_stats(self) -> dict[str, int]:
        """Counts since the beginning, and of now."""
        return self._inner.get_stats()

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class ConnectionPool:
    """As sandboxes.pool.ConnectionPool, without await."""

    def __init__(self, provider: SandboxProvider, **limits: Any) -> None:
        from .pool import ConnectionPool as Inner

        self._inner: _AsyncConnectionPool = _on_loop(_made(lambda: Inner(provider, **limits)))

    def get_or_create(self, config: SandboxConfig) -> BaseSandbox:
        """An idle connection that fits, or a new one."""
        return _on_loop(self._inner.get_or_create(config))

    def release(self, conn: BaseSandbox) -> bool:
        """Gives a connection back."""
        return _on_loop(self._inner.release(conn))

    def close(self) -> None:
        """Ends all connections."""
        _on_loop(self._inner.close())

    def get_metrics(self) -> dict[str, int]:
        """Counts of connections."""
        return self._inner.get_metrics()

    def __enter__(self) -> ConnectionPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
