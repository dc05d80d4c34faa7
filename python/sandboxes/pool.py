# SPDX-License-Identifier: Apache-2.0
"""Warm sandboxes, taken and given back. Never two users of one."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .base import Sandbox, SandboxConfig, SandboxProvider
from .exceptions import SandboxQuotaError

__all__ = ["ConnectionPool", "PoolConfig", "PoolStrategy", "SandboxPool", "SandboxPoolEntry"]

_log = logging.getLogger(__name__)
Hook = Callable[[Sandbox], Any]


class PoolStrategy(Enum):
    """When sandboxes are made: all that should be idle before start() returns, when somebody wants
    one, or beforehand in the background."""

    EAGER = "eager"
    LAZY = "lazy"
    HYBRID = "hybrid"


@dataclass
class PoolConfig:
    """Sizes and times (seconds) of a pool. Hooks may be plain or async functions; what they raise is
    logged only."""

    min_idle: int = 0
    max_total: int = 10
    max_idle: int = 5
    sandbox_ttl: float = 3600
    idle_timeout: float = 600
    acquire_timeout: float = 30
    strategy: PoolStrategy = PoolStrategy.LAZY
    reuse_by_labels: bool = True
    auto_cleanup: bool = True
    cleanup_interval: float = 60
    on_create: Hook | None = None
    on_destroy: Hook | None = None
    on_reuse: Hook | None = None


@dataclass
class SandboxPoolEntry:
    """A sandbox of the pool."""

    sandbox: Sandbox
    provider: SandboxProvider
    config: SandboxConfig
    created_at: float
    last_accessed: float
    access_count: int = 0
    is_idle: bool = True
    labels: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


def _fits(entry: SandboxPoolEntry, provider: SandboxProvider, config: SandboxConfig, by_labels: bool) -> bool:
    have = entry.config
    same = (
        entry.provider.name == provider.name
        and have.image == config.image
        and have.memory_mb == config.memory_mb
        and have.cpu_cores == config.cpu_cores
        and have.working_dir == config.working_dir
        and (have.env_vars or {}) == (config.env_vars or {})
        and (have.provider_config or {}) == (config.provider_config or {})
        and (have.setup_commands or []) == (config.setup_commands or [])
    )
    return same and (not by_labels or (config.labels or {}).items() <= entry.labels.items())


class SandboxPool:
    """Sandboxes kept for reuse, on one event loop."""

    def __init__(self, pool_config: PoolConfig | None = None) -> None:
        self.config = pool_config or PoolConfig()
        self._pool: dict[str, SandboxPoolEntry] = {}
        self._idle_sandboxes: set[str] = set()
        self._busy_sandboxes: set[str] = set()
        self._creating = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stats = {"created": 0, "destroyed": 0, "reused": 0, "timeouts": 0, "errors": 0}

    # --- life of the pool -------------------------------------------------------------------------

    async def start(self, provider: SandboxProvider | None = None, config: SandboxConfig | None = None) -> None:
        """Begins to clean up by itself, and prewarms as the strategy says."""
        if self.config.auto_cleanup:
            self._spawn(self._clean_up_always())
        if provider is None or self.config.strategy is PoolStrategy.LAZY:
            return
        warm = self._prewarm(provider, config or SandboxConfig())
        if self.config.strategy is PoolStrategy.EAGER:
            await warm
        else:
            self._spawn(warm)

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _prewarm(self, provider: SandboxProvider, config: SandboxConfig) -> None:
        wanted = min(self.config.min_idle, self.config.max_idle, self.config.max_total)
        missing = wanted - len(self._idle_sandboxes)
        results = await asyncio.gather(
            *(self._warm_one(provider, config) for _ in range(max(0, missing))), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                _log.warning("a sandbox could not be made beforehand: %s", result)

    async def _warm_one(self, provider: SandboxProvider, config: SandboxConfig) -> None:
        self._creating += 1
        entry = await self._create(provider, config)
        await self.release(entry.sandbox.id)

    async def _clean_up_always(self) -> None:
        while True:
            await asyncio.sleep(self.config.cleanup_interval)
            await self.cleanup_expired()

    async def stop(self) -> None:
        """Ends the pool and all its sandboxes."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.clear()

    async def __aenter__(self) -> SandboxPool:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # --- taking and giving back -------------------------------------------------------------------

    async def acquire(
        self, provider: SandboxProvider, config: SandboxConfig, timeout: float | None = None
    ) -> Sandbox:
        """A sandbox for the caller alone: an idle one that fits, or a new one; waits for room."""
        if self.config.max_total <= 0:
            raise self._full()
        deadline = time.monotonic() + (timeout or self.config.acquire_timeout)
        while True:
            entry = await self._reuse(provider, config)
            if entry is not None:
                return entry.sandbox
            if await self._make_room():
                return (await self._create(provider, config)).sandbox
            await self._wait_for_change(deadline)

    def _full(self) -> SandboxQuotaError:
        return SandboxQuotaError(f"Pool limit reached: {self.config.max_total}")

    async def _reuse(self, provider: SandboxProvider, config: SandboxConfig) -> SandboxPoolEntry | None:
        for sandbox_id in list(self._idle_sandboxes):
            entry = self._pool.get(sandbox_id)
            if entry is None or sandbox_id not in self._idle_sandboxes:
                continue  # taken while this one waited
            if not _fits(entry, provider, config, self.config.reuse_by_labels):
                continue
            self._busy(entry)
            if self._expired(entry) or not await _alive(entry):
                await self._drop(entry)
                continue
            entry.access_count += 1
            self._stats["reused"] += 1
            await self._call(self.config.on_reuse, entry.sandbox)
            return entry
        return None

    def _busy(self, entry: SandboxPoolEntry) -> None:
        self._idle_sandboxes.discard(entry.sandbox.id)
        self._busy_sandboxes.add(entry.sandbox.id)
        entry.is_idle = False
        entry.last_accessed = time.time()

    async def _make_room(self) -> bool:
        """Reserves the place of a new sandbox, at the cost of the longest idle one if need be."""
        if len(self._pool) + self._creating < self.config.max_total:
            self._creating += 1
            return True
        victim = min(
            (self._pool[i] for i in self._idle_sandboxes), key=lambda entry: entry.last_accessed, default=None
        )
        if victim is None:
            return False
        self._forget(victim)
        self._creating += 1
        await self._end(victim)
        return True

    async def _create(self, provider: SandboxProvider, config: SandboxConfig) -> SandboxPoolEntry:
        """In the place that was reserved; nobody waits for this one."""
        try:
            sandbox = await provider.create_sandbox(config)
        except BaseException:
            self._stats["errors"] += 1
            self._creating -= 1
            await self._tell()
            raise
        self._creating -= 1
        now = time.time()
        entry = SandboxPoolEntry(sandbox, provider, config, now, now, 1, False, dict(config.labels or {}))
        self._pool[sandbox.id] = entry
        self._busy_sandboxes.add(sandbox.id)
        self._stats["created"] += 1
        await self._keep_alive(entry)
        await self._call(self.config.on_create, sandbox)
        return entry

    async def _keep_alive(self, entry: SandboxPoolEntry) -> None:
        """The pool decides when its sandboxes end, not the time to live of the configuration."""
        extend: Callable[[str, float], Awaitable[None]] | None = getattr(entry.provider, "set_timeout", None)
        if extend and (entry.config.timeout_seconds or 0) < self.config.sandbox_ttl:
            await extend(entry.sandbox.id, self.config.sandbox_ttl + 60)

    async def _wait_for_change(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        try:
            async with self._changed:
                await asyncio.wait_for(self._changed.wait(), max(0, left))
        except asyncio.TimeoutError:
            self._stats["timeouts"] += 1
            raise self._full() from None

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def release(self, sandbox_id: str) -> None:
        """Gives a sandbox back. More idle ones than wanted end, the longest idle first."""
        entry = self._pool.get(sandbox_id)
        if entry is None:
            return
        self._busy_sandboxes.discard(sandbox_id)
        self._idle_sandboxes.add(sandbox_id)
        entry.is_idle = True
        entry.last_accessed = time.time()
        while len(self._idle_sandboxes) > self.config.max_idle:
            victim = min((self._pool[i] for i in self._idle_sandboxes), key=lambda one: one.last_accessed)
            self._forget(victim)
            await self._end(victim)
        await self._tell()

    # --- the end of sandboxes ---------------------------------------------------------------------

    def _forget(self, entry: SandboxPoolEntry) -> None:
        self._pool.pop(entry.sandbox.id, None)
        self._idle_sandboxes.discard(entry.sandbox.id)
        self._busy_sandboxes.discard(entry.sandbox.id)

    async def _end(self, entry: SandboxPoolEntry) -> None:
        try:
            await entry.provider.destroy_sandbox(entry.sandbox.id)
            self._stats["destroyed"] += 1
        except Exception as error:
            self._stats["errors"] += 1
            _log.warning("sandbox %s of the pool could not be destroyed: %s", entry.sandbox.id, error)

    async def _drop(self, entry: SandboxPoolEntry) -> None:
        self._forget(entry)
        await self._end(entry)
        await self._tell()

    async def destroy(self, sandbox_id: str) -> None:
        """Ends one sandbox of the pool."""
        entry = self._pool.get(sandbox_id)
        if entry:
            await self._call(self.config.on_destroy, entry.sandbox)
            await self._drop(entry)

    async def clear(self) -> None:
        """Ends all sandboxes of the pool."""
        entries = list(self._pool.values())
        for entry in entries:
            self._forget(entry)
        for entry in entries:
            await self._call(self.config.on_destroy, entry.sandbox)
        await asyncio.gather(*(self._end(entry) for entry in entries))
        await self._tell()

    def _expired(self, entry: SandboxPoolEntry) -> bool:
        now = time.time()
        too_old = now - entry.created_at >= self.config.sandbox_ttl
        return too_old or (entry.is_idle and now - entry.last_accessed >= self.config.idle_timeout)

    async def cleanup_expired(self) -> int:
        """Ends sandboxes past their time; tells how many."""
        expired = [entry for entry in self._pool.values() if self._expired(entry)]
        for entry in expired:
            await self._drop(entry)
        return len(expired)

    async def _call(self, hook: Hook | None, sandbox: Sandbox) -> None:
        if hook is None:
            return
        try:
            result = hook(sandbox)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            _log.warning("a hook of the pool failed: %s", error)

    # --- what there is ----------------------------------------------------------------------------

    async def find_by_labels(self, labels: dict[str, str]) -> list[Sandbox]:
        """Sandboxes of the pool that have all these labels; none for no labels."""
        if not labels:
            return []
        return [e.sandbox for e in self._pool.values() if labels.items() <= e.labels.items()]

    async def check_health(self) -> list[str]:
        """Ids of sandboxes that were marked as not healthy."""
        return [i for i, entry in self._pool.items() if entry.metadata.get("healthy") is False]

    async def health_check(self) -> dict[str, Any]:
        """The state of the pool; healthy while there is room."""
        stats = self.get_stats()
        return {"healthy": stats["total"] < self.config.max_total, **stats}

    def get_stats(self) -> dict[str, int]:
        """Counts since the beginning, and of now."""
        now = {"total": len(self._pool), "idle": len(self._idle_sandboxes), "busy": len(self._busy_sandboxes)}
        return {**self._stats, **now}


async def _alive(entry: SandboxPoolEntry) -> bool:
    ask: Callable[[str], Awaitable[bool]] | None = getattr(entry.provider, "is_alive", None)
    return await ask(entry.sandbox.id) if ask else True


class ConnectionPool:
    """A pool of one provider with the interface of connection pools."""

    def __init__(
        self, provider: SandboxProvider, max_connections: int = 10, max_idle_time: float = 600, ttl: float = 3600
    ) -> None:
        self.provider = provider
        self.max_connections = max_connections
        self.max_idle_time = max_idle_time
        self.ttl = ttl
        self._pool = SandboxPool(
            PoolConfig(
                max_total=max_connections, max_idle=max_connections, idle_timeout=max_idle_time, sandbox_ttl=ttl
            )
        )

    async def get_or_create(self, config: SandboxConfig) -> Sandbox:
        """An idle connection that fits, or a new one, for the caller alone.
        SandboxQuotaError when all are in use."""
        pool = self._pool
        await pool.cleanup_expired()
        if len(pool._busy_sandboxes) + pool._creating >= self.max_connections:  # pyright: ignore[reportPrivateUsage]
            raise SandboxQuotaError(f"Connection pool limit reached: {self.max_connections}")
        return await pool.acquire(self.provider, config)

    async def release(self, conn: Sandbox) -> bool:
        """Gives a connection back; False if it is none of this pool's."""
        known = conn.id in self._pool._pool  # pyright: ignore[reportPrivateUsage]
        await self._pool.release(conn.id)
        return known

    async def cleanup_expired(self) -> int:
        """Ends connections past their time to live; tells how many."""
        return await self._pool.cleanup_expired()

    async def cleanup_idle(self) -> int:
        """Ends connections that were idle for too long; tells how many."""
        return await self._pool.cleanup_expired()

    async def close(self) -> None:
        """Ends all connections."""
        await self._pool.stop()

    async def __aenter__(self) -> ConnectionPool:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def get_metrics(self) -> dict[str, int]:
        """Counts of connections."""
        stats = self._pool.get_stats()
        made: int = getattr(self.provider, "sandboxes_created", stats["created"])
        return {
            "total_created": made,
            "total_connections": stats["total"],
            "idle_connections": stats["idle"],
            "active_connections": stats["busy"],
        }
