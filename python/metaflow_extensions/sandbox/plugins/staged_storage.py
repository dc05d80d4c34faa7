# SPDX-License-Identifier: Apache-2.0
"""The local datastore as a step in a sandbox sees it.

The datastore is mounted read-only, but for the directory of the task itself. Whatever else is written,
new blobs and cards, goes to the same relative path below METAFLOW_SANDBOX_STAGE; when the sandbox is gone,
its launcher verifies it and takes it over. Reading looks there first.

Layer: inside the sandbox. May import Metaflow only.
"""
import os

from metaflow.metaflow_config import DATASTORE_LOCAL_DIR
from metaflow.plugins.datastores.local_storage import LocalStorage


class StagedLocalStorage(LocalStorage):
    TYPE = "local"

    def _below(self, path):
        """Path below the datastore's directory. Cards are in a folder of it, which Metaflow looks for from
        the working directory: what counts is what follows the directory's name."""
        place = self.path_join(self.datastore_root, path)
        return place.rpartition(f"/{DATASTORE_LOCAL_DIR}/")[2]

    def _staged(self, path):
        return os.path.join(os.environ["METAFLOW_SANDBOX_STAGE"], self._below(path))

    def _real(self, path):
        return os.path.join(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], DATASTORE_LOCAL_DIR,
                            self._below(path))

    def full_uri(self, path):
        """Where a path is read: staged, or as it is."""
        staged = self._staged(path)
        return staged if os.path.exists(staged) else self._real(path)

    def list_content(self, paths):
        """Both places together."""
        found = {}
        for path in paths:
            for place in (self._real(path), self._staged(path)):
                for name in os.listdir(place) if os.path.isdir(place) else ():
                    if name != self.METADATA_DIR and path != self.METADATA_DIR:
                        inside = self.path_join(path, name)
                        found[inside] = self.list_content_result(
                            path=inside, is_file=self.is_file([inside])[0])
        return list(found.values())

    def save_bytes(self, path_and_bytes_iter, overwrite=False, len_hint=0):
        for path, contents in path_and_bytes_iter:
            if not overwrite and self.is_file([path])[0]:
                continue
            LocalStorage.save_bytes(_Place(self._writable(path)), [("", contents)], overwrite=True)

    def _writable(self, path):
        real = self._real(path)
        return real if os.access(os.path.dirname(real), os.W_OK) else self._staged(path)


class _Place(LocalStorage):
    """A datastore of one file."""

    def __init__(self, path):
        super().__init__(path)

    def full_uri(self, path):
        return self.datastore_root
