# SPDX-License-Identifier: Apache-2.0
"""A hostile step: what it can read, what of its writing reaches the datastore."""
import os
import stat

import flowcase


class Hostile(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.secret = os.path.join(cls.home, "secret")
        with open(cls.secret, "w", encoding="utf-8") as file:
            file.write(flowcase.CANARY)
        cls.output = cls.flow("hostile.py", "run", "--secret", cls.secret)
        cls.got, cls.path = cls.client('run = Flow("Hostile").latest_run; task = run["bad"].task\n'
                                       'out = [task.data.got, task.pathspec]')
        cls.task = os.path.join(cls.work, ".metaflow", cls.path)

    def test_nothing_of_the_user_is_read(self):
        self.assertEqual(("FileNotFoundError", []),
                         (self.got["home"], self.got["environment of others"]))

    def test_nothing_of_others_is_written(self):
        for place in ("artifact", "other task", "run", "interpreter"):
            self.assertIn(self.got[place], ("OSError", "PermissionError"), place)

    def test_artifacts_of_others_are_as_they_were(self):
        self.assertIn("precious is precious", self.output)
        self.assertEqual("precious", self.client('out = Flow("Hostile").latest_run["start"].task.data.precious'))

    def test_only_its_own_files_are_taken_over(self):
        root = os.path.join(self.work, ".metaflow")
        self.assertFalse(os.path.exists(os.path.join(root, "Other")))
        self.assertFalse(os.path.exists(os.path.join(root, "mf.cards/Hostile/runs/1")))
        for name in ("0.link", "0.fifo", "0.task_stdout.log2", "1.data.json", "_meta/up"):
            self.assertFalse(os.path.lexists(os.path.join(self.task, name)), name)
        with open(os.path.join(self.task, "_meta/_self.json"), encoding="utf-8") as file:
            self.assertNotEqual("hostile", file.read())
        with open(os.path.join(self.task, "0.runtime_stdout.log"), encoding="utf-8") as file:
            self.assertNotEqual("hostile", file.read())

    def test_what_is_taken_over_is_no_program(self):
        mode = os.stat(os.path.join(self.task, "0.hard")).st_mode
        self.assertEqual(0, mode & (stat.S_ISUID | stat.S_ISGID | 0o111))

    def test_blobs_that_lie_fail_the_task(self):
        for mode in ("false-blob", "two-members", "false-meta", "link"):
            with self.subTest(mode=mode):
                output = self.flow("hostile.py", "run", "--secret", self.secret, "--mode", mode, status=None)
                self.assertIn("with other contents than its name says", output)
                self.assertNotIn("precious is", output)
                self.assertEqual([], self.stages())


if __name__ == "__main__":
    flowcase.main()
