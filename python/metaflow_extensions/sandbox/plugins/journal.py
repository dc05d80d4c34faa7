# SPDX-License-Identifier: Apache-2.0
"""Local metadata in a sandbox elsewhere: each record of the task is also a line of the file that
METAFLOW_SANDBOX_RECORDS names, "NAME<tab>JSON", which the launcher follows.

Layer: inside the sandbox. May import Metaflow only.
"""
import json
import os

from metaflow.plugins.metadata_providers.local import LocalMetadataProvider


class JournalMetadata(LocalMetadataProvider):
    TYPE = "local"

    def register_task_id(self, run_id, step_name, task_id, *args, **kwargs):
        self._new_run(run_id)  # the client and cards look for it here
        self._ensure_meta("step", run_id, step_name, None)
        self._ensure_meta("task", run_id, step_name, task_id)
        return super().register_task_id(run_id, step_name, task_id, *args, **kwargs)

    @classmethod
    def _save_meta(cls, root_dir, metadict, *args, **kwargs):
        LocalMetadataProvider._save_meta(root_dir, metadict, *args, **kwargs)
        lines = [f"{name}.json\t{json.dumps(record)}\n" for name, record in metadict.items()
                 if not name.startswith("_")]
        with open(os.environ["METAFLOW_SANDBOX_RECORDS"], "ab", buffering=0) as file:
            for line in lines:  # each in one call: other processes of the task append too
                file.write(line.encode())
