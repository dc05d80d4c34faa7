#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metaflow with and without sandboxes: a foreach of N tasks that do nothing, local datastore.

    bench/metaflow.py [--python PYTHON-WITH-METAFLOW] [--tasks 50] [--workers 16] [--rounds 3]

Both variants run in turns; printed are minimum and median of wall time and of the machine's busy time (so nothing
else should run), their ratios, and what one launcher costs (with GNU time, if there is one).
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOW = """
import metaflow
from metaflow import FlowSpec, step

class Fan(FlowSpec):
    @step
    def start(self):
        self.items = list(range({tasks}))
        self.next(self.each, foreach="items")

    {decorator}
    @step
    def each(self):
        self.out = self.input
        self.next(self.joined)

    @step
    def joined(self, inputs):
        self.total = sum(one.out for one in inputs)
        self.next(self.end)

    @step
    def end(self):
        assert self.total == sum(range({tasks}))

if __name__ == "__main__":
    Fan()
"""


def cpu_of_machine():
    """Busy seconds of all processors: sandboxes are nobody's children."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(text) for text in file.readline().split()[1:]]
    return (sum(fields[:3]) + fields[5] + fields[6]) / os.sysconf("SC_CLK_TCK")


def run(options, base, decorator, env):
    work = tempfile.mkdtemp(dir=base)
    with open(os.path.join(work, "fan.py"), "w", encoding="utf-8") as file:
        file.write(FLOW.format(tasks=options.tasks, decorator=decorator))
    wall, cpu = time.monotonic(), cpu_of_machine()
    done = subprocess.run([options.python, "fan.py", "--no-pylint", "run", "--max-workers",
                           str(options.workers), "--max-num-splits", str(options.tasks)], cwd=work, env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    result = time.monotonic() - wall, cpu_of_machine() - cpu
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    shutil.rmtree(work)
    return result


def launcher_cost(options, base, env):
    """Processor time and peak memory of the launcher alone. Started by a shell: a child of ours would begin with
    our own peak."""
    wrapper, log = os.path.join(base, "step"), os.path.join(base, "cost")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec time -a -o '%s' -f '%%U %%S %%M' '%s' \"$@\"\n"
                   % (log, env["METAFLOW_SANDBOX_LAUNCHER"]))
    os.chmod(wrapper, 0o755)
    run(argparse.Namespace(**{**vars(options), "tasks": 20, "workers": 1}), base, "@metaflow.sandbox",
        {**env, "METAFLOW_SANDBOX_LAUNCHER": wrapper})
    with open(log, encoding="utf-8") as file:
        rows = [tuple(map(float, line.split())) for line in file]
    return statistics.mean(row[0] + row[1] for row in rows), statistics.median(row[2] for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=os.path.join(TREE, ".venv/bin/python"))
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mfbench-") as base:
        env = {**os.environ, "PYTHONPATH": os.path.join(TREE, "python"), "HOME": base, "METAFLOW_USER": "bench",
               "METAFLOW_SANDBOX_LAUNCHER": os.path.join(TREE, "build/src/metaflow/sandboxes-step")}
        run(argparse.Namespace(**{**vars(options), "tasks": 1}), base, "@metaflow.sandbox", env)  # caches
        variants = {"plain": "", "sandbox": "@metaflow.sandbox"}
        results = {name: [] for name in variants}
        for _ in range(options.rounds):
            for name, decorator in variants.items():
                results[name].append(run(options, base, decorator, env))
        for index, what in enumerate(("wall s", "cpu s")):
            columns = {name: [row[index] for row in rows] for name, rows in results.items()}
            print(f"{what:8}" + "  ".join(f"{name} {min(c):.2f}/{statistics.median(c):.2f}"
                                          for name, c in columns.items()) +
                  f"  ratio {min(columns['sandbox']) / min(columns['plain']):.2f}/"
                  f"{statistics.median(columns['sandbox']) / statistics.median(columns['plain']):.2f}")
        if not shutil.which("time"):
            return
        seconds, kib = launcher_cost(options, base, env)
        print(f"launcher {seconds * 1000:.1f} ms of processor, {kib / 1024:.1f} MiB peak, per task")


if __name__ == "__main__":
    main()
