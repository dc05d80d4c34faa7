# SPDX-License-Identifier: Apache-2.0
"""However a flow, its launcher or its sandbox ends: exit codes and retries are as without a sandbox, and
nothing is left of it."""
import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import flowcase
import leaks
import sandboxcase


# Ends the first attempt's launcher after DELAY seconds.
IMPATIENT = """#!/bin/sh
case "$*" in *"--attempt 0"*) ;; *) exec "$REAL" "$@" ;; esac
"$REAL" "$@" &
sleep "$DELAY"
kill -9 $!
wait $!
"""


class Ends(flowcase.FlowCase):
    def until_running(self, process):
        """Lines until the step runs; the id of its sandbox."""
        for line in process.stdout:
            found = re.search(r"RUNNING (\S+)", line)
            if found:
                return found.group(1)
        raise AssertionError("the step did not start")

    def gone(self, patience=5.0):
        """Whether the last sandbox and all that was kept for it has gone."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            listed = subprocess.run([sandboxcase.COMMAND, "list", "--json"], env=self.env, text=True,
                                    stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
            if "metaflow.task" not in listed:
                return True
            time.sleep(0.05)
        return False

    def launcher(self, process):
        return next(pid for pid, text in leaks.descendants(process.pid).items() if "sandboxes-step" in text)

    def start_and_wait(self, **options):
        process = self.start("waits.py", "run", **options)
        self.addCleanup(process.stdout.close)
        self.until_running(process)
        return process

    def test_kill_of_the_flow(self):
        process = self.start_and_wait()
        process.kill()
        process.wait()
        self.assertTrue(self.gone())
        self.flow("readme.py", "run")
        self.assertEqual([], self.stages(), "the next task sweeps")
        self.assertEqual([], [name for name in os.listdir(self.env["TMPDIR"])
                              if name.startswith("metaflow-sandbox-")], "the next run sweeps")

    def test_interrupt(self):
        process = self.start_and_wait(start_new_session=True)
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=30)[0]
        self.assertNotEqual(0, process.returncode)
        self.assertIn("interrupted", output.lower())
        self.assertTrue(self.gone())
        self.assertEqual([], self.stages())

    def test_kill_of_the_launcher_is_a_failed_attempt(self):
        process = self.start_and_wait()
        os.kill(self.launcher(process), signal.SIGKILL)
        output = process.communicate(timeout=60)[0]
        self.assertEqual(0, process.returncode, output)
        self.assertIn("attempt 1", output)
        self.assertTrue(self.gone())
        self.assertEqual([], self.stages())
        told = self.client('path = Flow("Waits").latest_run["start"].task.pathspec\n'
                           'out = [Task(path, attempt=n).metadata_dict.get("sandbox-id") for n in (0, 1)]')
        self.assertEqual(2, len(set(told) - {None}), f"what the killed one's task registered is kept: {told}")

    def test_kill_of_the_launcher_before_the_step_runs(self):
        """While it prepares, while it makes the sandbox, while the interpreter starts."""
        launcher = os.path.join(self.base, "impatient")
        with open(launcher, "w", encoding="utf-8") as file:
            file.write(IMPATIENT)
        os.chmod(launcher, 0o755)
        self.lay_out()

        def run(delay):
            return self.flow("waits.py", "run", env={"METAFLOW_SANDBOX_LAUNCHER": launcher, "DELAY": delay,
                                                     "REAL": self.env["METAFLOW_SANDBOX_LAUNCHER"]})
        with ThreadPoolExecutor(3) as pool:
            outputs = list(pool.map(run, ["0.002", "0.008", "0.1"]))
        for output in outputs:
            self.assertIn("attempt 1", output)
        self.assertTrue(self.gone())
        self.flow("readme.py", "run")
        self.assertEqual([], self.stages(), "the next task sweeps")

    def test_a_lost_sandbox_is_a_failed_attempt(self):
        process = self.start("waits.py", "run")
        box = self.until_running(process)
        subprocess.run([sandboxcase.COMMAND, "destroy", box], env=self.env, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
        output = process.communicate(timeout=60)[0]
        self.assertEqual(0, process.returncode, output)
        self.assertIn("attempt 1", output)

    def box_before_the_step(self, retries):
        """A step whose interpreter starts late, and its sandbox, which has said nothing yet."""
        path = os.path.join(self.work, "late")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nsleep 3\nexec {flowcase.PYTHON} "$@"\n')
        process = self.start("refused.py", "run", env={
            "DECORATE": "sandbox(executable='/tmp/late')", "METAFLOW_SANDBOX_MAX_INFRA_RETRIES": retries,
            "METAFLOW_SANDBOX_UPLOADS": json.dumps([{"local": path, "remote": "/tmp/late", "mode": "0755"}])})
        self.addCleanup(process.stdout.close)
        for _ in range(600):
            boxes = self.boxes()
            if boxes:
                return process, boxes[0]["id"]
            time.sleep(0.02)
        raise AssertionError("no sandbox was made")

    def boxes(self):
        return json.loads(subprocess.run([sandboxcase.COMMAND, "list", "--json"], env=self.env, check=True,
                                         stdin=subprocess.DEVNULL, capture_output=True).stdout)

    def test_a_sandbox_that_is_lost_before_the_step_began_is_made_again(self):
        for retries, told in (("1", "trying again with a new sandbox"), ("0", "Task failed")):
            with self.subTest(retries=retries):
                process, box = self.box_before_the_step(retries)
                subprocess.run([sandboxcase.COMMAND, "destroy", box], env=self.env, check=True,
                               stdin=subprocess.DEVNULL, capture_output=True)
                output = process.communicate(timeout=60)[0]
                self.assertIn(told, output)
                self.assertEqual(retries == "1", process.returncode == 0, output)
                self.assertEqual(1, output.count("Task is starting") - output.count("ran\n"), output)

    def test_debug_mode_keeps_the_sandbox_and_masks_secrets(self):
        directory = os.path.join(self.work, "debug")
        output = self.flow("refused.py", "run", env={
            "DECORATE": f"sandbox(env={{'PASSWORD': '{flowcase.CANARY}'}})", "METAFLOW_SANDBOX_DEBUG": directory})
        dumps = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                dumps[name] = file.read()
            self.assertEqual(0o600, os.stat(os.path.join(directory, name)).st_mode & 0o777)
        kept = self.boxes()
        self.assertEqual(1, len(kept), kept)
        self.assertIn(f"sandboxes destroy {kept[0]['id']}", output)
        subprocess.run([sandboxcase.COMMAND, "destroy", kept[0]["id"]], env=self.env, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(["env.json", "sh"], sorted(name.partition(".")[2] for name in dumps))
        self.assertNotIn(flowcase.CANARY, str(dumps))
        script, variables = (next(text for name, text in dumps.items() if name.endswith(end)) for end in (".sh", ".json"))
        self.assertIn("refused.py", script)
        self.assertEqual(["***", "tester"], [json.loads(variables)[name] for name in ("PASSWORD", "METAFLOW_USER")])

    def test_exit_codes(self):
        for mode, attempts, wanted in (("segv", 2, "segmentation fault"), ("no-retry", 1, "Task failed")):
            with self.subTest(mode=mode):
                output = self.flow("waits.py", "run", "--mode", mode, status=None)
                self.assertIn(wanted, output)
                self.assertEqual(attempts, output.count("RUNNING"), output)

    def test_metadata_and_logs_of_a_running_task(self):
        process = self.start_and_wait()
        facts, end = [], time.monotonic() + 10
        while facts != ["0", True] and time.monotonic() < end:
            facts = self.client('task = Flow("Waits").latest_run["start"].task\n'
                                'out = [task.metadata_dict.get("attempt"), "RUNNING" in task.stdout]')
        process.kill()
        process.wait()
        self.assertEqual(["0", True], facts)
        self.assertTrue(self.gone())


if __name__ == "__main__":
    flowcase.main()
