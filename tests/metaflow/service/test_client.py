# SPDX-License-Identifier: Apache-2.0
"""Real Metaflow with the service: flows run, and its client gets the same answers as from local mode."""
import json
import os
import subprocess
import time
import unittest

import servicecase
from servicecase import FLOWS, PROGRAM, ServiceCase, skip

PYTHON = None


class Metaflow(ServiceCase):
    def python(self, *arguments, service=True, check=0, **more):
        before = [PROGRAM, "run"] if service else []
        env = {**self.env, **more}
        if not service:
            env["METAFLOW_DEFAULT_METADATA"] = "local"
        done = subprocess.run([*before, PYTHON, *arguments], cwd=self.project, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=200, check=False)
        self.assertEqual(check, done.returncode, (done.stdout + done.stderr)[-4000:].decode(errors="replace"))
        return done.stdout.decode()

    def flow(self, *arguments, **more):
        return self.python(os.path.join(FLOWS, "wide.py"), "--no-pylint", *arguments, **more)

    def tell(self, **more):
        return json.loads(self.python(os.path.join(FLOWS, "tell.py"), **more))

    def same(self):
        here, local = self.tell(), self.tell(service=False)
        self.assertEqual(set(here), set(local))
        for key, value in here.items():
            self.assertEqual(local[key], value, key)
        return here

    def test_answers_are_those_of_local_mode(self):
        self.command("start", check=0)
        self.flow("run", "--tag", "one")
        first = self.same()
        run = first["runs"][first["latest"]]
        self.assertTrue(run["ok"] and run["finished"])
        self.assertEqual(first["latest"], first["latest_ok"])
        self.assertEqual([first["latest"]], first["tagged"])
        retried = [task for task in run["steps"]["work"]["tasks"].values() if task["attempt"] == 1]
        self.assertEqual(1, len(retried))
        self.assertEqual(False, retried[0]["first"][0])
        if "parents" in retried[0]:
            joined = next(iter(run["steps"]["join"]["tasks"].values()))
            self.assertEqual(sorted(task["pathspec"] for task in run["steps"]["work"]["tasks"].values()), joined["parents"])
        # local mode adds a run and changes tags while the service runs, and the other way round
        self.flow("run", "--alpha", "1", service=False)
        path = f"Wide/{first['latest']}"
        for service, tag in ((True, "by-service"), (False, "by-local")):
            self.python("-c", f"from metaflow import Run, namespace; namespace(None); r = Run({path!r}); r.add_tag({tag!r});"
                        f"assert {tag!r} in r.user_tags; r.remove_tag('one')", service=service)
        self.flow("tag", "add", "--run-id", first["latest"], "by-command")
        second = self.same()
        self.assertEqual(2, len(second["runs"]))
        tags = second["runs"][first["latest"]]["user_tags"]
        self.assertEqual(["by-command", "by-local", "by-service"], tags)
        self.assertEqual(tags, second["runs"][first["latest"]]["steps"]["end"]["user_tags"])


class Resumed(Metaflow):
    test_answers_are_those_of_local_mode = None

    def test_resume_and_failures(self):
        self.flow("run", "--alpha", "2", check=0)
        self.flow("resume", "join")
        told = self.same()
        self.assertEqual(2, len(told["runs"]))
        self.assertTrue(all(run["ok"] for run in told["runs"].values()))
        cloned = [task for run in told["runs"].values() for task in run["steps"]["work"]["tasks"].values()
                  if any(entry[0] == "origin-run-id" and entry[1] != "None" for entry in task["metadata"])]
        self.assertEqual(2, len(cloned))

    def test_a_long_step_keeps_its_service(self):
        with open(os.path.join(self.project, "slow.py"), "w", encoding="ascii") as file:
            file.write("from metaflow import FlowSpec, step\nimport time\n"
                       "class Slow(FlowSpec):\n"
                       "    @step\n    def start(self):\n        time.sleep(3)\n        self.next(self.end)\n"
                       "    @step\n    def end(self):\n        pass\n"
                       "Slow()\n")
        began = time.monotonic()
        done = self.command("run", "--idle-timeout", "1", PYTHON, "slow.py", "--no-pylint", "run")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertGreater(time.monotonic() - began, 3)


def main():
    global PYTHON  # noqa: PLW0603
    PYTHON = servicecase.find_python()
    if not PYTHON or not os.access(PROGRAM, os.X_OK):
        skip("the service is not built, or no interpreter with Metaflow: ./dev test installs one into .venv")
    unittest.main()


if __name__ == "__main__":
    main()
