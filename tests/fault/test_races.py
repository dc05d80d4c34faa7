# SPDX-License-Identifier: Apache-2.0
"""Several processes at the same sandboxes at the same time."""
import unittest

import sandboxcase
from sandboxcase import SandboxCase


class Races(SandboxCase):
    def together(self, count, *arguments):
        """Starts the same command so many times; [(status, stdout, stderr)]."""
        running = [self.start(*arguments) for _ in range(count)]
        ended = [process.communicate(timeout=60) for process in running]
        return [(process.returncode, out.decode(), err.decode())
                for process, (out, err) in zip(running, ended)]

    def test_one_label_one_sandbox(self):
        for attempt in range(5):
            label = f"race={attempt}"
            outcomes = self.together(8, "run", "--network", "none", "--reuse", "--keep", "-l", label,
                                     "--", "sh", "-c", "echo visit >> visits; cat /etc/hostname")
            self.assertEqual({0}, {status for status, _, _ in outcomes}, outcomes)
            boxes = [box for box in self.listed() if dict(box["labels"]).get("race") == str(attempt)]
            self.assertEqual(1, len(boxes), boxes)
            visits = self.sandboxes("exec", boxes[0]["id"], "wc -l < visits")[1]
            self.assertEqual("8", visits.strip())
            self.sandboxes("destroy", boxes[0]["id"])

    def test_one_is_destroyed_once(self):
        for _ in range(5):
            name = self.create("--network", "none")
            outcomes = self.together(6, "destroy", name)
            self.assertIn(0, [status for status, _, _ in outcomes], outcomes)
            self.assertEqual([], self.listed())

    def test_list_while_others_come_and_go(self):
        running = [self.start("run", "--network", "none", "--", "true") for _ in range(12)]
        for _ in range(20):
            self.listed()
        for process in running:
            _, err = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, err.decode())
        self.assertEqual([], self.listed())

    def test_exec_while_it_is_destroyed(self):
        name = self.create("--network", "none")
        running = [self.start("exec", name, "sleep", "60") for _ in range(4)]
        self.sandboxes("exec", name, "true")
        self.sandboxes("destroy", name)
        for process in running:
            _, err = process.communicate(timeout=20)
            self.assertNotEqual(0, process.returncode, err.decode())

    def test_first_users_of_a_fresh_cache(self):
        outcomes = self.together(6, "run", "--network", "none", "--", "echo", "hello")
        self.assertEqual([(0, "hello\n", "")] * 6, outcomes)


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
