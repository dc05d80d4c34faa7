# SPDX-License-Identifier: Apache-2.0
"""The high-level interface: sandboxes, wherever they are."""

from __future__ import annotations

import builtins
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from . import _bridge, _client
from .base import ExecutionResult, SandboxConfig, SandboxProvider, SandboxState, tied
from .base import Sandbox as BaseSandbox
from .exceptions import SandboxNotFoundError, SandboxUnsupportedError
from .manager import SandboxManager
from .providers import get_provider
from .providers.native import NativeProvider

if TYPE_CHECKING:
    from . import _native
    from .process import Process, ProcessInfo
    from .watch import Watch

__all__ = ["FileInfo", "Metrics", "OutputStream", "Sandbox", "run", "run_many"]

_log = logging.getLogger(__name__)
_configuring = threading.RLock()


@dataclass(frozen=True)
class FileInfo:
    """A file of a sandbox. ``kind`` is ``file``, ``directory``, ``symlink`` or ``other``."""

    name: str
    kind: str
    size: int
    mode: int
    uid: int
    gid: int
    modified_at: datetime
    link: str | None

    @property
    def is_dir(self) -> bool:
        """It is a directory."""
        return self.kind == "directory"


@dataclass(frozen=True)
class Metrics:
    """What a sandbox uses. A limit of 0 is none."""

    cpu_seconds: float
    memory_bytes: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    disk_bytes: int
    disk_limit_bytes: int
    pids: int
    oom_kills: int


def _env(*names: str) -> bool:
    return all(os.environ.get(name) for name in names)


def _modal() -> bool:
    return _env("MODAL_TOKEN_ID") or os.path.exists(os.path.expanduser("~/.modal.toml"))


def _vercel() -> bool:
    tokens = ("VERCEL_TOKEN", "VERCEL_API_TOKEN", "VERCEL_ACCESS_TOKEN", "VERCEL_OIDC_TOKEN")
    return any(map(_env, tokens)) and _env("VERCEL_PROJECT_ID", "VERCEL_TEAM_ID")


# In the order of detection: the first that is there is the default.
_DETECTED: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("e2b", lambda: _env("E2B_API_KEY")),
    ("modal", _modal),
    ("daytona", lambda: _env("DAYTONA_API_KEY")),
    ("cloudflare", lambda: _env("CLOUDFLARE_SANDBOX_BASE_URL", "CLOUDFLARE_API_TOKEN")),
    ("hopx", lambda: _env("HOPX_API_KEY")),
    ("vercel", _vercel),
    ("sprites", lambda: _env("SPRITES_TOKEN")),
    ("local", lambda: True),
)


class _Creation:
    """What create() returns: ``await`` it for a sandbox that stays, or enter it with ``async with``
    for one that ends with the block, and with this process at the latest."""

    def __init__(self, make: Callable[[], Awaitable[Sandbox]]) -> None:
        self._make = make
        self._sandbox: Sandbox | None = None

    def __await__(self) -> Generator[Any, None, Sandbox]:
        return self._make().__await__()

    async def __aenter__(self) -> Sandbox:
        token = tied.set(True)
        try:
            self._sandbox = await self._make()
        finally:
            tied.reset(token)
        return self._sandbox

    async def __aexit__(self, *exc: object) -> None:
        if self._sandbox:
            await self._sandbox.destroy()


class OutputStream:
    """Output of a command as it comes. ``result`` is there when it has ended."""

    def __init__(self, start: Callable[[Callable[[_native.Outcome], None]], AsyncIterator[str]]) -> None:
        self._start = start
        self._iterator: AsyncIterator[str] | None = None
        self.result: ExecutionResult | None = None

    def _ended(self, outcome: _native.Outcome) -> None:
        self.result = _client.result((*outcome, "", ""))

    def __aiter__(self) -> AsyncIterator[str]:
        if self._iterator is None:
            self._iterator = self._start(self._ended)
        return self._iterator

    def __await__(self) -> Generator[Any, None, AsyncIterator[str]]:
        return self._self().__await__()

    async def _self(self) -> AsyncIterator[str]:
        return self.__aiter__()

    async def aclose(self) -> None:
        """Stops the command."""
        close: Any = getattr(self._iterator, "aclose", None)
        if close:
            await close()


class Sandbox:
    """A sandbox and everything one can do with it.

    ``async with Sandbox.create() as sandbox`` for one that ends with the block;
    ``await Sandbox.create()`` for one that stays until ``destroy()`` or the end of its time.
    """

    _manager: ClassVar[SandboxManager | None] = None
    _auto_configured: ClassVar[bool] = False

    def __init__(self, sandbox: BaseSandbox, provider_name: str) -> None:
        self._sandbox = sandbox
        self._provider_name = provider_name
        self.id: str = sandbox.id
        self.state: SandboxState = sandbox.state
        self.labels: dict[str, str] = sandbox.labels
        self.metadata: dict[str, Any] = sandbox.metadata

    def __repr__(self) -> str:
        return f"<Sandbox id={self.id} provider={self._provider_name} state={self.state.value}>"

    # --- providers --------------------------------------------------------------------------------

    @classmethod
    def _ensure_manager(cls) -> SandboxManager:
        if Sandbox._manager is None or not Sandbox._auto_configured:
            with _configuring:
                if Sandbox._manager is None:
                    Sandbox._manager = SandboxManager()
                if not Sandbox._auto_configured:
                    Sandbox._auto_configure()
                    Sandbox._auto_configured = True
        return Sandbox._manager

    @classmethod
    def _auto_configure(cls) -> None:
        manager = Sandbox._manager
        assert manager is not None
        for name, is_there in _DETECTED:
            if not is_there() or name in manager.providers:
                continue
            try:
                _register(manager, name)
            except Exception as error:
                _log.debug("provider %s is not used: %s", name, error)
        chosen = os.environ.get("SANDBOXES_PROVIDER")
        if chosen:
            if chosen not in manager.providers:
                manager.add_provider(NativeProvider(chosen))
            manager.default_provider = chosen

    @classmethod
    def configure(
        cls,
        *,
        e2b_api_key: str | None = None,
        modal_token: str | None = None,
        daytona_api_key: str | None = None,
        hopx_api_key: str | None = None,
        vercel_token: str | None = None,
        vercel_project_id: str | None = None,
        vercel_team_id: str | None = None,
        sprites_token: str | None = None,
        cloudflare_config: dict[str, Any] | None = None,
        default_provider: str | None = None,
    ) -> None:
        """Sets up providers in the program, on top of those that were detected."""
        manager = cls._ensure_manager()
        vercel = {"token": vercel_token, "project_id": vercel_project_id, "team_id": vercel_team_id}
        wanted: dict[str, dict[str, Any] | None] = {
            "e2b": {"api_key": e2b_api_key} if e2b_api_key else None,
            "modal": {"token": modal_token} if modal_token else None,
            "daytona": {"api_key": daytona_api_key} if daytona_api_key else None,
            "hopx": {"api_key": hopx_api_key} if hopx_api_key else None,
            "vercel": vercel if vercel_token else None,
            "sprites": {"token": sprites_token} if sprites_token else None,
            "cloudflare": cloudflare_config,
        }
        for name, config in wanted.items():
            if config:
                _register(manager, name, config)
        if default_provider:
            manager.get_provider(default_provider)
            manager.default_provider = default_provider

    # --- making and finding -----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        *,
        provider: str | None = None,
        fallback: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        timeout: int | None = 300,
        image: str | None = None,
        **kwargs: Any,
    ) -> _Creation:
        """Makes a sandbox: ``await`` it or enter it with ``async with``.

        ``timeout`` is its time to live in seconds (None: the provider's default). Further arguments
        are fields of SandboxConfig, or options of ``provider_config`` such as ``network="none"``.
        """

        async def make() -> Sandbox:
            config = _config(labels, env_vars, timeout, image, kwargs)
            manager = cls._ensure_manager()
            made = await manager.create_sandbox(config, provider, fallback)
            return cls(made, _name_of(manager, made, provider))

        return _Creation(make)

    @classmethod
    async def find(cls, labels: Mapping[str, str], provider: str | None = None) -> Sandbox | None:
        """A running sandbox that has all these labels, made by any process, or None."""
        manager = cls._ensure_manager()
        for name in [provider] if provider else list(manager.providers):
            try:
                found = await manager.get_provider(name).find_sandbox(dict(labels))
            except Exception as error:
                if provider:
                    raise
                _log.warning("provider %s can't be searched: %s", name, error)
                continue
            if found:
                return cls(found, name)
        return None

    @classmethod
    async def get_or_create(cls, labels: Mapping[str, str], **create_kwargs: Any) -> Sandbox:
        """The sandbox with these labels; made if there is none. Takes the arguments of create()."""
        manager = cls._ensure_manager()
        provider: str | None = create_kwargs.get("provider")
        found = await cls.find(labels, provider)
        if found:
            await found._keep_for(create_kwargs.get("timeout", 300))
            return found
        if create_kwargs.get("fallback"):
            return await cls.create(labels=labels, **create_kwargs)
        rest = {k: v for k, v in create_kwargs.items() if k not in ("provider", "fallback")}
        settings = {key: rest.pop(key, None) for key in ("env_vars", "image")}
        config = _config(labels, settings["env_vars"], rest.pop("timeout", 300), settings["image"], rest)
        made = await manager.get_or_create_sandbox(config, provider)
        return cls(made, _name_of(manager, made, provider))

    @classmethod
    async def get(cls, sandbox_id: str, provider: str | None = None) -> Sandbox:
        """The living sandbox with this id, made by any process."""
        manager = cls._ensure_manager()
        for name in [provider] if provider else list(manager.providers):
            found = await manager.get_provider(name).get_sandbox(sandbox_id)
            if found:
                return cls(found, name)
        raise SandboxNotFoundError(f"there is no sandbox '{sandbox_id}'; `sandboxes list` shows those there are")

    @classmethod
    async def list(cls, labels: Mapping[str, str] | None = None, provider: str | None = None) -> list[Sandbox]:
        """All living sandboxes that have these labels."""
        manager = cls._ensure_manager()
        found = await manager.list_sandboxes(provider, dict(labels) if labels else None)
        return [cls(one, _name_of(manager, one, provider)) for one in found]

    async def _keep_for(self, seconds: float | None) -> None:
        """Its time to live begins anew, as if it had been made just now."""
        provider = self._provider()
        if isinstance(provider, NativeProvider) and seconds:
            with suppress(SandboxUnsupportedError):  # its provider decides
                await provider.set_timeout(self.id, seconds)

    def _provider(self) -> SandboxProvider:
        return self._ensure_manager().get_provider(self._provider_name)

    async def _box(self, what: str) -> _native.Box:
        provider = self._provider()
        if isinstance(provider, NativeProvider):
            return await provider.box(self.id)
        raise SandboxUnsupportedError(f"provider '{self._provider_name}' can't do {what}")

    # --- commands ---------------------------------------------------------------------------------

    async def execute(
        self,
        command: str | Sequence[str],
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
        *,
        stdin: str | bytes | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> ExecutionResult:
        """Runs a command to its end: a line for the shell, or its words in a list.

        A command that fails is a result, no exception; one that runs past ``timeout`` (seconds) is
        killed with its children, and ``timed_out`` is set. Cancelling stops it in the sandbox.
        """
        provider = self._provider()
        if isinstance(provider, NativeProvider):
            return await provider.execute_command(
                self.id, command, timeout, env_vars, cwd=cwd, user=user, stdin=stdin
            )
        if not isinstance(command, str) or stdin is not None or cwd or user:
            raise SandboxUnsupportedError(
                f"provider '{self._provider_name}' takes a line for the shell only: no list, stdin, cwd, user"
            )
        return await provider.execute_command(self.id, command, timeout, dict(env_vars) if env_vars else None)

    async def execute_many(
        self, commands: Iterable[str], stop_on_error: bool = True, **kwargs: Any
    ) -> builtins.list[ExecutionResult]:
        """Runs commands one after the other, up to the first that fails."""
        results: builtins.list[ExecutionResult] = []
        for command in commands:
            results.append(await self.execute(command, **kwargs))
            if stop_on_error and not results[-1].success:
                break
        return results

    async def run_code(
        self, code: str, language: str = "python", *, timeout: float | None = None, **kwargs: Any
    ) -> ExecutionResult:
        """Runs a program given as text. No character of it needs care."""
        from .languages import command_for

        return await self.execute(command_for(code, language), timeout=timeout, **kwargs)

    def stream(
        self, command: str, env_vars: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> OutputStream:
        """Output of a command as it comes: ``async for chunk in sandbox.stream(...)``. Where the
        provider tells them apart, ``chunk.stream`` is ``stdout`` or ``stderr``. Leaving the loop
        stops the command."""

        def start(on_end: Callable[[_native.Outcome], None]) -> AsyncIterator[str]:
            provider = self._provider()
            if isinstance(provider, NativeProvider):
                return provider.stream_execution(self.id, command, timeout, env_vars, on_end=on_end)
            return provider.stream_execution(self.id, command, timeout, dict(env_vars) if env_vars else None)

        return OutputStream(start)

    async def start(
        self,
        command: str | Sequence[str],
        *,
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
        cwd: str | None = None,
        user: str | None = None,
        stdin: bool = False,
        pty: bool = False,
        background: bool = False,
        rows: int = 0,
        cols: int = 0,
    ) -> Process:
        """Starts a command and returns while it runs. In the background it outlives this process;
        ``attach`` joins it later."""
        from .process import Process

        flags = (_client.PTY if pty else 0) | (_client.BACKGROUND if background else 0)
        flags |= _client.STDIN if stdin else 0
        exec = _client.execution(
            command, timeout=timeout, env=env_vars, cwd=cwd, user=user, flags=flags, rows=rows, cols=cols
        )
        box = await self._box("start")
        return Process(await _bridge.call(box.start(exec, 0)))

    async def attach(self, pid: int) -> Process:
        """Joins a background command: its kept output first, then what follows."""
        from .process import Process

        box = await self._box("attach")
        return Process(await _bridge.call(box.attach(pid, 0)))

    async def processes(self) -> builtins.list[ProcessInfo]:
        """Commands that run, and those whose output is still kept."""
        from .process import ProcessInfo

        box = await self._box("processes")
        return [
            ProcessInfo(
                pid=pid,
                command=command,
                running=bool(running),
                background=bool(flags & _client.BACKGROUND),
                exit_code=None if running else code,
                started_at=_time(started),
            )
            for pid, flags, running, code, started, command in await _bridge.call(box.processes(0))
        ]

    # --- files ------------------------------------------------------------------------------------

    async def upload(self, local_path: str | os.PathLike[str], remote_path: str) -> bool:
        """Copies a file or directory of this machine into the sandbox."""
        return await self._provider().upload_file(self.id, os.fspath(local_path), remote_path)

    async def download(self, remote_path: str, local_path: str | os.PathLike[str]) -> bool:
        """Copies a file or directory out of the sandbox."""
        return await self._provider().download_file(self.id, remote_path, os.fspath(local_path))

    async def write_file(
        self, path: str, data: str | bytes, *, mode: int = 0, user: str | None = None
    ) -> None:
        """Replaces a file's contents; missing directories are made."""
        raw = data.encode() if isinstance(data, str) else bytes(data)
        box = await self._box("write_file")
        await _bridge.call(box.write_file(path, raw, user, mode, 0))

    async def read_file(self, path: str, *, limit: int = 0) -> bytes:
        """A file's contents. More than ``limit`` bytes (0: 1 GiB) is a SandboxQuotaError."""
        box = await self._box("read_file")
        return await _bridge.call(box.read_file(path, None, None, 0, False, limit, 0))

    async def read_text(self, path: str) -> str:
        """A file's contents as text."""
        return (await self.read_file(path)).decode()

    async def list_files(self, path: str = ".") -> builtins.list[FileInfo]:
        """What is in a directory, by name."""
        box = await self._box("list_files")
        found = await _bridge.call(box.list_files(path, None, None, 0, False, 0, 0))
        return [_file(one) for one in found]

    async def stat(self, path: str) -> FileInfo:
        """What is known about a file."""
        box = await self._box("stat")
        return _file(await _bridge.call(box.stat(path, None, None, 0, False, 0, 0)))

    async def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            await self.stat(path)
        except SandboxNotFoundError:
            return False
        return True

    async def mkdir(self, path: str, *, parents: bool = True, mode: int = 0) -> None:
        """Makes a directory."""
        box = await self._box("mkdir")
        await _bridge.call(box.mkdir(path, None, None, mode, parents, 0, 0))

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a directory with all that is in it."""
        box = await self._box("remove")
        await _bridge.call(box.remove(path, None, None, 0, recursive, 0, 0))

    async def rename(self, path: str, to: str) -> None:
        """Renames a file or directory."""
        box = await self._box("rename")
        await _bridge.call(box.rename(path, to, None, 0, False, 0, 0))

    async def watch(self, path: str, *, recursive: bool = False) -> Watch:
        """Watches a directory; all that changes from here on is told: ``async for change in watch``."""
        from .watch import Watch

        box = await self._box("watch")
        return Watch(await _bridge.call(box.watch(path, None, None, 0, recursive, 0, 0)))

    # --- as a whole -------------------------------------------------------------------------------

    async def destroy(self) -> bool:
        """Ends the sandbox with everything in it; False if it had ended before."""
        ended = await self._provider().destroy_sandbox(self.id)
        self.state = SandboxState.TERMINATED
        return ended

    async def refresh(self) -> Sandbox:
        """Asks for state, labels and metadata anew."""
        found = await self._provider().get_sandbox(self.id)
        if found is None:
            self.state = SandboxState.TERMINATED
            raise SandboxNotFoundError(f"sandbox {self.id} does not exist any more")
        self._sandbox = found
        self.state, self.labels, self.metadata = found.state, found.labels, found.metadata
        return self

    async def set_timeout(self, seconds: float | None) -> None:
        """A new time to live, from now on; None: without end."""
        box = await self._box("set_timeout")
        await _bridge.call(box.set_ttl(-1 if seconds is None else _client.milliseconds(seconds), 0))

    async def set_network(self, network: str | None = None, allow: Sequence[str] = ()) -> None:
        """Other rules for its network, from now on: ``network`` and ``allow`` as for create(). What is
        connected breaks off."""
        box = await self._box("set_network")
        await _bridge.call(box.set_network(_client.network(network), tuple(allow), 0))

    async def metrics(self) -> Metrics:
        """What it uses now."""
        box = await self._box("metrics")
        cpu_usec, *rest = await _bridge.call(box.metrics(0))
        return Metrics(cpu_usec / 1e6, *rest)

    async def expose(self, port: int, host_port: int = 0) -> str:
        """Makes a TCP port of the sandbox reachable; returns the address, such as
        ``127.0.0.1:40123``."""
        box = await self._box("expose")
        return await _bridge.call(box.expose(port, host_port, 0))

    async def get_url(self, port: int) -> str:
        """A URL of a port of the sandbox."""
        address = await self.expose(port)
        return address if "://" in address else f"http://{address}"

    async def pause(self) -> None:
        """Stops all its processes until resume()."""
        box = await self._box("pause")
        await _bridge.call(box.pause(0))

    async def resume(self) -> None:
        """Lets its processes run on."""
        box = await self._box("resume")
        await _bridge.call(box.resume(0))

    async def snapshot(self, name: str | None = None) -> str:
        """Keeps its files as an image and returns the name of that: ``create(image=name)`` begins
        with them. Without a name it gets one by chance."""
        name = name or f"snapshot-{secrets.token_hex(8)}"
        box = await self._box("snapshot")
        await _bridge.call(box.snapshot(name, 0))
        return name

    async def fork(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Sandbox:
        """A new sandbox with the files of this one, and with its settings but the labels.

        ``timeout`` is its time to live in seconds (None: what this one was made with).
        """
        provider = self._provider()
        if not isinstance(provider, NativeProvider):
            raise SandboxUnsupportedError(f"provider '{self._provider_name}' can't fork a sandbox")
        return type(self)(await provider.fork_sandbox(self.id, labels, env_vars, timeout), self._provider_name)

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.destroy()


async def run(command: str, *, provider: str | None = None, **kwargs: Any) -> ExecutionResult:
    """Runs one command in a sandbox of its own, which ends with it.

    Takes the arguments of Sandbox.create(); ``timeout`` (seconds) limits the command too.
    """
    manager = Sandbox._ensure_manager()  # pyright: ignore[reportPrivateUsage]
    timeout: float | None = kwargs.get("timeout")
    chosen = manager.get_provider(provider) if not kwargs.get("fallback") else None
    if not isinstance(chosen, NativeProvider) or kwargs.get("setup_commands"):
        async with Sandbox.create(provider=provider, **kwargs) as sandbox:
            return await sandbox.execute(command, timeout=timeout)
    rest = dict(kwargs)
    rest.pop("fallback", None)
    ttl: int | None = rest.pop("timeout", 300)
    config = _config(rest.pop("labels", None), rest.pop("env_vars", None), ttl, rest.pop("image", None), rest)
    if config.timeout_seconds:
        config.timeout_seconds += 60  # the command's own limit ends it first, with a result
    return await chosen.run_once(config, command, timeout)


async def run_many(
    commands: Iterable[str], *, provider: str | None = None, **kwargs: Any
) -> list[ExecutionResult]:
    """Runs commands one after the other in one sandbox, up to the first that fails."""
    async with Sandbox.create(provider=provider, **kwargs) as sandbox:
        return await sandbox.execute_many(commands, timeout=kwargs.get("timeout"))


def _register(manager: SandboxManager, name: str, config: dict[str, Any] | None = None) -> None:
    kind = get_provider(name)
    assert kind is not None
    default = manager.default_provider
    manager.register_provider(name, kind, config)
    if default == "local" and not os.environ.get("SANDBOXES_PROVIDER"):
        manager.default_provider = name


def _config(
    labels: Mapping[str, str] | None,
    env_vars: Mapping[str, str] | None,
    timeout: int | None,
    image: str | None,
    more: Mapping[str, Any],
) -> SandboxConfig:
    """Options that only a provider knows may be given beside the fields of SandboxConfig."""
    fields = {key: value for key, value in more.items() if key not in _client.OPTIONS}
    options = {key: value for key, value in more.items() if key in _client.OPTIONS}
    config = SandboxConfig(
        labels=dict(labels or {}), env_vars=dict(env_vars or {}), timeout_seconds=timeout, image=image, **fields
    )
    if options:
        config.provider_config = {**(config.provider_config or {}), **options}
    return config


def _name_of(manager: SandboxManager, made: BaseSandbox, asked: str | None) -> str:
    return made.provider if made.provider in manager.providers else str(asked or manager.default_provider)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


_KINDS = {1: "file", 2: "directory", 3: "symlink"}


def _file(value: _native.File) -> FileInfo:
    name, link, size, modified, kind, mode, uid, gid = value
    return FileInfo(name, _KINDS.get(kind, "other"), size, mode, uid, gid, _time(modified), link)
