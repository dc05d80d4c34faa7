# SPDX-License-Identifier: Apache-2.0
"""Metadata of tasks in sandboxes, which can't reach the service."""
import json
import os
import subprocess
import tempfile
import time
import unittest

import flowcase
import service

RELAY = os.path.join(flowcase.BUILD, "src/metaflow/sandboxes-metadata")
OUR_SERVICE = os.path.join(flowcase.BUILD, "src/metaflow/service/metaflow-local-service")


class Relay(flowcase.FlowCase):
    def setUp(self):
        self.service = service.Service()
        self.addCleanup(self.service.close)
        self.service_env = {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": self.service.url,
                            "METAFLOW_SERVICE_AUTH_KEY": flowcase.CANARY}

    def test_all_that_a_task_registers_arrives_once(self):
        output = self.flow("readme.py", "run", env=self.service_env)
        fields = [record["field_name"] for record, _ in self.service.told("metadata", "remote")]
        for field in ("attempt", "attempt-done", "attempt_ok", "sandbox-id", "ds-type"):
            self.assertEqual(1, fields.count(field), f"{fields}\n{output}")
        artifacts = [record["name"] for record, _ in self.service.told("artifact", "remote")]
        self.assertIn("msg", artifacts)
        self.assertEqual(len(artifacts), len(set(artifacts)))
        self.assertTrue(self.service.told("heartbeat", "remote"))

    def test_the_key_goes_to_the_service_and_not_inside(self):
        self.flow("features.py", "run", "--alpha", "16", env=self.service_env)
        headers = [headers.get("x-api-key") for _, headers in self.service.told("metadata", "start")]
        self.assertEqual({flowcase.CANARY}, set(headers))
        with open(os.path.join(self.work, "seen.json"), encoding="utf-8") as file:
            self.assertNotIn(flowcase.CANARY, file.read())


class Replay(unittest.TestCase):
    """sandboxes-metadata alone: whatever became of one before, each record arrives, and once."""

    def setUp(self):
        self.service = service.Service()
        self.addCleanup(self.service.close)
        folder = tempfile.TemporaryDirectory(prefix="mf-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for number in range(20):
            self.record(f"sysmeta_field{number}_1.json", field_name=f"field{number}", value="x",
                        tags=[f"attempt_id:{number % 2}"])
            self.record(f"{number % 2}_artifact_name{number}.json", name=f"name{number}", attempt_id=number % 2)

    def record(self, file_name, **fields):
        with open(os.path.join(self.folder, file_name), "w", encoding="utf-8") as file:
            json.dump(fields, file)

    def start(self, **options):
        return subprocess.Popen([RELAY, self.folder, "Flow/1/start/2"], stdin=subprocess.DEVNULL, **options,
                                env={**os.environ, "METAFLOW_SANDBOX_RELAY_URL": self.service.url})

    def check_complete(self):
        self.assertEqual(0, self.start().wait(30))
        fields = [record["field_name"] for record, _ in self.service.told("metadata", "start")]
        names = [record["name"] for record, _ in self.service.told("artifact", "start")]
        self.assertEqual([sorted(f"field{n}" for n in range(20)), sorted(f"name{n}" for n in range(20))],
                         [sorted(fields), sorted(names)])

    def test_twice(self):
        self.check_complete()
        self.record("sysmeta_field0_2.json", field_name="field0", value="x", tags=["attempt_id:0"])
        self.check_complete()

    def test_killed_before_the_service_has_it_and_after(self):
        for kind in ("metadata", "artifact"):
            for kept in (False, True):
                with self.subTest(kind=kind, kept=kept):
                    self.service.posts.clear()
                    self.kill_at(kind, kept)
                    self.check_complete()

    def kill_at(self, kind, kept):
        """Ends a relay while the service handles a request, whose records it keeps or not."""
        def end(path):
            if path.endswith(kind):
                self.service.before_answer = lambda _: None
                process.kill()
                process.wait()
                if not kept:
                    raise ConnectionAbortedError
        self.service.before_answer = end
        process = self.start(stderr=subprocess.DEVNULL)
        self.assertEqual(-9, process.wait(30))
        end = time.monotonic() + 10
        while kept and not self.service.told(kind, "start"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_what_another_attempt_said_is_no_reason_to_be_silent(self):
        self.check_complete()
        self.record("sysmeta_field0_3.json", field_name="field0", value="x", tags=["attempt_id:7"])
        self.assertEqual(0, self.start().wait(30))
        self.assertEqual(21, len(self.service.told("metadata", "start")))


class OwnService(flowcase.FlowCase):
    def test_the_readme_as_it_is_written(self):
        if not os.access(OUR_SERVICE, os.X_OK):
            self.skipTest("metaflow-local-service is not built")
        self.lay_out()
        env = {**self.env, "METAFLOW_LOCAL_SERVICE_PORT": "0", "SANDBOXES_MICROVM_KERNEL": "/nowhere"}
        done = subprocess.run([OUR_SERVICE, "run", flowcase.PYTHON, "written.py", "run"],
                              cwd=self.work, env=env, stdin=subprocess.DEVNULL, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.addCleanup(subprocess.run, [OUR_SERVICE, "stop"], cwd=self.work, env=env, check=False,
                        stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertIn("hello from a local VM", done.stdout)
        self.assertIn("'microvm' can't be used", done.stdout)
        records = self.client('task = Flow("Demo").latest_run["remote"].task\n'
                              'out = [[m.name for m in task.metadata], task.data.msg, task.successful]')
        self.assertEqual(["hello from a local VM", True], records[1:])
        self.assertEqual(1, records[0].count("sandbox-id"), json.dumps(records))


if __name__ == "__main__":
    flowcase.main()
