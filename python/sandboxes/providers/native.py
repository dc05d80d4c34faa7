# SPDX-License-Identifier: Apache-2.0
"""Providers that the library has: one class serves them all."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .. import _bridge, _client, _native, security
from ..base import ExecutionResult, ProviderCapabilities, Sandbox, SandboxConfig, SandboxProvider, SandboxState, tied
from ..exceptions import ProviderError, SandboxError, SandboxNotFoundError

__all__ = ["NativeProvider", "OutputChunk"]

_STATES = {
    1: SandboxState.CREATING,
    2: SandboxState.RUNNING,
    3: SandboxState.PAUSED,
    4: SandboxState.STOPPED,
    5: SandboxState.ERROR,
}
_HANDLES_MAX = 4096

class OutputChunk(str):
    """A piece of output; ``stream`` is ``stdout`` or ``stderr``."""

    stream: str = "stdout"


class _Decoder:
    """Bytes of two streams as text; characters may be cut in two between pieces."""

    def __init__(self) -> None:
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {1: make("replace"), 2: make("replace")}

    def chunk(self, stream: int, data: bytes, final: bool = False) -> OutputChunk:
        text = OutputChunk(self._decoders[stream].decode(data, final))
        if stream == 2:
            text.stream = "stderr"
        return text

    def rest(self) -> list[OutputChunk]:
        return [text for stream in (1, 2) if (text := self.chunk(stream, b"", True))]


class NativeProvider(SandboxProvider):
    """A provider of the library by its name. ``config`` holds its settings."""

    CAPABILITIES = ProviderCapabilities(
        persistent=True, snapshot=False, streaming=True, file_upload=True, interactive_shell=True, gpu=False
    )
    SETTING = ""
    """The setting that makes the provider usable; named in errors."""

    def __init__(self, provider: str, **config: Any) -> None:
        super().__init__(**config)
        self._name = provider
        self._own = self._own_client()
        self._handles: dict[str, _native.Box] = {}
        self._check()

    def _own_client(self) -> _native.Client | None:
        """None: the one of this process. Services take their credentials from the environment as it
        is now, not as it was for another provider before."""
        if any(value is not None for value in self.config.values()):
            return _client.client_with(self._name, self.config)
        return None if self._name in ("local", "fake") else _native.Client()

    def _check(self) -> None:
        known = {row[0]: row for row in providers_of(self._client())}
        row = known.get(self._name)
        needs = f"; its setting is {self.SETTING}" if self.SETTING else ""
        if row is None or not row[2]:  # one that can do nothing is a name for later
            raise ProviderError(f"provider '{self._name}' is not part of this version{needs}")
        self._can = {_native.capability_name(1 << bit) for bit in range(32) if row[2] & 1 << bit}

    def _client(self) -> _native.Client:
        return self._own or _client.client()

    @property
    def name(self) -> str:
        """Name of the provider."""
        return self._name

    # --- sandboxes --------------------------------------------------------------------------------

    def _keep(self, box: _native.Box) -> _native.Box:
        while len(self._handles) >= _HANDLES_MAX:
            del self._handles[next(iter(self._handles))]
        self._handles[box.id] = box
        return box

    async def box(self, sandbox_id: str) -> _native.Box:
        """The library's handle of a sandbox; found again by its id where there is none, also in
        another process than the one that made it."""
        box = self._handles.get(sandbox_id)
        if box and box.usable:
            return box
        return self._keep(await _bridge.call(self._client().get(self._name, sandbox_id, 0)))

    def _sandbox(self, info: _native.Info) -> Sandbox:
        return Sandbox(
            id=info[0],
            provider=self._name,
            state=_STATES.get(info[4], SandboxState.ERROR),
            labels=dict(info[12]),
            created_at=datetime.fromtimestamp(info[6] / 1000, timezone.utc) if info[6] else None,
            metadata={"image": info[2], "user": info[3], "expires_ms": info[7] or None, "ports": info[13]},
        )

    def _made(self, box: _native.Box, config: SandboxConfig) -> Sandbox:
        return Sandbox(
            id=box.id,
            provider=self._name,
            state=SandboxState.RUNNING,
            labels=dict(config.labels or {}),
            created_at=datetime.now(timezone.utc),
            metadata={"image": config.image},
        )

    def _spec(self, config: SandboxConfig, ties: bool) -> _native.Spec:
        return _client.spec(self._name, config, ties, "ttl" in self._can)

    async def create_sandbox(self, config: SandboxConfig) -> Sandbox:
        """Makes a sandbox; it can run commands when this returns."""
        spec = self._spec(config, tied.get())
        box = self._keep(await _bridge.call(self._client().create(spec, 0)))
        if config.setup_commands:
            await self._set_up(box, config.setup_commands)
        return self._made(box, config)

    async def _set_up(self, box: _native.Box, commands: Sequence[str]) -> None:
        try:
            for command in commands:
                result = _client.result(await _bridge.call(box.run(_client.execution(command), 0)))
                if not result.success:
                    raise ProviderError(
                        f"setup command {command!r} ended with {result.exit_code}: {result.stderr.strip()[-500:]}"
                    )
        except BaseException:
            await self.destroy_sandbox(box.id)
            raise

    async def fork_sandbox(
        self,
        sandbox_id: str,
        labels: Mapping[str, str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Sandbox:
        """A new sandbox with the files of that one. ``timeout``: its time to live in seconds."""
        box = await self.box(sandbox_id)
        ttl_ms = int(timeout * 1000) if timeout else 0
        job = box.fork(_client.pairs(labels), _client.pairs(env_vars), ttl_ms, tied.get(), 0)
        made = self._keep(await _bridge.call(job))
        return self._sandbox(await _bridge.call(made.info(0)))

    async def get_or_create_sandbox(self, config: SandboxConfig) -> Sandbox:
        """The sandbox with these labels, whichever process made it; made if there is none. Two that
        ask at once get the same."""
        if not config.labels:
            return await self.create_sandbox(config)
        spec = self._spec(config, tied.get())
        box, created = await _bridge.call(self._client().get_or_create(spec, 0))
        self._keep(box)
        if created and config.setup_commands:
            await self._set_up(box, config.setup_commands)
        return self._made(box, config) if created else self._sandbox(await _bridge.call(box.info(0)))

    async def get_sandbox(self, sandbox_id: str) -> Sandbox | None:
        """The sandbox with this id, or None."""
        try:
            return self._sandbox(await _bridge.call((await self.box(sandbox_id)).info(0)))
        except SandboxNotFoundError:
            self._handles.pop(sandbox_id, None)
            return None

    async def list_sandboxes(self, labels: dict[str, str] | None = None) -> list[Sandbox]:
        """All sandboxes that have these labels, oldest first; those of other processes too."""
        found = await _bridge.call(self._client().list(self._name, _client.pairs(labels), 0))
        return [self._sandbox(info) for info in found]

    async def find_sandbox(self, labels: dict[str, str]) -> Sandbox | None:
        """A running sandbox that has all these labels (at least one), or None."""
        if not labels:
            return None
        try:
            box = self._keep(await _bridge.call(self._client().find(self._name, _client.pairs(labels), 0)))
            return self._sandbox(await _bridge.call(box.info(0)))
        except SandboxNotFoundError:
            return None

    async def destroy_sandbox(self, sandbox_id: str) -> bool:
        """Ends the sandbox with everything in it; False if there was none."""
        try:
            await _bridge.call((await self.box(sandbox_id)).destroy(0))
        except SandboxNotFoundError:
            return False
        finally:
            self._handles.pop(sandbox_id, None)
        return True

    async def is_alive(self, sandbox_id: str) -> bool:
        """Whether it still runs."""
        found = await self.get_sandbox(sandbox_id)
        return found is not None and found.state is SandboxState.RUNNING

    async def set_timeout(self, sandbox_id: str, seconds: float | None) -> None:
        """A new time to live, from now on; None: without end."""
        ttl = -1 if seconds is None else _client.milliseconds(seconds)
        await _bridge.call((await self.box(sandbox_id)).set_ttl(ttl, 0))

    # --- commands ---------------------------------------------------------------------------------

    async def execute_command(
        self,
        sandbox_id: str,
        command: str | Sequence[str],
        timeout: float | None = None,
        env_vars: Mapping[str, str] | None = None,
        *,
        cwd: str | None = None,
        user: str | None = None,
        stdin: str | bytes | None = None,
    ) -> ExecutionResult:
        """Runs a command to its end. Past the timeout it is killed and the result is ``timed_out``."""
        exec = _client.execution(command, timeout=timeout, env=env_vars, cwd=cwd, user=user, stdin=stdin)
        box = await self.box(sandbox_id)
        return _client.result(await _bridge.call(box.run(exec, 0)))

    async def run_once(
        self, config: SandboxConfig, command: str | Sequence[str], timeout: float | None = None
    ) -> ExecutionResult:
        """One command in a sandbox of its own, which ends with it: a single call of the library."""
        spec = self._spec(config, True)
        exec = _client.execution(command, timeout=timeout)
        return _client.result(await _bridge.call(self._client().run(spec, exec, 0)))

    async def stream_execution(
        self,
        sandbox_id: str,
        command: str | Sequence[str],
        timeout: float | None = None,
        env_vars: Mapping[str, str] | None = None,
        *,
        on_end: Any = None,
    ) -> AsyncIterator[str]:
        """Output as it comes. Leaving the loop early stops the command."""
        box = await self.box(sandbox_id)
        exec = _client.execution(command, timeout=timeout, env=env_vars, stdin=b"")
        reader = _bridge.Reader(await _bridge.call(box.start(exec, 0)))
        decoder = _Decoder()
        try:
            while chunks := await reader.next():
                for stream, data in chunks:
                    if text := decoder.chunk(stream, data):
                        yield text
            for text in decoder.rest():
                yield text
            if on_end:
                on_end(reader.outcome)
        finally:
            reader.close()

    # --- files ------------------------------------------------------------------------------------

    async def upload_file(self, sandbox_id: str, local_path: str, sandbox_path: str) -> bool:
        """Copies a file or directory of this machine into the sandbox."""
        path = _checked(security.validate_local_path, local_path, "upload", must_exist=True, operation="upload")
        box = await self.box(sandbox_id)
        await _bridge.call(box.upload(path, sandbox_path, None, 0, True, 0, 0))
        return True

    async def download_file(self, sandbox_id: str, sandbox_path: str, local_path: str) -> bool:
        """Copies a file or directory out of the sandbox. Nothing is written outside ``local_path``."""
        path = _checked(security.validate_download_path, local_path, "download")
        box = await self.box(sandbox_id)
        await _bridge.call(box.download(sandbox_path, path, None, 0, True, 0, 0))
        return True

    async def health_check(self) -> bool:
        """Whether sandboxes can be made here; nothing is made."""
        return any(row[0] == self._name and row[3] for row in providers_of(self._client()))


def _checked(check: Any, path: str, what: str, **more: Any) -> str:
    try:
        return str(check(path, **more))
    except SandboxError as error:
        raise SandboxError(f"Failed to {what} file: {error}") from error


def providers_of(client: _native.Client) -> list[tuple[str, str | None, int, bool, str, str]]:
    """(name, description, capabilities, usable, reason, remedy) of each provider of the library."""
    found: list[tuple[str, str | None, int, bool, str, str]] = []
    while (row := client.provider(len(found))) is not None:
        found.append(row)
    return found
