# SPDX-License-Identifier: Apache-2.0
"""However a flow, its launcher or its sandbox ends: exit codes and retries are as without a sandbox, and
nothing is left of it."""
import os
import re
import signal
import subprocess
import time

import flowcase
import leaks
import sandboxcase


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

    def test_a_lost_sandbox_is_a_failed_attempt(self):
        process = self.start("waits.py", "run")
        box = self.until_running(process)
        subprocess.run([sandboxcase.COMMAND, "destroy", box], env=self.env, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
        output = process.communicate(timeout=60)[0]
        self.assertEqual(0, process.returncode, output)
        self.assertIn("attempt 1", output)

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
