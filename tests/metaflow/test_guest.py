# SPDX-License-Identifier: Apache-2.0
"""Steps of @boxlite under a kernel of their own: files by mounts, results in the datastore, hostile steps, kills."""
import os
import subprocess
import sys
import unittest

import flowcase
import sandboxcase
import test_ends
import test_hostile
from test_metadata import OUR_SERVICE

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
KERNEL = os.environ.get("SANDBOXES_MICROVM_KERNEL") or os.path.join(CACHE, "sandboxes/kernel/vmlinux")
QEMU = "/usr/bin/qemu-system-x86_64"
MACHINE = {"SANDBOXES_MICROVM_KERNEL": KERNEL, "METAFLOW_SANDBOX_BACKEND": "boxlite"}
FACTS = """
task = Flow("Guest").latest_run["start"].task
root = os.path.join(os.getcwd(), ".metaflow/Guest")
owners = {os.stat(os.path.join(at, name)).st_uid for at, _, names in os.walk(root) for name in names}
out = [task.data.kernel, task.stdout, list(owners)]
"""


class Guest(flowcase.FlowCase):
    MORE = MACHINE

    def test_a_step(self):
        output = self.flow("guest.py", "run")
        self.assertNotIn("can't be used", output)
        kernel, logged, owners = self.client("import os" + FACTS)
        self.assertNotEqual(os.uname().release, kernel)
        self.assertIn("printed under " + kernel, logged)
        self.assertEqual([os.getuid()], owners)

    @unittest.skipUnless(os.access(OUR_SERVICE, os.X_OK), "metaflow-local-service is not built")
    def test_the_readme_as_it_is_written(self):
        self.lay_out()
        done = subprocess.run([OUR_SERVICE, "run", flowcase.PYTHON, "written.py", "run"], cwd=self.work, env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertNotIn("can't be used", done.stdout + done.stderr)
        self.assertEqual(["hello from a local VM", True, "boxlite"], self.client(
            'task = Flow("Demo").latest_run["remote"].task\n'
            'out = [task.data.msg, task.successful, task.metadata_dict["sandbox-backend"]]'))


class Hostile(test_hostile.Hostile):
    MORE = MACHINE


class Ends(test_ends.Ends):
    MORE = MACHINE


KILLS = ("kill_of_the_flow", "interrupt", "kill_of_the_launcher_is_a_failed_attempt", "a_lost_sandbox_is_a_failed_attempt")


def load_tests(loader, _, __):
    tests = [loader.loadTestsFromTestCase(case) for case in (Guest, Hostile)]
    return unittest.TestSuite([*tests, *(Ends("test_" + name) for name in KILLS)])


if __name__ == "__main__":
    if not os.access(KERNEL, os.R_OK) or not os.access(QEMU, os.X_OK):
        print("1..0 # SKIP no kernel for guests, or no QEMU: sandboxes microvm setup")
        sys.exit(sandboxcase.SKIP)
    flowcase.main()
