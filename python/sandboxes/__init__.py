# SPDX-License-Identifier: Apache-2.0
"""Sandboxes for programs that nobody vouches for, over any provider.

>>> import asyncio
>>> from sandboxes import run
>>> asyncio.run(run("echo hello")).stdout
'hello\\n'

Nothing is loaded before it is used: importing this package costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own name for it would cost more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from .base import ExecutionResult as ExecutionResult
    from .base import ProviderCapabilities as ProviderCapabilities
    from .base import Sandbox as BaseSandbox
    from .base import SandboxConfig as SandboxConfig
    from .base import SandboxProvider as SandboxProvider
    from .base import SandboxState as SandboxState
    from .exceptions import ProviderError as ProviderError
    from .exceptions import SandboxAuthenticationError as SandboxAuthenticationError
    from .exceptions import SandboxError as SandboxError
    from .exceptions import SandboxNotFoundError as SandboxNotFoundError
    from .exceptions import SandboxQuotaError as SandboxQuotaError
    from .exceptions import SandboxStateError as SandboxStateError
    from .exceptions import SandboxTimeoutError as SandboxTimeoutError
    from .exceptions import SandboxUnsupportedError as SandboxUnsupportedError
    from .manager import Manager as Manager
    from .manager import SandboxManager as SandboxManager
    from .pool import ConnectionPool as ConnectionPool
    from .pool import PoolConfig as PoolConfig
    from .pool import PoolStrategy as PoolStrategy
    from .pool import SandboxPool as SandboxPool
    from .process import Process as Process
    from .watch import FileChange as FileChange
    from .watch import Watch as Watch
    from .retry import CircuitBreaker as CircuitBreaker
    from .retry import RetryConfig as RetryConfig
    from .retry import RetryHandler as RetryHandler
    from .retry import RetryPolicy as RetryPolicy
    from .retry import with_retry as with_retry
    from .sandbox import FileInfo as FileInfo
    from .sandbox import Metrics as Metrics
    from .sandbox import Sandbox as Sandbox
    from .sandbox import run as run
    from .sandbox import run_many as run_many

    __version__: str

_PLACES = {
    "base": ("ExecutionResult", "ProviderCapabilities", "SandboxConfig", "SandboxProvider", "SandboxState"),
    "exceptions": (
        "ProviderError",
        "SandboxAuthenticationError",
        "SandboxError",
        "SandboxNotFoundError",
        "SandboxQuotaError",
        "SandboxStateError",
        "SandboxTimeoutError",
        "SandboxUnsupportedError",
    ),
    "manager": ("Manager", "SandboxManager"),
    "pool": ("ConnectionPool", "PoolConfig", "PoolStrategy", "SandboxPool"),
    "process": ("Process",),
    "retry": ("CircuitBreaker", "RetryConfig", "RetryHandler", "RetryPolicy", "with_retry"),
    "sandbox": ("FileInfo", "Metrics", "Sandbox", "run", "run_many"),
    "watch": ("FileChange", "Watch"),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "BaseSandbox",
    "CircuitBreaker",
    "ConnectionPool",
    "ExecutionResult",
    "FileChange",
    "FileInfo",
    "Manager",
    "Metrics",
    "PoolConfig",
    "PoolStrategy",
    "Process",
    "ProviderCapabilities",
    "ProviderError",
    "RetryConfig",
    "RetryHandler",
    "RetryPolicy",
    "Sandbox",
    "SandboxAuthenticationError",
    "SandboxConfig",
    "SandboxError",
    "SandboxManager",
    "SandboxNotFoundError",
    "SandboxPool",
    "SandboxProvider",
    "SandboxQuotaError",
    "SandboxState",
    "SandboxStateError",
    "SandboxTimeoutError",
    "SandboxUnsupportedError",
    "Watch",
    "run",
    "run_many",
    "with_retry",
]

_SUBMODULES = ("base", "cli", "exceptions", "manager", "pool", "providers", "retry", "sandbox", "security", "sync")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    elif name == "BaseSandbox":
        value = import_module(f"{__name__}.base").Sandbox
    elif name == "__version__":
        value = import_module(f"{__name__}._native").version
    elif name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
