# SPDX-License-Identifier: Apache-2.0
"""Kills every process of a sandbox's life at its system calls, or lets these calls fail, one at a time.

usage: test_tamper.py TAMPER kill|fail STRIDE TEST.... Whatever is hit: nothing hangs, what stays behind is
removed by the next command, and the next sandbox works.
"""
import errno
import os
import subprocess
import sys
import unittest
import zlib

import leaks
import sandboxcase
from sandboxcase import COMMAND, SandboxCase

TAMPER, MODE, STRIDE = "", "", 1
# The life of a sandbox that ends with its maker, and of one that does not.
SCENARIOS = {
    "run": 'exec "$0" run --image "$1" --network none -- true',
    "life": '"$0" create --image "$1" -l life=1 >id && "$0" exec "$(cat id)" true && '
            '"$0" destroy "$(cat id)"',
    "fork": '"$0" create --image "$1" >id && "$0" fork --ttl 2s "$(cat id)" >two && "$0" snapshot "$(cat id)" kept && '
            '"$0" destroy "$(cat two)" && "$0" destroy "$(cat id)"',
}
ERRORS = (errno.ENOMEM, errno.EPERM)
SHELL, OURS = "sh", "sandboxes"


class TamperCase(SandboxCase):
    def tamper(self, *arguments, scenario):
        """(exit status, what was hit, stuck processes) of one run under tamper."""
        report = os.path.join(self.work, "report")
        env = dict(self.env, **({} if scenario == "run" else {"TAMPER_DETACHED": "1"}))
        done = subprocess.run(
            [TAMPER, arguments[0], report, *map(str, arguments[1:]), "sh", "-c", SCENARIOS[scenario],
             COMMAND, "host"], env=env, cwd=self.work, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        with open(report, encoding="utf-8") as file:
            lines = file.read().splitlines()
        hit = next((line.split(None, 2)[1:] for line in lines if line.startswith("HIT")), None)
        stuck = [line for line in lines if line.startswith("STUCK")]
        return done, hit, stuck, lines

    def processes(self, scenario):
        """{way: number of calls} of an undisturbed run."""
        self.sandboxes("run", "--network", "none", "--", "true")  # the image is made, once
        done, _, stuck, lines = self.tamper("list", scenario=scenario)
        self.assertEqual((0, []), (done.returncode, stuck), done.stdout.decode(errors="replace"))
        found = {}
        for line in lines:
            way, calls, *name = line.split()
            found[way] = (int(calls), " ".join(name))
        return found

    def recover(self, what, must_be_gone):
        """Nothing is left after the next command has swept, and a new sandbox works."""
        if not must_be_gone:
            self.sandboxes("destroy", "--all", "--yes", check=False)
        self.sandboxes("list")
        left = self.leftovers(patience=3.0)
        if left:
            leaks.kill_descendants()
        self.assertEqual([], left, what)

    def disturb(self, scenario, way, number, name, error):
        arguments = [MODE, way, number] + ([error] if MODE == "fail" else [])
        done, hit, stuck, _ = self.tamper(*arguments, scenario=scenario)
        what = (f"{scenario}: {MODE} {way} ({name}) at call {number} "
                f"(system call and program: {hit}, error {error})")
        text = done.stdout.decode(errors="replace")
        if not (MODE == "fail" and hit and hit[1] == SHELL):  # that one is not ours, and may hang
            self.assertEqual([], stuck, f"{what}: hangs: {text}")
        if MODE == "fail" and done.returncode != 0 and way == "0" and hit and OURS in hit[1]:
            self.assertTrue(text, f"{what}: failed without a word")
        if hit:
            self.recover(what, scenario == "run")

    def every_process(self, scenario):
        problems = 0
        for way, (calls, name) in self.processes(scenario).items():
            begin = zlib.crc32(f"{way} {os.geteuid()}".encode()) % STRIDE  # root's sample is not others'
            for number in range(1 + begin, calls + 1, STRIDE):
                for error in ERRORS if MODE == "fail" else (0,):
                    try:
                        self.disturb(scenario, way, number, name, error)
                    except AssertionError as problem:
                        problems += 1
                        print(f"# {problem}", flush=True)
                        self.watch = leaks.Watch(self.watch.directories)  # told once
                        self.assertLess(problems, 10, "too many problems")
        self.assertEqual(0, problems, "see above")
        self.sandboxes("run", "--network", "none", "--", "true")


class Tamper(TamperCase):
    def test_tied_sandbox(self):
        self.every_process("run")

    def test_detached_sandbox(self):
        self.every_process("life")


class Forked(TamperCase):
    def recover(self, what, must_be_gone):
        super().recover(what, must_be_gone)
        self.sandboxes("image", "rm", "kept", check=False)
        self.sandboxes("image", "prune")
        self.assertEqual([], os.listdir(os.path.join(self.cache, "sandboxes/images/deltas")), what)

    def test_forked_sandbox(self):
        self.every_process("fork")


if __name__ == "__main__":
    sandboxcase.require_command()
    TAMPER, MODE, STRIDE = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
