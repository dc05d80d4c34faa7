# SPDX-License-Identifier: Apache-2.0
"""Metadata of tasks in sandboxes, which can't reach the service."""
import json
import os
import subprocess

import flowcase
import service

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


class OwnService(flowcase.FlowCase):
    def test_the_readme_as_it_is_written(self):
        if not os.access(OUR_SERVICE, os.X_OK):
            self.skipTest("metaflow-local-service is not built")
        self.lay_out()
        env = {**self.env, "METAFLOW_LOCAL_SERVICE_PORT": "0"}
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
