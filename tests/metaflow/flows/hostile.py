# SPDX-License-Identifier: Apache-2.0
"""A step that tries what it should not be able to. Each attempt: what it got, or the error's name."""
import glob
import gzip
import hashlib
import json
import os

from metaflow import FlowSpec, Parameter, current, sandbox, step

STAGE = os.environ.get("METAFLOW_SANDBOX_STAGE", "")
ROOT = os.path.join(os.environ.get("METAFLOW_DATASTORE_SYSROOT_LOCAL", ""), ".metaflow")


def attempt(function):
    try:
        return function()
    except OSError as error:
        return type(error).__name__


def write(path, text="hostile"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return "written"


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def blob(name, contents, meta='{"cas_raw": false, "cas_version": 1}'):
    path = os.path.join(STAGE, current.flow_name, "data", name[:2], name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(contents)
    write(path + "_meta", meta)


class Hostile(FlowSpec):
    secret = Parameter("secret", default="none")
    mode = Parameter("mode", default="quiet")

    @step
    def start(self):
        self.precious = "precious"
        self.next(self.bad)

    @sandbox
    @step
    def bad(self):
        run = os.path.join(ROOT, current.flow_name, current.run_id)
        own = os.path.join(run, "bad", current.task_id)
        other = glob.glob(os.path.join(run, "start", "[0-9]*"))[0]
        key = json.loads(read(os.path.join(other, "0.data.json")))["objects"]["precious"]
        self.got = {
            "home": attempt(lambda: read(self.secret)),
            "environment of others": [
                name for name in glob.glob("/proc/[0-9]*/environ") if "canary" in str(attempt(lambda: read(name)))],
            "artifact": attempt(lambda: write(
                os.path.join(ROOT, current.flow_name, "data", key[:2], key))),
            "other task": attempt(lambda: write(os.path.join(other, "0.data.json"))),
            "run": attempt(lambda: write(os.path.join(run, "_meta/_self.json"))),
            "interpreter": attempt(lambda: write(os.path.join(os.path.dirname(os.__file__), "os.py"))),
        }
        # What its launcher finds when it is gone.
        write(os.path.join(STAGE, current.flow_name, current.run_id, "start/1/0.data.json"))
        write(os.path.join(STAGE, "Other/data/aa/" + "a" * 40))
        write(os.path.join(STAGE, "mf.cards", current.flow_name, "runs", "1", "tasks/1/x.html"))
        write(os.path.join(own, "_meta/_self.json"))
        write(os.path.join(own, "1.data.json"))
        write(os.path.join(own, "0.runtime_stdout.log"))
        os.symlink(self.secret, os.path.join(own, "0.link"))
        os.symlink(self.secret, os.path.join(own, "0.task_stdout.log2"))
        os.symlink("/", os.path.join(own, "_meta", "up"))
        attempt(lambda: os.mkfifo(os.path.join(own, "0.fifo")))  # a guest can't
        os.link(os.path.join(own, "1.data.json"), os.path.join(own, "0.hard"))
        os.chmod(os.path.join(own, "0.hard"), 0o777)
        attempt(lambda: os.chmod(os.path.join(own, "0.hard"), 0o6777))  # nor that
        blob(key, gzip.compress(b"hostile"))  # exists: what is there stays
        if self.mode == "false-blob":
            blob(hashlib.sha1(b"x").hexdigest(), gzip.compress(b"y"))
        elif self.mode == "two-members":
            blob(hashlib.sha1(b"x").hexdigest(), gzip.compress(b"x") + gzip.compress(b"y"))
        elif self.mode == "false-meta":
            blob(hashlib.sha1(b"x").hexdigest(), b"x", '{"cas_raw": true, "cas_version": 2}')
        elif self.mode == "link":
            blob(hashlib.sha1(b"x").hexdigest(), b"x", '{"cas_raw": true, "cas_version": 1}')
            path = os.path.join(STAGE, current.flow_name, "data", hashlib.sha1(b"x").hexdigest()[:2],
                                hashlib.sha1(b"x").hexdigest())
            os.unlink(path)
            os.symlink(self.secret, path)
        self.next(self.end)

    @step
    def end(self):
        print("precious is", self.precious)


if __name__ == "__main__":
    Hostile()
