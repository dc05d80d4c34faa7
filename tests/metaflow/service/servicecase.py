# SPDX-License-Identifier: Apache-2.0
"""Base of tests of the metadata service: a home and a project of its own each, nothing left behind."""
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("BUILD") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../build"))
TREE = os.environ.get("TREE") or os.path.dirname(BUILD)
PROGRAM = os.path.join(BUILD, "src/metaflow/service/metaflow-local-service")
FLOWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flows")
SKIP = 77


def find_python():
    """An interpreter that has Metaflow: METAFLOW_TEST_PYTHON, or the one that ./dev makes."""
    for path in (os.environ.get("METAFLOW_TEST_PYTHON"), os.path.join(TREE, ".venv/bin/python")):
        if path and os.access(path, os.X_OK) and subprocess.run(
                [path, "-c", "import metaflow"], check=False, cwd="/", stdin=subprocess.DEVNULL,
                capture_output=True).returncode == 0:
            return path
    return None


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(SKIP)


class Client:
    """One connection that stays open."""

    def __init__(self, port):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method, path, body=None, **headers):
        """Status, headers, parsed body."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = self.connection.getresponse()
        text = answer.read()
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, text

    def get(self, path):
        status, _, value = self.ask("GET", path)
        assert status == 200, (path, status, value)
        return value

    def post(self, path, body):
        status, _, value = self.ask("POST", path, body)
        assert status == 200, (path, status, value)
        return value

    def close(self):
        self.connection.close()


class ServiceCase(unittest.TestCase):
    def setUp(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="mfs-"))
        self.home = os.path.join(self.base, "home")
        self.project = os.path.join(self.base, "project")
        os.mkdir(self.home)
        os.mkdir(self.project)
        drop = ("METAFLOW_", "SANDBOXES_")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(drop) and "proxy" not in k.lower()}
        self.env.update(HOME=self.home, METAFLOW_USER="tester", USER="tester", PYTHONDONTWRITEBYTECODE="1",
                        METAFLOW_CLIENT_CACHE_PATH=os.path.join(self.home, "client"))

    def tearDown(self):
        for _ in range(8):
            if b"Stopped" not in self.command("stop").stdout:
                break
        left = os.path.join(self.home, ".metaflow-local-service")
        files = os.listdir(left) if os.path.exists(left) else []
        temporary = [name for name in os.listdir(self.root()) if name.endswith(".tmp")] \
            if os.path.exists(self.root()) else []
        shutil.rmtree(self.base, ignore_errors=True)
        self.assertEqual([], files, "files of services that ended")
        self.assertEqual([], temporary)

    def root(self):
        return os.path.join(self.project, ".metaflow")

    def command(self, *arguments, cwd=None, check=None, **more):
        done = subprocess.run([PROGRAM, *arguments], cwd=cwd or self.project, env={**self.env, **more},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        if check is not None:
            self.assertEqual(check, done.returncode, done.stdout + done.stderr)
        return done

    def start(self, *arguments, **more):
        """A service that runs; its port."""
        self.command("start", *arguments, check=0, **more)
        return self.port()

    def port(self, *arguments):
        return int(self.command("url", *arguments, check=0).stdout.rsplit(b":", 1)[1])

    def pid(self):
        return int(self.command("status", check=0).stdout.split(b"pid=")[1].split()[0])

    @contextlib.contextmanager
    def client(self, port=None):
        client = Client(port or self.start())
        yield client
        client.close()

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.01)
        self.fail("it did not happen")


def new_run(client, flow="Flow", **body):
    record = client.post(f"/flows/{flow}/run", {"user_name": "u", "tags": ["a"], "system_tags": ["user:u"], **body})
    return record["run_number"]


def new_task(client, run, step="start", flow="Flow"):
    return client.post(f"/flows/{flow}/runs/{run}/steps/{step}/task", {"user_name": "u"})["task_id"]
