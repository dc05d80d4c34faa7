# SPDX-License-Identifier: Apache-2.0
"""Several providers as one: a default, and failover when one does not work."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .base import ExecutionResult, Sandbox, SandboxConfig, SandboxProvider, SandboxState
from .exceptions import ProviderError, SandboxError

if TYPE_CHECKING:
    from ._guard import Guard
    from .retry import CircuitBreaker, RetryConfig

__all__ = ["Manager", "SandboxManager"]

_log = logging.getLogger(__name__)
_SECRET = ("PASSWORD", "TOKEN", "KEY", "SECRET")


class SandboxManager:
    """Providers in order. The first is the default unless another is named.

    A call that failed in passing is made again, if it can't have its effect twice; a provider that
    keeps failing to create is left alone for a while. ``retry`` and ``circuit_breaker`` say how often
    and how long, for each provider; without them: 3 attempts, and 30 s after 5 failures in a row.
    """

    def __init__(
        self,
        default_provider: str | None = None,
        *,
        providers: Iterable[SandboxProvider] | None = None,
        retry: RetryConfig | None = None,
        circuit_breaker: CircuitBreaker | None = None,
    ) -> None:
        self.providers: dict[str, SandboxProvider] = {}
        self.default_provider: str | None = default_provider
        self._provider_health: dict[str, bool] = {}
        self._retry, self._circuit_breaker = retry, circuit_breaker
        self._guards: dict[str, tuple[SandboxProvider, Guard]] = {}
        for provider in providers or ():
            self.add_provider(provider)

    def add_provider(self, provider: SandboxProvider, name: str | None = None) -> None:
        """Adds a provider under its own name or another."""
        key = name or provider.name
        self.providers[key] = provider
        self.default_provider = self.default_provider or key

    def register_provider(
        self, name: str, provider_class: type[SandboxProvider], config: dict[str, Any] | None = None
    ) -> None:
        """Makes a provider of a class and adds it."""
        try:
            provider = provider_class(**(config or {}))
        except Exception as error:
            raise ProviderError(f"Failed to register provider '{name}': {error}") from error
        self.add_provider(provider, name)

    def get_provider(self, name: str | None = None) -> SandboxProvider:
        """A provider by name; the default without."""
        chosen = name or self.default_provider
        if not chosen:
            raise ProviderError(
                "No provider specified and no default provider set; name one, or register one first"
            )
        if chosen not in self.providers:
            known = ", ".join(self.providers) or "none"
            raise ProviderError(f"Provider '{chosen}' not registered; registered: {known}")
        return self.providers[chosen]

    def _guard(self, name: str | None) -> tuple[SandboxProvider, Guard]:
        """A provider and how to treat it; another one under the same name begins anew."""
        from ._guard import Guard

        provider = self.get_provider(name)
        key = name or self.default_provider or ""
        known = self._guards.get(key)
        if known is None or known[0] is not provider:
            known = self._guards[key] = (provider, Guard(key, self._retry, self._circuit_breaker))
        return known

    def breaker_state(self, provider: str | None = None) -> str:
        """``closed``, ``open`` (the provider is left alone) or ``half_open`` (it is being tried)."""
        return self._guard(provider)[1].policy.state

    # --- failover ---------------------------------------------------------------------------------

    def _order(
        self, provider: str | None, fallback_providers: Sequence[str] | None, fallback: bool
    ) -> list[str | None]:
        names: list[str | None] = [provider] if provider else []
        names += list(fallback_providers or ())
        if not names:
            names = [self.default_provider]
        if fallback:
            names += self.providers
        return list(dict.fromkeys(names))

    async def create_sandbox(
        self,
        config: SandboxConfig,
        provider: str | None = None,
        fallback_providers: Sequence[str] | None = None,
        *,
        fallback: bool = False,
    ) -> Sandbox:
        """Makes a sandbox with the first provider that can. With ``fallback`` all others are tried
        after the one named; the error tells of each that failed."""
        failures: dict[str, Exception] = {}
        for name in self._order(provider, fallback_providers, fallback):
            try:
                return await self._create(name, config)
            except MemoryError:
                raise
            except Exception as error:
                _log.info("provider %s can't create a sandbox: %s", name, error)
                failures[str(name)] = error
        raise _all_failed("Failed to create sandbox with any provider", failures)

    async def _create(self, name: str | None, config: SandboxConfig) -> Sandbox:
        provider, guard = self._guard(name)
        return await guard.create(lambda: provider.create_sandbox(config))

    async def execute_with_fallback(
        self,
        code: str,
        config: SandboxConfig | None = None,
        *,
        provider: str | None = None,
        timeout: float | None = None,
    ) -> ExecutionResult:
        """Runs a command (code, where the configuration names a language) in a sandbox of its own
        with the first provider that can. A command that fails is a result, and no reason to go on."""
        from .languages import command_for

        config = config or SandboxConfig()
        command = command_for(code, config.language) if config.language else code
        failures: dict[str, Exception] = {}
        for name in self._order(provider, None, True):
            try:
                return await self._execute_once(name, command, config, timeout)
            except Exception as error:
                _log.info("provider %s can't run the command: %s", name, error)
                failures[str(name)] = error
        raise _all_failed("Failed to execute with any provider", failures)

    async def _execute_once(
        self, name: str | None, command: str, config: SandboxConfig, timeout: float | None
    ) -> ExecutionResult:
        sandbox = await self._create(name, config)
        key = name or self.default_provider
        try:
            return await self.execute_command(
                sandbox.id, command, key, timeout, config.env_vars or None, mask_secrets=False
            )
        finally:
            await self.destroy_sandbox(sandbox.id, key)

    # --- one provider -----------------------------------------------------------------------------

    async def get_or_create_sandbox(self, config: SandboxConfig, provider: str | None = None) -> Sandbox:
        """The sandbox with the labels of this configuration; made if there is none."""
        one, guard = self._guard(provider)
        return await guard.create(lambda: one.get_or_create_sandbox(config))

    async def execute_command(
        self,
        sandbox_id: str,
        command: str,
        provider: str | None = None,
        timeout: float | None = None,
        env_vars: dict[str, str] | None = None,
        mask_secrets: bool = True,
    ) -> ExecutionResult:
        """Runs a command. Values of secret variables given here are masked in its output."""
        one, guard = self._guard(provider)
        result = await guard.repeated(
            "execute", lambda: one.execute_command(sandbox_id, command, timeout, env_vars)
        )
        if mask_secrets and env_vars:
            result.stdout = _mask(result.stdout, env_vars)
            result.stderr = _mask(result.stderr, env_vars)
        return result

    async def destroy_sandbox(self, sandbox_id: str, provider: str | None = None) -> bool:
        """Ends a sandbox; False if there was none."""
        one, guard = self._guard(provider)
        return await guard.destroy(lambda: one.destroy_sandbox(sandbox_id))

    async def list_sandboxes(
        self, provider: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Sandbox]:
        """Sandboxes of one provider or of all; providers that don't answer are passed over."""
        if provider:
            return await self._list(provider, labels)
        found: list[Sandbox] = []
        for name in list(self.providers):
            try:
                found += await self._list(name, labels)
            except Exception as error:
                _log.warning("provider %s can't list its sandboxes: %s", name, error)
        return found

    async def _list(self, name: str, labels: dict[str, str] | None) -> list[Sandbox]:
        provider, guard = self._guard(name)
        return await guard.repeated("list", lambda: provider.list_sandboxes(labels))

    async def health_check(self, provider: str | None = None) -> dict[str, bool]:
        """Whether each provider answers."""
        names = [provider] if provider else list(self.providers)
        health: dict[str, bool] = {}
        for name in names:
            try:
                health[name] = await self.get_provider(name).health_check()
            except Exception:
                health[name] = False
        self._provider_health.update(health)
        return health

    async def cleanup_sandboxes(
        self, provider: str | None = None, labels: dict[str, str] | None = None, exclude_running: bool = True
    ) -> int:
        """Ends sandboxes that have these labels, by default those that do not run; tells how many."""
        count = 0
        for name in [provider] if provider else list(self.providers):
            one = self.get_provider(name)
            for sandbox in await one.list_sandboxes(labels):
                if not (exclude_running and sandbox.state is SandboxState.RUNNING):
                    count += await one.destroy_sandbox(sandbox.id)
        return count


Manager = SandboxManager


def _mask(text: str, env_vars: dict[str, str]) -> str:
    for key, value in env_vars.items():
        if len(value) > 4 and any(word in key.upper() for word in _SECRET):
            text = text.replace(value, value[:2] + "*" * (len(value) - 4) + value[-2:])
    return text


def _all_failed(what: str, failures: dict[str, Exception]) -> SandboxError:
    """One error for all; it is a ProviderError and also of the class of the most telling failure."""
    from ._guard import most_telling

    telling = most_telling(list(failures.values()))
    kind: type[SandboxError] = ProviderError
    if isinstance(telling, SandboxError):
        kind = next(c for c in type(telling).__mro__ if c.__module__ == SandboxError.__module__)
        if not issubclass(kind, ProviderError):
            kind = type(kind.__name__, (ProviderError, kind), {"__module__": kind.__module__})
    error = kind(f"{what}: " + "; ".join(f"{name}: {failure}" for name, failure in failures.items()))
    error.__dict__.update(getattr(telling, "__dict__", {}))
    error.__dict__["failures"] = failures
    error.__cause__ = telling
    return error
