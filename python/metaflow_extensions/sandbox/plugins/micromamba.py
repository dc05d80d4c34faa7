# SPDX-License-Identifier: Apache-2.0
"""The micromamba that is staged in sandboxes elsewhere, where @conda and @pypi make their environments: it saves
each of them the download.

Layer: micromamba. May import exceptions, settings, Metaflow.
"""
import bz2
import io
import os
import shutil
import struct
import tarfile
import tempfile
import urllib.request

from . import settings
from .exceptions import SandboxException

INSIDE = "/tmp/metaflow/.bin/micromamba"  # on the PATH there: elsewhere.py
URL = "https://micro.mamba.pm/api/micromamba/{platform}/latest"
MACHINES = {"linux-64": 62, "linux-aarch64": 183}  # e_machine, elf.h
PACKED_MAX, UNPACKED_MAX = 64 << 20, 256 << 20
TIMEOUT = 30


def staged(platform, environ=os.environ):
    """Path of a micromamba for sandboxes of this platform; None where they are to get one by themselves."""
    wanted = environ.get("METAFLOW_SANDBOX_STAGE_MICROMAMBA", "")
    if wanted and settings.falsehood(wanted):
        return None
    found, reason = _find(platform, environ)
    if not found and settings.truth(wanted):
        raise SandboxException(
            f"METAFLOW_SANDBOX_STAGE_MICROMAMBA is set, but there is no micromamba for {platform}: {reason}. Set "
            "METAFLOW_SANDBOX_MICROMAMBA_PATH to one, or METAFLOW_SANDBOX_STAGE_MICROMAMBA=0 to have sandboxes "
            "download it")
    return found


def _find(platform, environ):
    cached = os.path.join(_cache(environ), platform, "micromamba")
    for path in (environ.get("METAFLOW_SANDBOX_MICROMAMBA_PATH"), shutil.which("micromamba", path=environ.get("PATH")),
                 cached):
        if path and runs_on(path, platform):
            return path, None
    if settings.falsehood(environ.get("METAFLOW_SANDBOX_AUTO_DOWNLOAD_MICROMAMBA", "1")):
        return None, "METAFLOW_SANDBOX_AUTO_DOWNLOAD_MICROMAMBA is off"
    try:
        _download(platform, cached)
    except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
        return None, f"it can't be downloaded ({error})"
    return cached, None


def _cache(environ):
    return environ.get("METAFLOW_SANDBOX_MICROMAMBA_CACHE_DIR") or os.path.join(
        os.path.expanduser("~"), ".cache", "metaflow-sandbox", "micromamba")


def runs_on(path, platform):
    """Whether it is a Linux program for these processors."""
    try:
        with open(path, "rb") as file:
            return _is_program(file.read(20), platform)
    except OSError:
        return False


def _is_program(header, platform):
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return False
    order = ">" if header[5] == 2 else "<"
    return struct.unpack_from(order + "H", header, 18)[0] == MACHINES.get(platform)


def _download(platform, path):
    with urllib.request.urlopen(URL.format(platform=platform), timeout=TIMEOUT) as answer:
        packed = answer.read(PACKED_MAX + 1)
    if len(packed) > PACKED_MAX:
        raise ValueError("it is too large")
    program = _unpack(packed)
    if not _is_program(program[:20], platform):
        raise ValueError(f"what was sent is no program for {platform}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Whole or not at all: other flows may be reading it.
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), prefix=".micromamba-", delete=False) as file:
        file.write(program)
        os.fchmod(file.fileno(), 0o755)
    os.replace(file.name, path)


def _unpack(packed):
    unpacked = bz2.BZ2Decompressor().decompress(packed, UNPACKED_MAX)
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        return archive.extractfile("bin/micromamba").read()
