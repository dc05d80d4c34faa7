# SPDX-License-Identifier: Apache-2.0
"""What a manager does about failures of a provider. The library decides what is repeated, after how
long, and when a provider is left alone; see docs/orchestration.md."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from . import _bridge, _native
from .exceptions import (
    ProviderError,
    SandboxAuthenticationError,
    SandboxError,
    SandboxNotFoundError,
    SandboxQuotaError,
    SandboxStateError,
    SandboxTimeoutError,
    SandboxUnsupportedError,
)
from .retry import CircuitBreaker, RetryConfig

__all__ = ["Guard", "most_telling"]

_T = TypeVar("_T")

_NUMBERS: dict[str, int] = {}
while (_name := _native.code_name(-len(_NUMBERS) - 1)) != "UNKNOWN":
    _NUMBERS[_name] = -len(_NUMBERS) - 1

# Of errors that carry no code, as providers written in Python raise them. The first that fits.
_CODES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (SandboxAuthenticationError, "AUTH"),
    (SandboxNotFoundError, "NOT_FOUND"),
    ((SandboxTimeoutError, TimeoutError, asyncio.TimeoutError), "TIMEOUT"),
    (SandboxStateError, "CONFLICT"),
    (SandboxQuotaError, "QUOTA"),
    ((SandboxUnsupportedError, NotImplementedError), "UNSUPPORTED"),
    (ProviderError, "UNAVAILABLE"),
    (SandboxError, "IO"),
    (asyncio.CancelledError, "CANCELLED"),
    (MemoryError, "NOMEM"),
    ((TypeError, ValueError, AttributeError, LookupError, NameError, AssertionError), "BUG"),
    (Exception, "UNAVAILABLE"),
)


def _code(error: BaseException) -> int:
    name = getattr(error, "code", "") if isinstance(error, SandboxError) else ""
    if name not in _NUMBERS:
        name = next((name for kind, name in _CODES if isinstance(error, kind)), "CANCELLED")
    return _NUMBERS[name]


def _number(error: BaseException, *names: str) -> float:
    """The first of these attributes that is a number, of the error or of what caused it."""
    seen: BaseException | None = error
    for _ in range(8):
        for name in names:
            value = getattr(seen, name, 0)
            if isinstance(value, (int, float)) and value > 0:
                return value
        seen = seen and (seen.__cause__ or seen.__context__)
        if seen is None:
            break
    return 0


def most_telling(errors: list[Exception]) -> Exception:
    """What the caller can mend rather than what only says that it did not work; the earlier of equals."""
    return min(errors, key=lambda error: _native.code_rank(_code(error)))


class Guard:
    """One provider as one manager sees it."""

    def __init__(self, name: str, retry: RetryConfig | None, breaker: CircuitBreaker | None) -> None:
        self._timeout = retry.timeout if retry else None
        self.policy = _native.Policy(name, _retry(retry), _breaker(breaker))

    async def create(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Makes a sandbox; SandboxError at once when the provider failed too often lately."""

        async def once() -> _T:
            ticket, code = self.policy.enter(), 0
            try:
                return await self._in_time(call())
            except BaseException as error:
                code = _code(error)
                raise
            finally:
                self.policy.leave(ticket, code)

        return await self.repeated("create", once)

    async def _in_time(self, result: Awaitable[_T]) -> _T:
        if self._timeout is None or _bridge.is_blocking():
            return await result
        return await asyncio.wait_for(result, self._timeout)

    async def repeated(self, operation: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """The result of a call, made again as often as its kind and its failures allow."""
        made, begun = 0, time.monotonic()
        while True:
            try:
                return await call()
            except Exception as error:
                made += 1
                wait = self._wait(operation, made, time.monotonic() - begun, error)
                if wait is None:
                    raise
            await _bridge.sleep(wait)

    async def destroy(self, call: Callable[[], Awaitable[bool]]) -> bool:
        """Ends a sandbox. That it is gone after a failed attempt means that the attempt did it."""
        attempts = 0

        async def once() -> bool:
            nonlocal attempts
            attempts += 1
            try:
                return await call() or attempts > 1
            except SandboxNotFoundError:
                if attempts > 1:
                    return True
                raise

        return await self.repeated("destroy", once)

    def _wait(self, operation: str, made: int, spent: float, error: Exception) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        status = int(_number(error, "http_status", "status_code", "status"))
        after = min(int(_number(error, "retry_after") * 1000), 2**32 - 1)
        errno = int(_number(error, "errno"))
        random_bits, spent_ms = random.getrandbits(64), int(spent * 1000)
        wait = self.policy.next(operation, made, _code(error), errno, status, after, spent_ms, random_bits)
        return None if wait is None else wait / 1000


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 would be the default


def _retry(retry: RetryConfig | None) -> tuple[int, int, int, int, int, int]:
    if retry is None:
        return (0, 0, 0, 0, 0, 0)
    factor = round(max(1.0, retry.exponential_base) * 100)
    exact = 0 if retry.jitter else 1
    budget = 0 if retry.budget is None else _ms(retry.budget)
    return (retry.max_retries + 1, exact, factor, _ms(retry.initial_delay), _ms(retry.max_delay), budget)


def _breaker(breaker: CircuitBreaker | None) -> tuple[int, int, int, int]:
    if breaker is None:
        return (0, 0, 0, 0)
    tries = (breaker.failure_threshold, breaker.success_threshold, breaker.half_open_requests)
    return (*tries, _ms(breaker.recovery_timeout))


