# SPDX-License-Identifier: Apache-2.0
"""A step under a kernel of its own: its files by mounts, its results in the datastore."""
import os

import flowcase

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
KERNEL = os.environ.get("SANDBOXES_MICROVM_KERNEL") or os.path.join(CACHE, "sandboxes/kernel/vmlinux")
QEMU = "/usr/bin/qemu-system-x86_64"


class Guest(flowcase.FlowCase):
    def test_a_step(self):
        if not os.access(KERNEL, os.R_OK) or not os.access(QEMU, os.X_OK):
            self.skipTest("there is no kernel for guests, or no QEMU")
        self.lay_out()
        output = self.flow("guest.py", "run", env={"SANDBOXES_MICROVM_KERNEL": KERNEL})
        self.assertNotIn("can't be used", output)
        kernel, logged, owners = self.client(
            'import os\n'
            'task = Flow("Guest").latest_run["start"].task\n'
            'root = os.path.join(os.getcwd(), ".metaflow/Guest")\n'
            'owners = {os.stat(os.path.join(at, name)).st_uid for at, _, names in os.walk(root) for name in names}\n'
            'out = [task.data.kernel, task.stdout, list(owners)]')
        self.assertNotEqual(os.uname().release, kernel)
        self.assertIn("printed under " + kernel, logged)
        self.assertEqual([os.getuid()], owners)


if __name__ == "__main__":
    flowcase.main()
