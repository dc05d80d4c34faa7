# SPDX-License-Identifier: Apache-2.0
"""The types that providers and their users share, and the base class of providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "ExecutionResult",
    "ProviderCapabilities",
    "Sandbox",
    "SandboxConfig",
    "SandboxProvider",
    "SandboxState",
]

tied: ContextVar[bool] = ContextVar("sandboxes_tied", default=False)
"""Whether sandboxes made now end with this process at the latest, where the provider can see to it."""


class SandboxState(Enum):
    """Where a sandbox is in its life."""

    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    ERROR = "error"
    PAUSED = "paused"


@dataclass
class SandboxConfig:
    """What a new sandbox should be like.

    ``timeout_seconds`` is its time to live. ``provider_config`` holds what only one provider knows;
    for local sandboxes: ``network``, ``allow``, ``mounts``, ``ports``, ``user``, ``hostname``,
    ``gpu``, ``memory`` (MB), ``disk_mb``, ``max_pids``, ``max_open_files``, ``tied``.
    """

    image: str | None = None
    language: str | None = None
    memory_mb: int | None = None
    cpu_cores: float | None = None
    timeout_seconds: int | None = 120
    env_vars: dict[str, str] | None = field(default_factory=dict[str, str])
    labels: dict[str, str] | None = field(default_factory=dict[str, str])
    provider_config: dict[str, Any] | None = field(default_factory=dict[str, Any])
    setup_commands: list[str] | None = field(default_factory=list[str])
    working_dir: str | None = None

    def model_copy(self, update: dict[str, Any] | None = None) -> SandboxConfig:
        """A deep copy with some fields replaced."""
        values: dict[str, Any] = {f.name: deepcopy(getattr(self, f.name)) for f in fields(self)}
        return SandboxConfig(**{**values, **(update or {})})


@dataclass
class ExecutionResult:
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str
    duration_ms: int | None = None
    truncated: bool = False
    timed_out: bool = False

    @property
    def success(self) -> bool:
        """It ended by itself, with 0."""
        return self.exit_code == 0 and not self.timed_out


@dataclass
class Sandbox:
    """A sandbox as a provider knows it (``sandboxes.BaseSandbox``)."""

    id: str
    provider: str
    state: SandboxState
    labels: dict[str, str] = field(default_factory=dict[str, str])
    created_at: datetime | None = None
    connection_info: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class ProviderCapabilities:
    """What a provider can do."""

    persistent: bool = False
    snapshot: bool = False
    streaming: bool = False
    file_upload: bool = False
    interactive_shell: bool = False
    gpu: bool = False

    def as_dict(self) -> dict[str, bool]:
        """The same as a dictionary."""
        return asdict(self)


class SandboxProvider(ABC):
    """Base of all providers. Subclass it for a service of your own: the manager, the pool, retry and
    circuit breaker work with it as with ours."""

    CAPABILITIES = ProviderCapabilities()

    def __init__(self, **config: Any) -> None:
        self.config: dict[str, Any] = config

    @classmethod
    def get_capabilities(cls) -> ProviderCapabilities:
        """What providers of this class can do."""
        return cls.CAPABILITIES

    @property
    def capabilities(self) -> ProviderCapabilities:
        """What this provider can do."""
        return self.get_capabilities()

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the provider."""

    @abstractmethod
    async def create_sandbox(self, config: SandboxConfig) -> Sandbox:
        """Makes a sandbox; it can run commands when this returns."""

    @abstractmethod
    async def get_sandbox(self, sandbox_id: str) -> Sandbox | None:
        """The sandbox with this id, or None."""

    @abstractmethod
    async def list_sandboxes(self, labels: dict[str, str] | None = None) -> list[Sandbox]:
        """All sandboxes that have these labels."""

    @abstractmethod
    async def execute_command(
        self,
        sandbox_id: str,
        command: str,
        timeout: float | None = None,
        env_vars: dict[str, str] | None = None,
    ) -> ExecutionResult:
        """Runs a shell command to its end."""

    @abstractmethod
    async def destroy_sandbox(self, sandbox_id: str) -> bool:
        """Ends the sandbox; False if there was none."""

    async def find_sandbox(self, labels: dict[str, str]) -> Sandbox | None:
        """A running sandbox that has all these labels, or None."""
        for sandbox in await self.list_sandboxes(labels=labels):
            if sandbox.state is SandboxState.RUNNING:
                return sandbox
        return None

    async def get_or_create_sandbox(self, config: SandboxConfig) -> Sandbox:
        """The sandbox with the labels of this configuration; made if there is none."""
        found = await self.find_sandbox(config.labels) if config.labels else None
        return found or await self.create_sandbox(config)

    async def execute_commands(
        self,
        sandbox_id: str,
        commands: list[str],
        stop_on_error: bool = True,
        timeout: float | None = None,
        env_vars: dict[str, str] | None = None,
    ) -> list[ExecutionResult]:
        """Runs commands one after the other, up to the first that fails."""
        results: list[ExecutionResult] = []
        for command in commands:
            result = await self.execute_command(sandbox_id, command, timeout, env_vars)
            results.append(result)
            if stop_on_error and not result.success:
                break
        return results

    async def stream_execution(
        self,
        sandbox_id: str,
        command: str,
        timeout: float | None = None,
        env_vars: dict[str, str] | None = None,
    ) -> AsyncIterator[str]:
        """Output as it comes; here all at once, for providers that can't do better."""
        result = await self.execute_command(sandbox_id, command, timeout, env_vars)
        for text in (result.stdout, result.stderr):
            if text:
                yield text

    async def upload_file(self, sandbox_id: str, local_path: str, sandbox_path: str) -> bool:
        """Copies a file of this machine into the sandbox."""
        raise NotImplementedError(f"provider '{self.name}' does not implement upload_file")

    async def download_file(self, sandbox_id: str, sandbox_path: str, local_path: str) -> bool:
        """Copies a file out of the sandbox."""
        raise NotImplementedError(f"provider '{self.name}' does not implement download_file")

    async def health_check(self) -> bool:
        """Whether the provider answers."""
        try:
            await self.list_sandboxes()
        except Exception:
            return False
        return True
