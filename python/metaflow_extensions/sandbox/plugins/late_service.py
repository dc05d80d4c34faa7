# SPDX-License-Identifier: Apache-2.0
"""The metadata service's provider as a step in a sandbox sees it: imported when a step asks for it.

Layer: inside the sandbox. May import Metaflow only.
"""


def _provider():
    from metaflow.plugins.metadata_providers.service import ServiceMetadataProvider

    return ServiceMetadataProvider


class _Late(type):
    def __getattr__(cls, name):
        return getattr(_provider(), name)

    def __setattr__(cls, name, value):
        setattr(_provider(), name, value)

    def __call__(cls, *args, **kwargs):
        return _provider()(*args, **kwargs)


class LateServiceProvider(metaclass=_Late):
    TYPE = "service"
