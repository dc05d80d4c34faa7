# SPDX-License-Identifier: Apache-2.0
"""Each way in which a service can misbehave, for each kind of call: the class of the error, in time, and that
nothing is sent twice that may have been carried out."""
import os
import subprocess
import tempfile
import time
import unittest

from sandboxcase import COMMAND, SKIP
from scripted import CUT, Answer, Server

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(COMMAND)))
SHORT_MS, LONG_MS = 150, 20000  # time limits: of what is slow, of what must end by itself
ENOUGH = 10.0  # seconds, for either on a busy machine
IDS = {"e2b": "i4gtzvoq49b8fjcu455nj", "daytona": "6f2a9b1c-0000-4000-8000-0123456789ab"}


def slow(asked):
    def drops():
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: yes":
            yield bytes([byte])
            time.sleep(0.1)
    return Answer(raw=drops())


def silent(asked):
    def nothing():
        yield b""
        time.sleep(2)
    return Answer(raw=nothing())


def status(number):
    return Answer(number, {"message": "words"})


# What the service does: the class that a caller is told of.
WAYS = {
    "400": (status(400), "INVALID"), "401": (status(401), "AUTH"), "403": (status(403), "DENIED"),
    "404": (status(404), "NOT_FOUND"), "409": (status(409), "CONFLICT"), "429": (status(429), "QUOTA"),
    "500": (status(500), "UNAVAILABLE"), "502": (status(502), "UNAVAILABLE"), "503": (status(503), "UNAVAILABLE"),
    "a redirect": (Answer(302, {}, {"Location": "http://127.0.0.1:1/"}), "PROTOCOL"),
    "a redirect that keeps the method": (Answer(307, {}, {"Location": "http://127.0.0.1:1/"}), "PROTOCOL"),
    "cut": (CUT, "UNAVAILABLE"),
    "closed without a word": (Answer(raw=b""), "UNAVAILABLE"),
    "no HTTP": (Answer(raw=b"\x16\x03\x01 not http\r\n\r\n"), "PROTOCOL"),
    "endless headers": (Answer(raw=b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * 90000 + b"\r\n\r\n"), "PROTOCOL"),
    "more headers than any": (Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X-A: yyyyyyyyyy\r\n" * 9000 + b"\r\n"), "PROTOCOL"),
    "a length that is not kept": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "UNAVAILABLE"),
    "chunks that break off": (Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"), "UNAVAILABLE"),
    "half an answer's head": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), "UNAVAILABLE"),
    "garbage for JSON": (Answer(200, b"\x00{]garbage"), "PROTOCOL"),
    "slow": (slow, "TIMEOUT"),
    "silent": (silent, "TIMEOUT"),
}


class Service:
    """One of the two, well but for the route of the call that is made."""

    def __init__(self, provider):
        self.provider, self.way, self.call, self.token = provider, None, None, None
        self.server = Server([(method, "/", self.answer) for method in ("GET", "POST", "PUT", "DELETE")])

    def box(self, labels):
        if self.provider == "e2b":
            return {"templateID": "t", "sandboxID": IDS["e2b"], "clientID": "c", "state": "running", "metadata": labels,
                    "startedAt": "2026-11-21T03:09:54.4Z", "endAt": "2036-11-21T03:09:54.4Z", "envdVersion": "0.6.13"}
        return {"id": IDS["daytona"], "state": "started", "labels": labels, "createdAt": "2026-11-21T03:09:54.4Z",
                "toolboxProxyUrl": self.server.url + "/toolbox"}

    def kind(self, asked):
        path = asked.path.removeprefix("/api").removeprefix("/v2")
        if path in ("/sandbox", "/sandboxes"):
            return "create" if asked.method == "POST" else "list"
        if path.startswith(("/sandbox/", "/sandboxes/")):
            return "end" if asked.method == "DELETE" else "show"
        return "write" if b"only-once" in asked.body and "process" not in path.lower() else (
            "run" if b"only-once" in asked.body else "other")

    def answer(self, asked):
        kind = self.kind(asked)
        asked.kind = kind
        if kind == "create":
            body = asked.json()
            self.token = (body.get("metadata") or body.get("labels"))["_sandboxes.token"]
        if kind == self.call:
            return self.way(asked) if callable(self.way) else self.way
        if kind == "list":  # what a lost creation has made is found there
            found = [self.box({"_sandboxes.token": self.token})]
            return Answer(200, found if self.provider == "e2b" else {"items": found, "nextCursor": None})
        if kind == "show":
            return Answer(200, self.box({}))
        if kind == "other" and asked.path.endswith("/execute"):
            return Answer(200, {"exitCode": 0, "result": ""})
        return Answer(200, {})

    def count(self, kind):
        return len([one for one in self.server.asked if one.kind == kind])


def expected(call, name, code):
    """A creation whose answer is lost is adopted."""
    if call == "create" and code == "UNAVAILABLE":
        return "OK"
    if call == "write" and name in ("garbage for JSON", "a length that is not kept", "chunks that break off"):
        return "OK"  # it was told by the status: nobody reads that answer
    return code


class Classes(unittest.TestCase):
    def go_through(self, provider, calls):
        with tempfile.TemporaryDirectory(prefix="sbx-") as work:
            service = Service(provider)
            url = service.server.url
            env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": work, "HOME": work, "XDG_CONFIG_HOME": work,
                   "NO_PROXY": "*", "no_proxy": "*", "E2B_API_KEY": "k", "E2B_API_URL": url, "E2B_SANDBOX_URL": url,
                   "DAYTONA_API_KEY": "k", "DAYTONA_API_URL": url + "/api"}
            program = [os.path.join(BUILD, "tests/cloud/calls"), provider, IDS[provider]]
            with subprocess.Popen(program, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
                for call in calls:
                    for name, (way, code) in WAYS.items():
                        with self.subTest(f"{provider}: {call}: {name}"):
                            self.one(service, client, call, name, way, code)
                client.stdin.close()
                client.stdout.close()
                self.assertEqual(0, client.wait(30))
            service.server.close()

    def one(self, service, client, call, name, way, code):
        service.way, service.call = way, call
        service.server.asked.clear()
        began = time.monotonic()
        client.stdin.write(f"{call} {SHORT_MS if code == 'TIMEOUT' else LONG_MS}\n".encode())
        client.stdin.flush()
        said = client.stdout.readline().decode()
        taken = time.monotonic() - began
        self.assertEqual(expected(call, name, code), said.split(" ")[0], said)
        self.assertLess(taken, ENOUGH)
        times = service.count(call)
        if call == "list":
            self.assertLessEqual(times, 4, said)  # three tries, and what libcurl sends again on a connection it kept
        else:
            self.assertEqual(1, times, said)
        if call == "create" and code in ("PROTOCOL", "TIMEOUT"):
            self.ended(service)

    def ended(self, service):
        """What was made all the same is not left."""
        until = time.monotonic() + ENOUGH
        while not service.count("end") and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(1, service.count("end"))

    def test_e2b_lists_and_creations(self):
        self.go_through("e2b", ["list", "create"])

    def test_e2b_commands_and_files(self):
        self.go_through("e2b", ["run", "write"])

    def test_daytona_lists_and_creations(self):
        self.go_through("daytona", ["list", "create"])

    def test_daytona_commands_and_files(self):
        self.go_through("daytona", ["run", "write"])


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "src/sandboxes-cloud.so")):
        print("1..0 # SKIP built without libcurl and jansson")
        raise SystemExit(SKIP)
    unittest.main()
