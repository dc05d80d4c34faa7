#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `sandboxes serve` costs, measured by a client that does nothing besides: python3 bench/serve.py BUILD"""
import base64
import collections
import http.client
import json
import os
import re
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/serve"))
os.environ.setdefault("BUILD", os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"))
import servecase  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "10"))
ALIVE = int(os.environ.get("ALIVE", "100"))
MIB = int(os.environ.get("MIB", "512"))


class Client:
    def __init__(self, server, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.head = {"X-API-Key": key}

    def ask(self, method, path, body=None, **head):
        self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                {**self.head, **{k.replace("_", "-"): v for k, v in head.items()}})
        answer = self.connection.getresponse()
        data = answer.read()
        return json.loads(data) if data[:1] in (b"{", b"[") else data

    def create(self):
        return self.ask("POST", "/v2/sandboxes", {"templateID": "base"})

    def run(self, box, line):
        message = json.dumps({"process": {"cmd": "/bin/sh", "args": ["-c", line]}, "stdin": False}).encode()
        self.connection.request("POST", "/process.Process/Start",
                                b"\0" + len(message).to_bytes(4, "big") + message,
                                {"Content-Type": "application/connect+json",
                                 "E2b-Sandbox-Id": box["sandboxID"],
                                 "X-Access-Token": box["envdAccessToken"]})
        return self.connection.getresponse()

    def kill(self, box):
        self.ask("DELETE", "/sandboxes/" + box["sandboxID"])


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def first_command(client, rounds=30):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        box = client.create()
        client.run(box, "true").read()
        times.append((time.perf_counter() - start) * 1e3)
        client.kill(box)
    return times


def by_client(server, key, rounds=30):
    """The same through the official client; None when that is not installed."""
    try:
        from e2b import Sandbox
    except ImportError:
        return None
    point = {"api_key": key, "api_url": server.url, "sandbox_url": server.url}
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        box = Sandbox.create(timeout=60, **point)
        box.commands.run("true")
        times.append((time.perf_counter() - start) * 1e3)
        box.kill()
    return times


def by_library(server, rounds=30):
    """The same with the library alone, in this process; None when its Python package is not built."""
    os.environ.update(server.env)
    sys.path.insert(0, os.path.join(os.environ["BUILD"], "python"))
    try:
        from sandboxes.sync import Sandbox
    except ImportError:
        return None
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        box = Sandbox.create()
        box.execute(["/bin/bash", "-l", "-c", "true"])
        times.append((time.perf_counter() - start) * 1e3)
        box.destroy()
    return times


def tell(name, times):
    if times:
        print(f"{name:<40} median {statistics.median(times):.2f} ms, least {min(times):.2f} ms", flush=True)


def load(server, key, rate=200):
    client = Client(server, key)
    box = client.create()
    times, start, pid = [], time.perf_counter(), server.process.pid
    before = resident(pid)
    while time.perf_counter() - start < SECONDS:
        due = start + len(times) / rate
        time.sleep(max(0, due - time.perf_counter()))
        begin = time.perf_counter()
        client.ask("GET", "/sandboxes/" + box["sandboxID"])
        times.append((time.perf_counter() - begin) * 1e3)
    client.kill(box)
    return times, before, resident(pid)


def stream(server, key):
    client = Client(server, key)
    box = client.create()
    answer = client.run(box, f"head -c {MIB}M /dev/zero")
    start, size, peak = time.perf_counter(), 0, 0
    buffer = bytearray(1 << 20)
    while got := answer.readinto(buffer):
        size += got
        peak = max(peak, resident(server.process.pid))
    took = time.perf_counter() - start
    client.kill(box)
    return MIB / took, peak


def stalled(server, key):
    """Megabytes that a command has written to a client that reads nothing, and the server's memory, after two
    seconds and after four; whether others are served."""
    client, other = Client(server, key), Client(server, key)
    box = client.create()
    answer = client.run(box, "echo $$ > /tmp/pid; exec yes")

    def look():
        time.sleep(2)
        told = re.search(rb'"stdout":"([^"]*)"', other.run(box, "grep wchar /proc/$(cat /tmp/pid)/io").read())
        return int(base64.b64decode(told[1]).split()[1]) / 1e6, resident(server.process.pid)

    first, second = look(), look()
    alive = isinstance(other.ask("GET", "/sandboxes/" + box["sandboxID"]), dict)
    other.kill(box)
    answer.close()
    return first, second, alive


def servers_part(server):
    """Milliseconds that the server's own log tells, by kind of request."""
    kinds = collections.defaultdict(list)
    with open(server.log, encoding="utf-8") as log:
        for line in log:
            told = json.loads(line)
            kind = told["method"] + " " + re.sub(r"sb-[a-z0-9]+", "ID", told["path"])
            kinds[kind].append(told["us"] / 1e3)
    return kinds


def main():
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as base:
        server = servecase.Server(base, "--max-sandboxes", "1000", "--rate", "0")
        key = server.key()
        server.start()
        client = Client(server, key)
        try:
            tell("create + first command", first_command(client))
            for kind, times in servers_part(server).items():
                tell("  server: " + kind, times)
            tell("  by the official client", by_client(server, key))
            tell("  by the library alone", by_library(server))
            times, before, after = load(server, key)
            times.sort()
            print(f"200 requests/s, {SECONDS:.0f} s        median {statistics.median(times):.2f} ms, "
                  f"p99 {times[int(len(times) * 0.99)]:.2f} ms, {len(times) / SECONDS:.0f}/s, "
                  f"memory {before:.1f} -> {after:.1f} MiB")
            rate, peak = stream(server, key)
            print(f"stream of {MIB} MiB           {rate:.0f} MiB/s, server's peak {peak:.1f} MiB")
            first, second, alive = stalled(server, key)
            print(f"client that does not read   command wrote {first[0]:.2f} MB, 2 s later {second[0]:.2f} MB; memory "
                  f"{first[1]:.1f} -> {second[1]:.1f} MiB, others are {'served' if alive else 'NOT served'}")
            start = time.perf_counter()
            boxes = [client.create() for _ in range(ALIVE)]
            took = time.perf_counter() - start
            listed = len(client.ask("GET", "/v2/sandboxes?limit=100"))
            print(f"{ALIVE} alive                   {ALIVE / took:.0f} made a second, server "
                  f"{resident(server.process.pid):.1f} MiB, page of {listed}")
            for box in boxes:
                client.kill(box)
        finally:
            server.stop()
            server.command("destroy", "--all", "--yes", check=False)


if __name__ == "__main__":
    main()
