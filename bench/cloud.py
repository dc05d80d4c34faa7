# SPDX-License-Identifier: Apache-2.0
"""Our client of E2B beside the official one, against the same server: python3 bench/cloud.py BUILD

The server is where E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY point, e.g. `sandboxes serve`. The official
client is the package e2b of the Python that runs this. Medians; the last lines are one whole process that
runs one command."""
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROUNDS, CONCURRENT = 20, 100
ONE = "from e2b import Sandbox; s = Sandbox.create(); s.commands.run('true'); s.kill()"


def timed(action):
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


def official():
    from e2b import Sandbox

    def first():
        box = Sandbox.create(timeout=60)
        box.commands.run("true")
        ends.append(box)

    ends = []
    first()
    firsts = [timed(first) for _ in range(ROUNDS)]
    for box in ends:
        box.kill()
    box = Sandbox.create(timeout=60)
    box.commands.run("true")
    execs = [timed(lambda: box.commands.run("true")) for _ in range(ROUNDS)]
    with ThreadPoolExecutor(CONCURRENT) as pool:
        many = [timed(lambda: list(pool.map(lambda _: box.commands.run("true"), range(CONCURRENT))))
                for _ in range(5)]
    box.kill()
    print(f"e2b: create and first command {statistics.median(firsts):.2f} ms, a command "
          f"{statistics.median(execs):.2f} ms, {CONCURRENT} commands at once {statistics.median(many):.1f} ms")


def process(build, name, argv):
    times = [timed(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)) for _ in range(7)]
    peak = subprocess.run([os.path.join(build, "bench/bench_cloud"), "--peak", *argv], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()
    print(f"{name}: one process with one command {statistics.median(times):.1f} ms, {peak} MB")


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    ours = [os.path.join(build, "src/cli/sandboxes"), "run", "-p", "e2b", "--", "true"]
    theirs = [sys.executable, "-c", ONE]
    subprocess.run([os.path.join(build, "bench/bench_cloud"), "e2b", str(ROUNDS), str(CONCURRENT)], check=True)
    official()
    for name, argv in (("sandboxes", ours), ("e2b", theirs)):
        process(build, name, argv)


if __name__ == "__main__":
    main()
