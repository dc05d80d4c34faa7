# SPDX-License-Identifier: Apache-2.0
"""The local datastore as a step in a sandbox sees it.

The datastore is mounted read-only, but for the directory of the task itself. Whatever else is written,
new blobs and cards, goes to the same relative path below METAFLOW_SANDBOX_STAGE; when the sandbox is gone,
its launcher verifies it and takes it over. Reading looks there first.

Layer: inside the sandbox. May import Metaflow only.
"""
import os

from metaflow.plugins.datastores.local_storage import LocalStorage


class StagedLocalStorage(LocalStorage):
    TYPE = "local"

    def _below(self, path):
        """Path below the datastore's directory, which cards share: their root is a folder of it."""
        top = os.path.join(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], self.DATASTORE_DIR)
        return os.path.relpath(super().full_uri(path), os.path.realpath(top))

    def _staged(self, path):
        return os.path.join(os.environ["METAFLOW_SANDBOX_STAGE"], self._below(path))

    def full_uri(self, path):
        """Where a path is read: staged, or as it is."""
        staged = self._staged(path)
        return staged if os.path.exists(staged) else super().full_uri(path)

    def list_content(self, paths):
        """Both places together."""
        found = {}
        for path in paths:
            for real in (LocalStorage.full_uri(self, path), self._staged(path)):
                if not os.path.isdir(real):
                    continue
                for name in os.listdir(real):
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
        real = LocalStorage.full_uri(self, path)
        parent = os.path.dirname(real)
        return real if os.access(parent, os.W_OK) else self._staged(path)


class _Place(LocalStorage):
    """A datastore of one file."""

    def __init__(self, path):
        super().__init__(path)

    def full_uri(self, path):
        return self.datastore_root
