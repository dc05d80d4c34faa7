#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metaflow with and without sandboxes, and with the extension from PyPI: a foreach of N tasks that do nothing.

    bench/metaflow.py [--python PYTHON] [--store local|s3] [--tasks 50] [--workers 16] [--rounds 3] [--peer PYTHON]
    bench/metaflow.py [--python PYTHON] [--rounds 3] --ends

PYTHON is an interpreter with Metaflow, for --store s3 with boto3 and moto too. --peer names one that has the PyPI
package metaflow-sandbox and boto3 as well; its steps then run through a backend that only starts a program, which
leaves what the extension itself costs (it refuses the local datastore, so this needs --store s3).

--ends tells instead how long sandboxes outlive their flow, by the way in which it ends.

The variants run in turns. Printed are minimum and median of wall time, of the processor time of all processes
started, and of the machine's busy time (so nothing else should run), with their ratios to plain; and what one launcher
costs (with GNU time, if there is one).
"""
import argparse
import contextlib
import ctypes
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PR_SET_CHILD_SUBREAPER = 36
FLOW = """
{first}
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


# The peer's backend: a directory and a program in it, no isolation.
TRIVIAL_FIRST = """
from metaflow_extensions.sandbox.plugins.backends import _BACKENDS
_BACKENDS["trivial"] = ("trivial", "Trivial")
"""
TRIVIAL = """
import os, shutil, subprocess, sys, tempfile
from metaflow_extensions.sandbox.plugins.backend import ExecResult, SandboxBackend

class Trivial(SandboxBackend):
    def create(self, config):
        self.env = {"PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin", **config.env}
        return tempfile.mkdtemp()

    def exec(self, sandbox_id, cmd, cwd="/", timeout=300):
        done = subprocess.run(cmd, cwd=sandbox_id, env=self.env, timeout=timeout, capture_output=True, text=True)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def upload(self, sandbox_id, local_path, remote_path):
        shutil.copy(local_path, remote_path)

    def download(self, sandbox_id, remote_path, local_path):
        shutil.copy(remote_path, local_path)

    def destroy(self, sandbox_id):
        shutil.rmtree(sandbox_id)
"""
SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


class Variant:
    def __init__(self, name, decorator, python, env, first=""):
        self.name, self.decorator, self.python, self.env, self.first = name, decorator, python, env, first


def busy_of_machine():
    """Seconds of all processors."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(text) for text in file.readline().split()[1:]]
    return (sum(fields[:3]) + fields[5] + fields[6]) / os.sysconf("SC_CLK_TCK")


def cpu_of_children():
    """Seconds of all that has ended. Sandboxes are nobody's children, so their keepers become ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(options, base, variant):
    work = tempfile.mkdtemp(dir=base)
    for name, text in ("fan.py", FLOW), ("trivial.py", TRIVIAL):
        with open(os.path.join(work, name), "w", encoding="utf-8") as file:
            file.write(text.format(tasks=options.tasks, decorator=variant.decorator, first=variant.first)
                       if name == "fan.py" else text)
    started = time.monotonic(), cpu_of_children(), busy_of_machine()
    with open(os.path.join(work, "out"), "w+", encoding="utf-8") as out:
        flow = subprocess.Popen([variant.python, "fan.py", "--no-pylint", "run", "--max-workers", str(options.workers),
                                 "--max-num-splits", str(options.tasks)], cwd=work, env=variant.env,
                                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        status = os.waitstatus_to_exitcode(os.waitpid(flow.pid, 0)[1])
        flow.returncode = status
        ended = time.monotonic()
        time.sleep(0.3)  # for what ends with it
        if status:
            out.seek(0)
            sys.exit(out.read())
    shutil.rmtree(work)
    return ended - started[0], cpu_of_children() - started[1], busy_of_machine() - started[2]


WRAPPER = """#!/bin/bash
TIMEFORMAT='%3U %3S'
{{ time command time -a -o '{peaks}' -f %M '{launcher}' "$@" 2>&3; }} 3>&2 2>>'{seconds}'
"""


def launcher_cost(options, base, env):
    """Processor time and peak memory of the launcher alone. Started by a shell: a child of ours would begin with
    our own peak."""
    wrapper, seconds, peaks = (os.path.join(base, name) for name in ("step", "seconds", "peaks"))
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(WRAPPER.format(launcher=env["METAFLOW_SANDBOX_LAUNCHER"], seconds=seconds, peaks=peaks))
    os.chmod(wrapper, 0o755)
    variant = Variant("", "@metaflow.sandbox", options.python, {**env, "METAFLOW_SANDBOX_LAUNCHER": wrapper})
    run(argparse.Namespace(**{**vars(options), "tasks": 20, "workers": 1}), base, variant)
    spent, peak = ([[float(text) for text in line.split()] for line in open(path, encoding="ascii")]
                   for path in (seconds, peaks))
    return statistics.mean(map(sum, spent)), statistics.median(row[0] for row in peak)


WAITS = """
import os, time
from metaflow import FlowSpec, sandbox, step

class Waits(FlowSpec):
    @sandbox
    @step
    def start(self):
        print("RUNNING", flush=True)
        time.sleep({seconds})
        {then}
        self.next(self.end)

    @step
    def end(self):
        pass

Waits()
"""


def launchers(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in file.read().split():
                with open(f"/proc/{child}/cmdline", "rb") as words:
                    if b"sandboxes-step" in words.read().split(b"\0")[0]:
                        yield int(child)


# Name, seconds that the step takes, what it does then, what is done meanwhile.
ENDS = (
    ("the step succeeds", 0, "pass", None),
    ("the step fails", 0, "os._exit(1)", None),
    ("Ctrl-C", 60, "pass", lambda flow: os.killpg(flow.pid, signal.SIGINT)),
    ("kill -9 of the flow", 60, "pass", lambda flow: flow.kill()),
    ("kill -9 of the launcher", 60, "pass", lambda flow: [os.kill(pid, signal.SIGKILL) for pid in launchers(flow.pid)]),
    ("kill -9 of both", 60, "pass", lambda flow: os.killpg(flow.pid, signal.SIGKILL)),
)


def outlived(variant, base, seconds, then, act):
    """Seconds from the end of the flow (or of the launcher, where that alone is killed) until no sandbox is left."""
    work = tempfile.mkdtemp(dir=base)
    with open(os.path.join(work, "waits.py"), "w", encoding="utf-8") as file:
        file.write(WAITS.format(seconds=seconds, then=then))
    boxes = os.path.join(work, "run", "sandboxes")
    os.mkdir(os.path.join(work, "run"), 0o700)
    flow = subprocess.Popen([variant.python, "waits.py", "--no-pylint", "run"], cwd=work, stdin=subprocess.DEVNULL,
                            env={**variant.env, "XDG_RUNTIME_DIR": os.path.join(work, "run")}, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, start_new_session=True)
    while b"RUNNING" not in flow.stdout.readline():
        pass
    if act:
        act(flow)
    else:
        flow.communicate()
    began = time.monotonic()
    while any(name.startswith("sb-") for name in os.listdir(boxes)):
        time.sleep(0.001)
    ended = time.monotonic()
    if act:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(flow.pid, signal.SIGKILL)
        flow.communicate()
    return ended - began


def show_ends(options, base, variant):
    for name, *way in ENDS:
        found = [outlived(variant, base, *way) * 1000 for _ in range(options.rounds)]
        print(f"{name:28}{min(found):8.0f}/{statistics.median(found):4.0f}/{max(found):4.0f} ms")


@contextlib.contextmanager
def storage(options):
    """Variables of Metaflow's datastore."""
    if options.store == "local":
        yield {}
        return
    with subprocess.Popen([options.python, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as server:
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        urllib.request.urlopen(urllib.request.Request(url + "/bucket", method="PUT")).close()
        yield {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/mf",
               "METAFLOW_S3_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
               "AWS_DEFAULT_REGION": "us-east-1"}
        server.stdin.close()


def variants(options, env):
    ours = {**env, "PYTHONPATH": os.path.join(TREE, "python"),
            "METAFLOW_SANDBOX_LAUNCHER": os.path.join(TREE, "build/src/metaflow/sandboxes-step")}
    yield Variant("plain", "", options.python, env)
    yield Variant("sandbox", "@metaflow.sandbox", options.python, ours)
    if options.peer:
        quiet = {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1"}  # all is there: its best case
        yield Variant("peer", f"@metaflow.sandbox(backend='trivial', env={quiet})", options.peer,
                      {**env, "METAFLOW_SANDBOX_STAGE_MICROMAMBA": "0"}, TRIVIAL_FIRST)


def ratio(columns, name, kind):
    return f"{kind(columns[name]) / kind(columns['plain']):.2f}"


def show(results):
    print(f"{'':8}" + "".join(f"{name:>16}{'ratio':>14}" for name in results))
    for index, what in enumerate(("wall s", "cpu s", "busy s")):
        columns = {name: [row[index] for row in rows] for name, rows in results.items()}
        print(f"{what:8}" + "".join(
            f"{min(c):9.2f}/{statistics.median(c):6.2f}"
            f"{ratio(columns, name, min):>8}/{ratio(columns, name, statistics.median)}" for name, c in columns.items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=os.path.join(TREE, ".venv/bin/python"))
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=("local", "s3"), default="local")
    parser.add_argument("--peer")
    parser.add_argument("--ends", action="store_true")
    options = parser.parse_args()
    if options.peer and options.store == "local":
        parser.error("--peer needs --store s3")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(prefix="mfbench-") as base, storage(options) as stored:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_", "PYTHON"))}
        env = {**keep, **stored, "HOME": base, "METAFLOW_USER": "bench"}
        every = list(variants(options, env))
        if options.ends:
            print("until no sandbox is left, minimum/median/maximum")
            show_ends(options, base, every[1])
            return
        for variant in every:  # caches
            run(argparse.Namespace(**{**vars(options), "tasks": 1}), base, variant)
        results = {variant.name: [] for variant in every}
        for _ in range(options.rounds):
            for variant in every:
                results[variant.name].append(run(options, base, variant))
        show(results)
        if not shutil.which("time"):
            return
        seconds, kib = launcher_cost(options, base, every[1].env)
        print(f"launcher {seconds * 1000:.1f} ms of processor, {kib / 1024:.1f} MiB peak, per task")


if __name__ == "__main__":
    main()
