# SPDX-License-Identifier: Apache-2.0
"""Clients of the library, and what Python has turned into what they take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from . import _bridge, _native  # pyright: ignore[reportUnusedImport]
from .base import ExecutionResult, SandboxConfig
from .exceptions import SandboxError

NETWORKS = {"default": 0, "none": 1, "internet": 2, "allow": 3, "host": 4}
OPTIONS = (
    "allow",
    "disk_mb",
    "gpu",
    "hostname",
    "max_open_files",
    "max_pids",
    "memory",
    "mounts",
    "network",
    "ports",
    "tied",
    "user",
)
PTY, BACKGROUND, STDIN, MERGE, CLEAN_ENV = 1, 2, 4, 8, 16
SETTINGS_FIRST = 1
TIMED_OUT, OOM, TRUNCATED = 1, 2, 4

_clients: dict[tuple[int, str, str, str], _native.Client] = {}


def client() -> _native.Client:
    """The client of this process, with the configuration as environment and file have it now."""
    key = (
        os.getpid(),
        os.environ.get("SANDBOXES_PROVIDER", ""),
        os.environ.get("XDG_RUNTIME_DIR", ""),
        os.environ.get("XDG_CONFIG_HOME", ""),
    )
    found = _clients.get(key)
    if found is None:
        found = _clients[key] = _native.Client()
    return found


def client_with(name: str, settings: Mapping[str, Any]) -> _native.Client:
    """A client of its own for a provider with settings given in the program: they take the form of a
    configuration file that never is on a disk."""
    lines = [f"[provider.{name}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in settings.items() if value is not None]
    fd = os.memfd_create("sandboxes-settings", os.MFD_CLOEXEC)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, ("\n".join(lines) + "\n").encode())
        return _native.Client(None, f"/proc/self/fd/{fd}", SETTINGS_FIRST)
    finally:
        os.close(fd)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if any(ord(char) < 32 for char in text):
        raise SandboxError("a provider's setting holds a control character; settings are one line of text")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def milliseconds(seconds: float | None) -> int:
    """A timeout for the library; 0 is none."""
    if seconds is None:
        return 0
    if seconds < 0:
        raise ValueError("a timeout must not be negative")
    return max(1, int(seconds * 1000)) if seconds else 0


def pairs(mapping: Mapping[str, str] | None) -> tuple[str, ...]:
    """Flat names and values."""
    if not mapping:
        return ()
    return tuple(str(part) for pair in mapping.items() for part in pair)


def network(name: str | None) -> int:
    """The library's number of that name."""
    name = name or "default"
    if name not in NETWORKS:
        raise SandboxError(f"there is no network '{name}'; choose one of: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def _mounts(value: Mapping[str, str] | Sequence[str] | None) -> tuple[tuple[str, str, int], ...]:
    """Of {"/here": "/inside"} or ["/here:/inside:rw"]."""
    if not value:
        return ()
    items = [f"{a}:{b}" for a, b in value.items()] if isinstance(value, Mapping) else value
    found: list[tuple[str, str, int]] = []
    for item in items:
        source, _, rest = item.partition(":")
        target, _, mode = (rest or source).partition(":")
        if mode not in ("", "ro", "rw"):
            raise SandboxError(f"mount '{item}': write SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:rw")
        found.append((os.path.abspath(source), target, 1 if mode == "rw" else 0))
    return tuple(found)


def _ports(value: Mapping[int, int] | Iterable[int] | None) -> tuple[tuple[int, int], ...]:
    """Of {8000: 0} or [8000]."""
    if not value:
        return ()
    if isinstance(value, Mapping):
        given = cast("Mapping[int, int]", value)
        return tuple((int(port), int(here)) for port, here in given.items())
    return tuple((int(port), 0) for port in value)


def spec(provider: str, config: SandboxConfig, tied: bool = False, ttl: bool = True) -> _native.Spec:
    """The library's specification of a sandbox. An option nobody knows is an error: it would be
    dropped in silence. Without ``ttl`` the provider decides how long it lives."""
    options = config.provider_config or {}
    for key in options:
        if key not in OPTIONS:
            raise SandboxError(f"provider_config: unknown option '{key}'; known are: {', '.join(OPTIONS)}")
    memory = config.memory_mb or int(options.get("memory") or 0)
    return (
        provider,
        config.image,
        options.get("user"),
        config.working_dir,
        options.get("hostname"),
        options.get("gpu"),
        memory << 20,
        int(options.get("disk_mb") or 0) << 20,
        int((config.cpu_cores or 0) * 1000),
        int(options.get("max_pids") or 0),
        int(options.get("max_open_files") or 0),
        1 if options.get("tied", tied) else 0,
        milliseconds(config.timeout_seconds) if ttl else 0,
        network(options.get("network")),
        tuple(options.get("allow") or ()),
        pairs(config.env_vars),
        pairs(config.labels),
        _mounts(options.get("mounts")),
        _ports(options.get("ports")),
    )


def execution(
    command: str | Sequence[str],
    *,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: str | None = None,
    stdin: str | bytes | None = None,
    flags: int = 0,
    rows: int = 0,
    cols: int = 0,
    output_limit: int = 0,
) -> _native.Exec:
    """The library's form of a command: one line for the shell, or its words."""
    line = command if isinstance(command, str) else None
    words = None if isinstance(command, str) else tuple(command)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    if data is None and not flags & (PTY | STDIN | BACKGROUND):
        data = b""
    limit = milliseconds(timeout)
    return (words, line, cwd, user, pairs(env), data, flags, rows, cols, limit, output_limit)


def result(value: _native.RunResult) -> ExecutionResult:
    """How a command ended."""
    code, _, flags, duration_us, out, err = value
    return ExecutionResult(
        exit_code=code,
        stdout=out,
        stderr=err,
        duration_ms=round(duration_us / 1000),
        truncated=bool(flags & TRUNCATED),
        timed_out=bool(flags & TIMED_OUT),
    )
