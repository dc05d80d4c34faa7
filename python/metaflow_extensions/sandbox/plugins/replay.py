# SPDX-License-Identifier: Apache-2.0
"""The way of metadata that needs nobody to listen: the last thing a task elsewhere does is to keep its records in
the datastore, and the last thing a run does is to fetch those of tasks whose launcher did not bring them, because
it was killed or could not reach the sandbox any more.

Layer: replay. May import Metaflow only.
"""
import glob
import json
import os
import subprocess

KEY = "sandbox_records"  # of the task's metadata in the datastore, where the records' blob is named


def keep(task_datastore, environ=os.environ):
    """In the sandbox."""
    with open(environ["METAFLOW_SANDBOX_RECORDS"], "rb") as file:
        _, key = task_datastore.parent_datastore.save_data([file.read()], len_hint=1)[0]
    task_datastore._dangerous_save_metadata_post_done({KEY: key})


def is_complete(directory, attempt):
    """Whether the last record of an attempt is there."""
    for path in glob.glob(os.path.join(glob.escape(directory), "sysmeta_attempt-done_*.json")):
        with open(path, encoding="utf-8") as file:
            if str(json.load(file).get("value")) == str(attempt):
                return True
    return False


def fetch(flow_datastore, pathspec, attempt, directory):
    """Records of an attempt that are not there yet; True when there were any."""
    _, run, step, task = pathspec.split("/")
    store = flow_datastore.get_task_datastore(run, step, task, attempt=attempt, allow_not_done=True)
    key = store.load_metadata([KEY])[KEY]
    _, blob = next(iter(flow_datastore.load_data([key])))
    return any([_write(directory, line) for line in bytes(blob).decode("utf-8", "replace").splitlines()])


def _write(directory, line):
    """As the launcher does it (records.c): a name of a record alone, what is there stays."""
    name, _, text = line.partition("\t")
    path = os.path.join(directory, name)
    if not name.endswith(".json") or name[0] in "_." or "/" in name or not name.isprintable() \
            or os.path.lexists(path) or not isinstance(json.loads(text), dict):
        return False
    os.makedirs(directory, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    return True


def complete(flow_datastore, root, started, send):
    """Of each (pathspec, attempt) that was started what its launcher did not bring. `send`: command and
    environment that pass a directory of records on, or None."""
    for pathspec, attempt in started:
        directory = os.path.join(root, pathspec, "_meta")
        if is_complete(directory, attempt):
            continue
        try:
            fetched = fetch(flow_datastore, pathspec, attempt, directory)
        except Exception:  # noqa: BLE001 - an attempt that did not end has kept nothing
            continue
        if fetched and send and not os.path.exists(os.path.join(directory, "_self.json")):
            command, environ = send
            subprocess.run([*command, directory, pathspec], env={**os.environ, **environ}, stdin=subprocess.DEVNULL,
                           check=False)
