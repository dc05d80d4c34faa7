# SPDX-License-Identifier: Apache-2.0
"""The flow's own files, as Metaflow's code package has them: laid out once a run, on this machine.

Layer: code. May import nothing of this extension.
"""
import atexit
import io
import os
import shutil
import tarfile
import tempfile

OTHERS = ("metaflow", "metaflow_extensions", ".mf_code", ".mf_meta")  # in packages, and not the flow's
PREFIX = "metaflow-sandbox-"


def _sweep(parent):
    """Directories of runs that were killed."""
    for name in os.listdir(parent):
        owner = name[len(PREFIX):].split("-")[0]
        path = os.path.join(parent, name)
        if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}") \
                and os.lstat(path).st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)


def run_directory():
    """A directory of this run's, gone with this process."""
    parent = tempfile.gettempdir()
    _sweep(parent)
    path = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
    pid = os.getpid()
    atexit.register(lambda: os.getpid() == pid and shutil.rmtree(path, ignore_errors=True))
    return path


class Delivered:
    """A package that another process made, as far as Metaflow's own is used here."""

    def __init__(self, metadata, read):
        from metaflow.package import MetaflowPackage

        self._read = read
        if hasattr(MetaflowPackage, "get_post_extract_env_vars"):
            self.package_metadata = metadata
            self.get_post_extract_env_vars = MetaflowPackage.get_post_extract_env_vars

    @property
    def blob(self):
        return self._read()


def lay_out(package, directory):
    os.makedirs(directory)
    if hasattr(package, "user_tuples"):
        for source, name in package.user_tuples():
            target = os.path.join(directory, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
    else:
        _unpack(package.blob, directory)
    return directory


def _unpack(blob, directory):
    data = blob.getvalue() if hasattr(blob, "getvalue") else bytes(blob)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            if member.isfile() and member.name.split("/")[0] not in OTHERS:
                archive.extract(member, directory)
