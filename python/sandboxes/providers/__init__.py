# SPDX-License-Identifier: Apache-2.0
"""Providers by name. All but ``local`` speak to a service and need its credentials."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import SandboxProvider
    from .cloudflare import CloudflareProvider as CloudflareProvider
    from .daytona import DaytonaProvider as DaytonaProvider
    from .e2b import E2BProvider as E2BProvider
    from .hopx import HopxProvider as HopxProvider
    from .local import LocalProvider as LocalProvider
    from .modal import ModalProvider as ModalProvider
    from .native import NativeProvider as NativeProvider
    from .sprites import SpritesProvider as SpritesProvider
    from .vercel import VercelProvider as VercelProvider

__all__ = ["get_provider", "list_available_providers"]

_CLASSES = {
    "daytona": "DaytonaProvider",
    "e2b": "E2BProvider",
    "modal": "ModalProvider",
    "cloudflare": "CloudflareProvider",
    "hopx": "HopxProvider",
    "vercel": "VercelProvider",
    "sprites": "SpritesProvider",
    "local": "LocalProvider",
}
_MODULES = {name: module for module, name in _CLASSES.items()}
_MODULES["NativeProvider"] = "native"


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def get_provider(name: str) -> type[SandboxProvider] | None:
    """The class of a provider, or None if there is no such name."""
    found: type[SandboxProvider] | None = __getattr__(_CLASSES[name]) if name in _CLASSES else None
    return found


def list_available_providers() -> list[str]:
    """Names of all providers."""
    return list(_CLASSES)
