# SPDX-License-Identifier: Apache-2.0
"""Warm sandboxes, taken and given back. Never two users of one."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .base import Sandbox, SandboxConfig, SandboxProvider, tied
from .exceptions import SandboxQuotaError, SandboxStateError, SandboxUnsupportedError

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


def _same(one: SandboxProvider, other: SandboxProvider) -> bool:
    """The same service and account."""
    return one is other or (
        type(one) is type(other) and one.name == other.name and one.config == other.config
    )


def _fits(entry: SandboxPoolEntry, provider: SandboxProvider, config: SandboxConfig, by_labels: bool) -> bool:
    have = entry.config
    same = (
        _same(entry.provider, provider)
        and have.image == config.image
        and have.memory_mb == config.memory_mb
        and have.cpu_cores == config.cpu_cores
        and have.working_dir == config.working_dir
        and (have.env_vars or {}) == (config.env_vars or {})
        and (have.provider_config or {}) == (config.provider_config or {})
        and (have.setup_commands or []) == (config.setup_commands or [])
    )
    return same and (not by_labels or (config.labels or {}).items() <= entry.labels.items())


@dataclass
class _Grant:
    """What acquire() got: an idle sandbox, or a place for a new one, made free by ``victim``."""

    entry: SandboxPoolEntry | None = None
    victim: SandboxPoolEntry | None = None


@dataclass
class _Waiter:
    provider: SandboxProvider
    config: SandboxConfig
    turn: asyncio.Future[_Grant]


class SandboxPool:
    """Sandboxes kept for reuse, on one event loop. They end with this process at the latest.

    Whoever came first is served first. Sandboxes are made beside each other; nobody waits for another
    caller's.
    """

    def __init__(self, pool_config: PoolConfig | None = None) -> None:
        self.config = pool_config or PoolConfig()
        self._pool: dict[str, SandboxPoolEntry] = {}
        self._idle_sandboxes: set[str] = set()
        self._busy_sandboxes: set[str] = set()
        self._creating = 0
        self._waiting: deque[_Waiter] = deque()
        self._stops = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ends: set[asyncio.Task[Any]] = set()
        self._stats = {"created": 0, "destroyed": 0, "reused": 0, "timeouts": 0, "errors": 0}

    # --- life of the pool -------------------------------------------------------------------------

    async def start(self, provider: SandboxProvider | None = None, config: SandboxConfig | None = None) -> None:
        """Begins to clean up by itself, and prewarms as the strategy says."""
        if self.config.auto_cleanup:
            _spawn(self._clean_up_always(), self._tasks)
        if provider is None or self.config.strategy is PoolStrategy.LAZY:
            return
        warm = self._prewarm(provider, config or SandboxConfig())
        if self.config.strategy is PoolStrategy.EAGER:
            await warm
        else:
            _spawn(warm, self._tasks)

    async def _prewarm(self, provider: SandboxProvider, config: SandboxConfig) -> None:
        wanted = min(self.config.min_idle, self.config.max_idle, self.config.max_total)
        missing = min(wanted - len(self._idle_sandboxes), self._room())
        results = await asyncio.gather(
            *(self._warm_one(provider, config) for _ in range(missing)), return_exceptions=True
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
        """Ends the pool and all its sandboxes. Callers that wait are told."""
        self._stops += 1
        while self._waiting:
            turn = self._waiting.popleft().turn
            if not turn.done():
                turn.set_exception(SandboxStateError("the pool is being stopped"))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.clear()
        await asyncio.gather(*self._ends, return_exceptions=True)

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
        grant = await self._wait(provider, config, deadline)
        if grant.entry is not None and await self._reuse(grant.entry):
            return grant.entry.sandbox
        victim = grant.entry or grant.victim
        if victim is not None:
            await self._replace(victim)
        return (await self._create(provider, config)).sandbox

    def _full(self) -> SandboxQuotaError:
        return SandboxQuotaError(f"Pool limit reached: {self.config.max_total}")

    async def _wait(self, provider: SandboxProvider, config: SandboxConfig, deadline: float) -> _Grant:
        grant = None if self._waiting else self._grant(provider, config)
        if grant is not None:
            return grant
        waiter = _Waiter(provider, config, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            await asyncio.wait([waiter.turn], timeout=max(0.0, deadline - time.monotonic()))
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.turn.done():
            return waiter.turn.result()
        self._leave(waiter)
        self._stats["timeouts"] += 1
        raise self._full()

    def _leave(self, waiter: _Waiter) -> None:
        """Nobody wants what this one waited for, or was just given."""
        if not waiter.turn.done():
            self._waiting.remove(waiter)
        elif not waiter.turn.exception():
            self._give_back(waiter.turn.result())

    def _give_back(self, grant: _Grant) -> None:
        if grant.entry is not None:
            self._idle(grant.entry)
            return
        self._creating -= 1
        if grant.victim is not None:
            _spawn(self._end(grant.victim), self._ends)
        self._dispatch()

    def _room(self) -> int:
        return max(0, self.config.max_total - len(self._pool) - self._creating)

    def _grant(self, provider: SandboxProvider, config: SandboxConfig) -> _Grant | None:
        """An idle sandbox that fits, else a place, at the cost of the longest idle one if need be."""
        for sandbox_id in self._idle_sandboxes:
            entry = self._pool[sandbox_id]
            if _fits(entry, provider, config, self.config.reuse_by_labels) and not self._expired(entry):
                self._busy(entry)
                return _Grant(entry)
        if self._room():
            self._creating += 1
            return _Grant()
        victim = self._longest_idle()
        if victim is None:
            return None
        self._forget(victim)
        self._creating += 1
        return _Grant(victim=victim)

    def _longest_idle(self) -> SandboxPoolEntry | None:
        idle = (self._pool[i] for i in self._idle_sandboxes)
        return min(idle, key=lambda entry: entry.last_accessed, default=None)

    def _dispatch(self) -> None:
        """Serves those who wait, in the order in which they came."""
        while self._waiting:
            first = self._waiting[0]
            grant = self._grant(first.provider, first.config)
            if grant is None:
                return
            self._waiting.popleft()
            first.turn.set_result(grant)

    async def _reuse(self, entry: SandboxPoolEntry) -> bool:
        """Whether the entry can be used. If not, its place is a new one's."""
        try:
            alive = await _alive(entry) and entry.sandbox.id in self._pool
            if alive:
                await self._call(self.config.on_reuse, entry.sandbox)
        except BaseException:
            self._idle(entry)
            raise
        if alive:
            entry.access_count += 1
            self._stats["reused"] += 1
        else:
            self._forget(entry)
            self._creating += 1
        return alive

    def _busy(self, entry: SandboxPoolEntry) -> None:
        self._idle_sandboxes.discard(entry.sandbox.id)
        self._busy_sandboxes.add(entry.sandbox.id)
        entry.is_idle = False
        entry.last_accessed = time.time()

    def _idle(self, entry: SandboxPoolEntry) -> None:
        if entry.sandbox.id not in self._pool:
            return  # the pool was cleared meanwhile
        self._busy_sandboxes.discard(entry.sandbox.id)
        self._idle_sandboxes.add(entry.sandbox.id)
        entry.is_idle = True
        entry.last_accessed = time.time()
        self._dispatch()

    async def _replace(self, victim: SandboxPoolEntry) -> None:
        """Ends it, before another takes its place."""
        try:
            await self._finish(victim)
        except BaseException:
            self._creating -= 1
            self._dispatch()
            raise

    async def _create(self, provider: SandboxProvider, config: SandboxConfig) -> SandboxPoolEntry:
        """In the place that was reserved; nobody waits for this one."""
        stops, token = self._stops, tied.set(True)
        try:
            sandbox = await provider.create_sandbox(config)
        except BaseException:
            self._stats["errors"] += 1
            self._creating -= 1
            self._dispatch()
            raise
        finally:
            tied.reset(token)
        self._creating -= 1
        now = time.time()
        entry = SandboxPoolEntry(sandbox, provider, config, now, now, 1, False, dict(config.labels or {}))
        self._pool[sandbox.id] = entry
        self._busy_sandboxes.add(sandbox.id)
        self._stats["created"] += 1
        try:
            await self._keep_alive(entry)
            await self._call(self.config.on_create, sandbox)
            if self._stops != stops:
                raise SandboxStateError("the pool was stopped")
        except BaseException:
            await self._drop(entry)
            raise
        return entry

    async def _keep_alive(self, entry: SandboxPoolEntry) -> None:
        """The pool decides when its sandboxes end, not the time to live of the configuration."""
        extend: Callable[[str, float], Awaitable[None]] | None = getattr(entry.provider, "set_timeout", None)
        if extend and (entry.config.timeout_seconds or 0) < self.config.sandbox_ttl:
            try:
                await extend(entry.sandbox.id, self.config.sandbox_ttl + 60)
            except SandboxUnsupportedError:
                pass  # its provider decides

    async def release(self, sandbox_id: str) -> None:
        """Gives a sandbox back. More idle ones than wanted end, the longest idle first."""
        entry = self._pool.get(sandbox_id)
        if entry is None:
            return
        self._idle(entry)
        while len(self._idle_sandboxes) > self.config.max_idle:
            victim = self._longest_idle()
            assert victim is not None
            await self._drop(victim)

    # --- the end of sandboxes ---------------------------------------------------------------------

    def _forget(self, entry: SandboxPoolEntry) -> None:
        self._pool.pop(entry.sandbox.id, None)
        self._idle_sandboxes.discard(entry.sandbox.id)
        self._busy_sandboxes.discard(entry.sandbox.id)

    async def _finish(self, entry: SandboxPoolEntry) -> None:
        """Ends it to the end, also when the caller is cancelled."""
        await asyncio.shield(_spawn(self._end(entry), self._ends))

    async def _end(self, entry: SandboxPoolEntry) -> None:
        try:
            await entry.provider.destroy_sandbox(entry.sandbox.id)
            self._stats["destroyed"] += 1
        except Exception as error:
            self._stats["errors"] += 1
            _log.warning("sandbox %s of the pool could not be destroyed: %s", entry.sandbox.id, error)

    async def _drop(self, entry: SandboxPoolEntry) -> None:
        self._forget(entry)
        try:
            await self._finish(entry)
        finally:
            self._dispatch()

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
        await asyncio.gather(*(self._finish(entry) for entry in entries))
        self._dispatch()

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


def _spawn(coroutine: Coroutine[Any, Any, None], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def _alive(entry: SandboxPoolEntry) -> bool:
    ask: Callable[[str], Awaitable[bool]] | None = getattr(entry.provider, "is_alive", None)
    try:
        return await ask(entry.sandbox.id) if ask else True
    except Exception as error:
        _log.info("sandbox %s of the pool does not answer: %s", entry.sandbox.id, error)
        return False


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
