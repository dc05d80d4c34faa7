#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metadata service measured: start, requests, memory, lists of runs.

    bench/metaflow_service.py [--peer PATH/TO/metaflow-local-service] [--python PYTHON-WITH-METAFLOW] [--dir DIR]

The peer is the tool of the same name from PyPI; it gets the same work. Requests a second are those
that one core would carry: requests divided by the service's processor time.

Projects are made in DIR and removed at the end: each new record is a file, and a file costs what its file system makes
it cost. On ext4 without a journal, that is up to twenty times as much for the five minutes after many were removed.
"""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = os.path.join(TREE, "build/src/metaflow/service/metaflow-local-service")
TASKS = 10000
BASE = None  # where everything is made
EACH = 1000  # records go to that many tasks in turn
RECORDS = 1, 8
SELF = {"user_name": "u", "tags": ["a", "b"], "system_tags": ["user:u", "runtime:dev", "metaflow_version:2.19", "python_version:3.11"]}


class Service:
    def __init__(self, program, project):
        self.program = program
        self.home = tempfile.mkdtemp(prefix="mfs-home-")
        self.env = {**os.environ, "HOME": self.home, "METAFLOW_USER": "u"}
        self.project = project
        begin = time.perf_counter()
        process = subprocess.Popen([program, "start", "--metaflow-root", project, "--port", str(free_port())], env=self.env,
                                   stdout=subprocess.PIPE)
        line = process.stdout.readline().decode()
        self.url = line.rsplit("url=", 1)[1].strip()
        urllib.request.urlopen(self.url + "/ping").read()
        self.first_answer = time.perf_counter() - begin
        process.communicate()
        self.pid = int(line.split("pid=")[1].split()[0])
        self.port = int(self.url.rsplit(":", 1)[1])

    def cpu(self):
        """Seconds, to the nanosecond: clock_getcpuclockid(3) of another process."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory(self, field="VmRSS"):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(file.read().split(field + ":")[1].split()[0]) / 1024

    def stop(self):
        subprocess.run([self.program, "stop"], env=self.env, stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def get(self, path):
        begin = time.perf_counter()
        with urllib.request.urlopen(self.url + path) as answer:
            value = json.load(answer)
        return value, time.perf_counter() - begin

    def rate(self, method, path, body, count):
        """Requests a second of one core."""
        data = json.dumps(body).encode() if body is not None else b""  # NUMBER keeps its size
        request = (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            before = self.cpu()
            for number in range(count):
                connection.sendall(request.replace(b"NUMBER", b"%06d" % number)
                                   .replace(b"/tasks/EACH/", b"/tasks/%d/" % (number % EACH + 1)))
                read_answer(connection)
        spent = self.cpu() - before
        return count / spent if spent else float("inf")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    size = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < size:
        body += connection.recv(65536)
    assert head.split()[1][0:1] == b"2", head


def write_self(path, record):
    os.makedirs(os.path.join(path, "_meta"), exist_ok=True)
    with open(os.path.join(path, "_meta/_self.json"), "w", encoding="ascii") as file:
        json.dump(record, file)


def make_runs(project, count):
    flow = os.path.join(project, ".metaflow/Runs")
    write_self(flow, {"flow_id": "Runs", "ts_epoch": 1})
    for i in range(count):
        run = str(1700000000000000 + i)
        write_self(os.path.join(flow, run), {"run_number": run, "flow_id": "Runs", **SELF, "ts_epoch": 1700000000000 + i})


def make_tasks(project, count):
    flow = os.path.join(project, ".metaflow/Tasks")
    write_self(flow, {"flow_id": "Tasks", "ts_epoch": 1})
    own = {"run_number": "1", "flow_id": "Tasks", **SELF, "ts_epoch": 1700000000000}
    write_self(os.path.join(flow, "1"), own)
    write_self(os.path.join(flow, "1/work"), {**own, "step_name": "work"})
    for i in range(count):
        write_self(os.path.join(flow, f"1/work/{i + 1}"), {**own, "step_name": "work", "task_id": str(i + 1)})


def say(text, *values):
    print(f"{text:<46}" + "  ".join(values), flush=True)


def measure_start(program, times):
    seconds = []
    for _ in range(times):
        project = tempfile.mkdtemp(prefix="mfs-", dir=BASE)
        service = Service(program, project)
        seconds.append(service.first_answer * 1000)
        memory = service.memory()
        service.stop()
    say("start to first answer, min/median", f"{min(seconds):.1f}/{sorted(seconds)[times // 2]:.1f} ms")
    say("memory after it", f"{memory:.1f} MB")


def records(count):
    """Metadata and artifacts: each request tells something new."""
    metadata = [{"field_name": f"f{i}-NUMBER-{count}", "value": "v", "type": "t", "tags": ["attempt_id:0"], "ts_epoch": 1}
                for i in range(count)]
    artifacts = [{"name": f"a{i}-NUMBER-{count}", "attempt_id": 0, "ds_type": "local", "sha": "0" * 40, "type": "data",
                  "content_type": "gzip+pickle-v2", "location": f"Tasks/data/00/{'0' * 40}"} for i in range(count)]
    yield "metadata records", "metadata", metadata
    yield "artifacts", "artifact", artifacts


def measure_requests(service, count):
    step = "/flows/Tasks/runs/1/steps/work"
    task, each = step + "/tasks/77", step + "/tasks/EACH"
    rows = [("GET ping", "GET", "/ping", None, 1), ("GET run", "GET", "/flows/Tasks/runs/1", None, 1),
            ("GET task", "GET", task, None, 1), ("POST heartbeat", "POST", task + "/heartbeat", {}, 1),
            ("POST task", "POST", step + "/task", SELF, 4)]
    for number in RECORDS:
        rows += [(f"POST {number} {name}", "POST", f"{each}/{path}", body, 2 + number)
                 for name, path, body in records(number)]
    for name, method, path, body, part in rows:
        say(f"{name}, requests/s of one core", f"{service.rate(method, path, body, max(count // part, 20)):,.0f}")


def measure_tasks(service):
    tasks, seconds = service.get("/flows/Tasks/runs/1/steps/work/tasks")
    say(f"list of {len(tasks):,} tasks", f"{seconds * 1000:.0f} ms", f"memory then {service.memory():.1f} MB, at most {service.memory('VmHWM'):.1f} MB")


def measure_latest(program, python, counts):
    script = ("import time\nfrom metaflow import Flow, namespace\nnamespace(None)\nFlow('Runs').latest_run\n"
              "b = time.perf_counter(); Flow('Runs').latest_run; print((time.perf_counter() - b) * 1000)\n")
    for count in counts:
        project = tempfile.mkdtemp(prefix="mfs-", dir=BASE)
        make_runs(project, count)
        service = Service(program, project)
        service.get("/flows/Runs/runs")
        before, times = service.cpu(), []
        for _ in range(5):
            times.append(service.get("/flows/Runs/runs")[1] * 1000)
        text = [f"answer {min(times):.1f} ms", f"of it service {(service.cpu() - before) / 5 * 1000:.1f} ms"]
        if python:
            env = {**service.env, "METAFLOW_SERVICE_URL": service.url, "METAFLOW_DEFAULT_METADATA": "service"}
            for name in ("service", "local"):
                env["METAFLOW_DEFAULT_METADATA"] = name
                done = subprocess.run([python, "-c", script], env=env, cwd=project, capture_output=True, check=True)
                text.append(f"Flow.latest_run by {name} {float(done.stdout):.1f} ms")
        say(f"list of {count:,} runs", *text)
        service.stop()


def measure(program, python, peer):
    print(f"== {program}")
    measure_start(program, 3 if peer else 15)
    project = tempfile.mkdtemp(prefix="mfs-", dir=BASE)
    make_tasks(project, TASKS if not peer else TASKS // 10)
    service = Service(program, project)
    measure_requests(service, 100 if peer else 4000)
    measure_tasks(service)
    service.stop()
    measure_latest(program, python, (10, 26, 100, 1000) if peer else (10, 26, 100, 1000, 10000))


def main():
    global BASE  # noqa: PLW0603
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer")
    parser.add_argument("--python")
    parser.add_argument("--dir")
    options = parser.parse_args()
    if not os.access(OURS, os.X_OK):
        sys.exit(f"{OURS} is not built")
    with tempfile.TemporaryDirectory(prefix="mfs-", dir=options.dir) as BASE:
        measure(OURS, options.python, False)
        if options.peer:
            measure(options.peer, options.python, True)


if __name__ == "__main__":
    main()
