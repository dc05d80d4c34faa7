# SPDX-License-Identifier: Apache-2.0
"""Steps in sandboxes of services, which `sandboxes serve` plays here, with the S3 datastore, which moto plays.
The sandboxes have a bare Python: what Metaflow needs is installed in each from an index of this program's."""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import flowcase
import index
import leaks
import sandboxcase
import service
from test_stored import SERVE as MOTO

SERVE = os.path.join(flowcase.BUILD, "src/serve/sandboxes-serve")
MODULE = os.path.join(flowcase.BUILD, "src/sandboxes-cloud.so")
WHOLE = os.environ.get("WHOLE")  # all cases at both services: among the slow ones
BACKENDS = ("e2b", "daytona") if WHOLE else ("e2b",)
FACTS = """
from metaflow.cards import get_cards
run = Flow("Elsewhere")[RUN]
one, *more = sorted(run["each"], key=lambda task: task.index)
out = dict(
    successful=run.successful, numbers=run["joined"].task.data.numbers, failures=run["joined"].task.data.failures,
    stdout=one.stdout, stderr=one.stderr, facts=one.metadata_dict, seen=one["seen"].data, own=one.data.own,
    uploaded=one.data.uploaded, where=one.data.where, note=one.data.note, card=get_cards(one)[0].get(),
    fields=sorted(record.name for record in one.metadata), attempts=[Task(two.pathspec, attempt=n).stdout for two in more for n in (0, 1)],
    parents=[task.pathspec.split("/")[2] for task in one.parent_tasks],
    children=[task.pathspec.split("/")[2] for task in one.child_tasks], code=bytes(run.code.flowspec)[:6].decode())
"""
NAMED = {"FROM_DECORATOR", "FROM_ENVIRONMENT", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PYTHONPATH", "PYTHONUNBUFFERED",
         "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
# Of every command there.
USUAL = {"HOME", "LANG", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "USER", "_", "E2B_SANDBOX", "E2B_SANDBOX_ID"}


def put_bucket(url):
    urllib.request.urlopen(urllib.request.Request(url + "/bucket", method="PUT")).close()


class Elsewhere(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.moto = subprocess.Popen([flowcase.PYTHON, "-c", MOTO], env=cls.env, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.index = subprocess.Popen([flowcase.PYTHON, index.__file__, os.path.join(cls.base, "index")], env=cls.env,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = [int(server.stdout.readline()) for server in (cls.moto, cls.index)]
        url, key = cls.start_serve(ports)
        put_bucket(f"http://127.0.0.1:{ports[0]}")
        cls.env.update({
            "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/mf",
            "METAFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{ports[0]}", "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "k", "AWS_DEFAULT_REGION": "us-east-1",
            "INSIDE_METAFLOW_S3_ENDPOINT_URL": f"http://10.0.2.2:{ports[0]}", "INSIDE_PIP_TRUSTED_HOST": "10.0.2.2",
            "INSIDE_PIP_INDEX_URL": f"http://10.0.2.2:{ports[1]}/simple",
            "E2B_API_KEY": key, "E2B_API_URL": url, "E2B_SANDBOX_URL": url,
            "DAYTONA_API_KEY": key, "DAYTONA_API_URL": url + "/api", "NO_PROXY": "*", "no_proxy": "*",
            "METAFLOW_SANDBOX_UPLOADS": json.dumps([{"local": "note.txt", "remote": "/tmp/uploaded/note"}])})
        cls.key = key

    @classmethod
    def start_serve(cls, ports):
        """`sandboxes serve`, whose sandboxes reach these ports of this machine."""
        state, log = os.path.join(cls.base, "state"), os.path.join(cls.base, "serve.log")
        os.mkdir(state, 0o700)
        key = subprocess.run([SERVE, "--state", state, "key", "create", "x"], env=cls.env, check=True, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
        allowed = [word for port in ports for word in ("--allow", f"10.0.2.2:{port}")]
        with open(log, "wb") as file:
            cls.serve = subprocess.Popen([SERVE, "--state", state, "--port", "0", "-p", "local", "--warm", "0",
                                          *allowed], env=cls.env,
                                         stdout=subprocess.PIPE, stderr=file, text=True)
        return re.search(r"http://127\.0\.0\.1:\d+", cls.serve.stdout.readline()).group(), key

    @classmethod
    def tearDownClass(cls):
        for server in (cls.moto, cls.index):
            server.stdin.close()
        cls.serve.send_signal(signal.SIGTERM)
        for server in (cls.moto, cls.index, cls.serve):
            server.wait(30)
            server.stdout.close()
        super().tearDownClass()

    def boxes(self):
        """What lives, by `sandboxes list`."""
        return json.loads(subprocess.run([sandboxcase.COMMAND, "list", "--provider", "local", "--json"], env=self.env,
                                         stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout)

    def gone(self, count=0, patience=5.0):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if len(self.boxes()) <= count:
                return True
            time.sleep(0.05)
        return False


class Steps(Elsewhere):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lay_out()
        try:
            with ThreadPoolExecutor(2) as pool:
                cls.facts = dict(zip(BACKENDS, pool.map(cls.run_with, BACKENDS)))
        except BaseException:
            cls.tearDownClass()  # unittest would leave the servers
            raise

    @classmethod
    def run_with(cls, backend):
        output = cls.flow("elsewhere.py", "run", "--run-id-file", backend, env={"METAFLOW_SANDBOX_BACKEND": backend})
        with open(os.path.join(cls.work, backend), encoding="utf-8") as file:
            return {"output": output, **cls.client(FACTS.replace("RUN", repr(file.read())))}

    def check(self, **wanted):
        for backend, facts in self.facts.items():
            with self.subTest(backend=backend):
                self.assertEqual(wanted, {name: facts[name] for name in wanted})

    def test_artifacts_and_files(self):
        self.check(successful=True, uploaded="a note\n", note="a note\n", where="/tmp/metaflow",
                   parents=["start"], children=["joined"], code="# SPDX")
        self.assertEqual([], self.stages())

    def test_logs_are_kept_once_and_apart(self):
        self.check(stdout="out of 1 0\n", stderr="err of 1\n")

    def test_signals_and_attempts(self):
        facts = self.facts["e2b"]
        self.assertEqual([["out of 2 0\n", "out of 2 1\n"], [6, None]], [facts["attempts"], facts["numbers"]])
        self.assertIn("segmentation fault", facts["output"])
        self.assertIn("kept failing", facts["failures"][1])

    def test_metadata_comes_once(self):
        for backend, facts in self.facts.items():
            self.assertEqual(backend, facts["facts"]["sandbox-backend"])
            self.assertEqual("s3", facts["facts"]["ds-type"])
            for name in ("attempt", "attempt_ok", "attempt-done", "sandbox-id", "code-package"):
                self.assertEqual(1, facts["fields"].count(name), name)

    def test_client_and_cards_work_inside(self):
        self.check(own=True)
        for facts in self.facts.values():
            self.assertIn("<html", facts["card"].lower())

    def test_only_named_variables_are_inside(self):
        for facts in self.facts.values():
            seen = facts["seen"]
            self.assertEqual("it's \"quoted\"\n$HOME", seen["FROM_DECORATOR"])
            self.assertNotIn(flowcase.CANARY, str(seen))
            self.assertNotIn(self.key, str(seen))
            self.assertEqual(NAMED, {name for name in seen if not name.startswith("METAFLOW_")} - USUAL)

    def test_sandboxes_are_gone(self):
        self.assertEqual([], self.boxes())

    def test_records_that_nobody_followed_come_through_the_datastore(self):
        """The launcher looks for them where they are not, as if it had lost the sandbox. In debug mode, too."""
        dumps = os.path.join(self.work, "debug")
        told = service.Service()
        self.addCleanup(told.close)
        self.flow("waits.py", "run", "--mode", "quick", env={
            "METAFLOW_SANDBOX_BACKEND": "e2b", "METAFLOW_SANDBOX_DEBUG": dumps, "INSIDE_METAFLOW_SANDBOX_RECORDS": "/tmp/elsewhere",
            "METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": told.url})
        fields = [record["field_name"] for record, _ in told.told("metadata", "start")]
        for name in ("attempt", "attempt-done", "sandbox-id"):
            self.assertEqual(1, fields.count(name), fields)
        self.check_debug(dumps)

    def check_debug(self, dumps):
        kept = self.boxes()
        for box in kept:
            subprocess.run([sandboxcase.COMMAND, "destroy", box["id"]], env=self.env, check=True,
                           stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(1, len(kept), kept)
        name = next(name for name in os.listdir(dumps) if name.endswith(".env.json"))
        with open(os.path.join(dumps, name), encoding="utf-8") as file:
            variables = json.load(file)
        self.assertEqual("***", variables["AWS_SECRET_ACCESS_KEY"])
        self.assertNotIn(self.key, str(variables))

    def until_running(self, process):
        for line in process.stdout:
            found = re.search(r"RUNNING (\S+)", line)
            if found:
                return found.group(1)
        raise AssertionError("the step did not start")

    def until_told(self, field):
        """Metadata of a running task is here at once."""
        run = max(glob.glob(os.path.join(self.work, ".metaflow/Waits/[0-9]*")))
        end = time.monotonic() + 10
        while not glob.glob(os.path.join(run, f"start/*/_meta/sysmeta_{field}_*")):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def launcher(self, process):
        return min(pid for pid, text in leaks.descendants(process.pid).items() if "sandboxes-step" in text)

    def start_waits(self, backend, **options):
        process = self.start("waits.py", "run", env={"METAFLOW_SANDBOX_BACKEND": backend}, **options)
        self.addCleanup(process.stdout.close)
        return process

    def test_kill_of_the_launcher(self):
        process = self.start_waits("daytona")
        self.until_running(process)
        self.until_told("sandbox-id")
        os.kill(self.launcher(process), signal.SIGKILL)
        output = process.communicate(timeout=60)[0]
        self.assertEqual(0, process.returncode, output)
        self.assertIn("attempt 1", output)
        self.assertTrue(self.gone())
        boxes = self.client('task = Flow("Waits").latest_run["start"].task\n'
                             'out = [Task(task.pathspec, attempt=n).metadata_dict.get("sandbox-id") for n in (0, 1)]')
        self.assertEqual(2, len(set(boxes) - {None}), boxes)

    @unittest.skipUnless(WHOLE, "among the slow ones")
    def test_kill_of_the_flow(self):
        process = self.start_waits("daytona")
        self.until_running(process)
        process.kill()
        process.wait()
        self.assertTrue(self.gone())

    @unittest.skipUnless(WHOLE, "among the slow ones")
    def test_timeout(self):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                output = self.flow("waits.py", "run", env={"METAFLOW_SANDBOX_BACKEND": backend, "TIMEOUT": "20"})
                self.assertIn("was ended after its 20 s", output)
                self.assertIn("attempt 1", output)
        self.assertTrue(self.gone())

    @unittest.skipUnless(WHOLE, "among the slow ones")
    def test_a_lost_sandbox_is_a_failed_attempt(self):
        process = self.start_waits("e2b")
        box = self.until_running(process)
        subprocess.run([sandboxcase.COMMAND, "destroy", box], env=self.env, check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)
        output = process.communicate(timeout=60)[0]
        self.assertEqual(0, process.returncode, output)
        self.assertIn("attempt 1", output)


if __name__ == "__main__":
    if not os.path.exists(SERVE) or not os.path.exists(MODULE):
        print("1..0 # SKIP built without the server or the module of services")
        sys.exit(sandboxcase.SKIP)
    if subprocess.run([flowcase.find_python() or "false", "-c", "import boto3, moto.server"], check=False,
                      stdin=subprocess.DEVNULL, capture_output=True).returncode:
        print("1..0 # SKIP no moto: ./dev test installs it into .venv")
        sys.exit(sandboxcase.SKIP)
    flowcase.main()
