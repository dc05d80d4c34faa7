# SPDX-License-Identifier: Apache-2.0
"""Trying again, and leaving alone what is broken."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, cast

from .exceptions import (
    ProviderError,
    SandboxAuthenticationError,
    SandboxError,
    SandboxNotFoundError,
    SandboxTimeoutError,
)

__all__ = [
    "CircuitBreaker",
    "CircuitBreakerState",
    "ErrorAggregator",
    "ExponentialBackoff",
    "LinearBackoff",
    "RateLimiter",
    "RetryConfig",
    "RetryHandler",
    "RetryPolicy",
    "with_retry",
    "with_timeout",
]

_log = logging.getLogger(__name__)
_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")
_OPEN = "Circuit breaker is open"


class CircuitBreakerState(str, Enum):
    """Closed lets calls through, open does not, half-open tries a few."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    def __str__(self) -> str:
        return self.value


class CircuitBreaker:
    """Stops calling what fails again and again; tries it once more after a while."""

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        success_threshold: int = 1,
        half_open_requests: int = 1,
    ) -> None:
        if failure_threshold <= 0 or success_threshold <= 0 or half_open_requests <= 0 or recovery_timeout < 0:
            raise ValueError("thresholds must be positive, recovery_timeout not negative")
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout
        self.success_threshold = success_threshold
        self.half_open_requests = half_open_requests
        self.reset()

    def reset(self) -> None:
        """As if nothing had failed."""
        self.state = CircuitBreakerState.CLOSED
        self.failure_count = 0
        self.success_count = 0
        self.consecutive_failures = 0
        self.consecutive_successes = 0
        self.last_failure_time: float | None = None
        self._probes = 0

    def _look(self) -> CircuitBreakerState:
        """The state as of now: open becomes half-open with time."""
        if self.state == CircuitBreakerState.OPEN and self._waited():
            self.state = CircuitBreakerState.HALF_OPEN
            self.consecutive_successes = 0
            self._probes = 0
        return self.state

    def _waited(self) -> bool:
        since = self.last_failure_time
        return since is None or time.monotonic() - since >= self.recovery_timeout

    def is_open(self) -> bool:
        """No call is let through."""
        return self._look() == CircuitBreakerState.OPEN

    def is_half_open(self) -> bool:
        """A few calls are let through to try it."""
        return self._look() == CircuitBreakerState.HALF_OPEN

    def should_attempt(self) -> bool:
        """Whether a call would be let through now."""
        if self.is_half_open():
            return self._probes < self.half_open_requests
        return not self.is_open()

    def record_success(self) -> None:
        """Counts a call that worked."""
        self.success_count += 1
        self.consecutive_successes += 1
        self.consecutive_failures = 0
        if self.state == CircuitBreakerState.CLOSED:
            self.failure_count = 0
        elif self.consecutive_successes >= self.success_threshold:
            self.state = CircuitBreakerState.CLOSED
            self.failure_count = 0

    def record_failure(self) -> None:
        """Counts a call that failed."""
        self.consecutive_failures += 1
        self.consecutive_successes = 0
        self.last_failure_time = time.monotonic()
        half_open = self.state == CircuitBreakerState.HALF_OPEN
        self.failure_count = min(self.failure_count + 1, self.failure_threshold)
        if half_open or self.failure_count >= self.failure_threshold:
            self.state = CircuitBreakerState.OPEN

    async def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function, plain or async, if the state lets it through."""
        if not self.should_attempt():
            state = self.state.name
            raise ProviderError(f"{_OPEN}: Circuit breaker is {state}, after {self.failure_count} failures")
        probing = self.state == CircuitBreakerState.HALF_OPEN
        self._probes += probing
        try:
            result = await _result_of(func(*args, **kwargs))
        except Exception:
            self.record_failure()
            raise
        finally:
            self._probes -= probing and self._probes > 0
        self.record_success()
        return result


async def _result_of(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@dataclass
class RetryConfig:
    """How often and after how long (seconds) to try again, and what.

    No attempt begins later than ``budget`` seconds after the first one did.
    """

    max_retries: int = 3
    initial_delay: float = 1.0
    max_delay: float = 30.0
    exponential_base: float = 2.0
    jitter: bool = True
    timeout: float | None = None
    should_retry: Callable[..., Any] | None = None
    on_retry: Callable[..., Any] | None = None
    circuit_breaker: CircuitBreaker | None = None
    allow_additional_attempt: bool = False
    retryable_errors: tuple[type[BaseException], ...] | None = None
    non_retryable_errors: tuple[type[BaseException], ...] | None = (
        SandboxAuthenticationError,
        SandboxNotFoundError,
    )
    budget: float | None = None

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.initial_delay < 0 or self.max_delay < 0:
            raise ValueError("retries and delays must not be negative")
        if self.exponential_base <= 0 or (self.timeout is not None and self.timeout <= 0):
            raise ValueError("exponential_base and timeout must be positive")
        if self.budget is not None and self.budget <= 0:
            raise ValueError("budget must be positive")


RetryPolicy = RetryConfig


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind == p.VAR_POSITIONAL for p in parameters)


class RetryHandler:
    """Calls functions again as long as that may help."""

    def __init__(self, config: RetryConfig | None = None) -> None:
        self.config = config or RetryConfig()
        self.should_retry: Callable[..., Any] | None = None
        self.on_retry = self.config.on_retry
        self.timeout = self.config.timeout
        self.circuit_breaker = self.config.circuit_breaker
        self.allow_additional_attempt = self.config.allow_additional_attempt

    def calculate_delay(self, attempt: int) -> float:
        """Seconds before the attempt after this one; the first is 1."""
        config = self.config
        try:
            delay = min(config.initial_delay * config.exponential_base ** (attempt - 1), config.max_delay)
        except OverflowError:
            delay = config.max_delay
        if config.jitter:
            delay = min(delay * random.uniform(1, 1.25), config.max_delay)
        return delay

    def _may_retry(self, error: Exception, attempt: int) -> bool:
        config = self.config
        if config.non_retryable_errors and isinstance(error, config.non_retryable_errors):
            return False
        if self.should_retry is not None:
            return bool(self._ask(self.should_retry, error, attempt))
        if config.should_retry is not None and self._ask(config.should_retry, error, attempt) is True:
            return True
        return config.retryable_errors is None or isinstance(error, config.retryable_errors)

    @staticmethod
    def _ask(function: Callable[..., Any], error: Exception, attempt: int) -> Any:
        try:
            return function(error, attempt) if _takes_two(function) else function(error)
        except Exception as raised:
            _log.debug("should_retry failed: %s", raised)
            return False

    async def _tell(self, attempt: int, error: Exception) -> None:
        if self.on_retry is None:
            return
        try:
            arguments = (attempt, error) if _takes_two(self.on_retry) else (attempt,)
            await _result_of(self.on_retry(*arguments))
        except Exception as raised:
            _log.debug("on_retry failed: %s", raised)

    async def _attempt(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.circuit_breaker:
            return await self.circuit_breaker.call(self._call, func, args, kwargs)
        return await self._call(func, args, kwargs)

    async def _call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        value = func(*args, **kwargs)
        if not inspect.isawaitable(value):
            return value
        return await asyncio.wait_for(value, self.timeout) if self.timeout else await value

    def _affords(self, begun: float, wait: float) -> bool:
        budget = self.config.budget
        return budget is None or time.monotonic() - begun + wait <= budget

    async def execute_with_retry(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function, plain or async; raises its last error when trying again may not help."""
        attempt, begun = 0, time.monotonic()
        most = self.config.max_retries + (1 if self.allow_additional_attempt else 0)
        while True:
            try:
                return await self._attempt(func, args, kwargs)
            except Exception as error:
                if self.circuit_breaker and isinstance(error, ProviderError) and _OPEN in str(error):
                    wait = max(self.circuit_breaker.recovery_timeout, 0.001)
                    if not self._affords(begun, wait):
                        raise
                    await asyncio.sleep(wait)
                    continue
                attempt += 1
                if attempt > most or not self._may_retry(error, attempt):
                    raise
                asked = error.retry_after if isinstance(error, SandboxError) else 0.0
                wait = max(self.calculate_delay(attempt), asked)
                if not self._affords(begun, wait):
                    raise
                await self._tell(attempt, error)
                await asyncio.sleep(wait)

    execute = execute_with_retry


def with_retry(
    max_retries: int = 3,
    initial_delay: float = 1.0,
    retryable_errors: tuple[type[BaseException], ...] | None = None,
    non_retryable_errors: tuple[type[BaseException], ...] | None = None,
) -> Callable[[_F], _F]:
    """Decorator: an async function that is called again when it fails."""

    def decorate(func: _F) -> _F:
        if inspect.isasyncgenfunction(func):
            return func
        config = RetryConfig(max_retries=max_retries, initial_delay=initial_delay, retryable_errors=retryable_errors)
        if non_retryable_errors is not None:
            config.non_retryable_errors = non_retryable_errors

        @functools.wraps(func)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await RetryHandler(config).execute_with_retry(func, *args, **kwargs)

        return cast(_F, wrapper)

    return decorate


class ExponentialBackoff:
    """Delays that grow by a factor."""

    def __init__(
        self, base: float = 2.0, initial: float = 1.0, max_delay: float = 60.0, jitter: bool = False
    ) -> None:
        self.base, self.initial, self.max_delay, self.jitter = base, initial, max_delay, jitter

    def get_delay(self, attempt: int) -> float:
        """Seconds; the first attempt is 0."""
        delay = min(self.initial * self.base**attempt, self.max_delay)
        return delay * random.random() if self.jitter else delay


class LinearBackoff:
    """Delays that grow by an amount."""

    def __init__(self, increment: float = 1.0, initial: float = 1.0, max_delay: float = 60.0) -> None:
        self.increment, self.initial, self.max_delay = increment, initial, max_delay

    def get_delay(self, attempt: int) -> float:
        """Seconds; the first attempt is 0."""
        return min(self.initial + self.increment * attempt, self.max_delay)


class ErrorAggregator:
    """The last errors, and how often each kind was among them."""

    def __init__(self, window_size: int = 100) -> None:
        self.window_size = window_size
        self.errors: deque[tuple[float, BaseException]] = deque(maxlen=window_size)

    def record_error(self, error: BaseException) -> None:
        """Adds an error; the oldest goes."""
        self.errors.append((time.time(), error))

    def get_summary(self) -> dict[str, Any]:
        """How many, and of what class."""
        kinds = Counter(type(error).__name__ for _, error in self.errors)
        return {"total_errors": len(self.errors), "error_types": dict(kinds)}

    def clear(self) -> None:
        """Forgets all."""
        self.errors.clear()


async def with_timeout(coro: Awaitable[_T], timeout: float, error_message: str | None = None) -> _T:
    """The result, or a SandboxTimeoutError."""
    try:
        return await asyncio.wait_for(coro, timeout)
    except asyncio.TimeoutError:
        raise SandboxTimeoutError(error_message or f"Operation timed out after {timeout} seconds") from None


class RateLimiter:
    """At most ``rate`` entries in any ``period`` seconds: ``async with limiter: ...``."""

    def __init__(self, rate: int, period: float = 1.0) -> None:
        if rate <= 0 or period <= 0:
            raise ValueError("rate and period must be positive")
        self.rate, self.period = rate, period
        self._entered: deque[float] = deque(maxlen=rate)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> RateLimiter:
        async with self._turn:
            if len(self._entered) == self.rate:
                await asyncio.sleep(max(0.0, self._entered[0] + self.period - time.monotonic()))
            self._entered.append(time.monotonic())
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None
