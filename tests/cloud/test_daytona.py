# SPDX-License-Identifier: Apache-2.0
"""The provider daytona against a server that follows a script: exact requests, and all that can go wrong."""
import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile
import time
import unittest

from sandboxcase import BUILD, COMMAND, OUR_FAILURE, SKIP
from scripted import CUT, Answer, Server, run

ID = "6f2a9b1c-0000-4000-8000-0123456789ab"
KEY = "dtn_canarycanarycanary"
CALLS = os.path.join(BUILD, "tests/cloud/calls")
CLOSED = struct.pack(">BBH", 0x88, 2, 1000)


def text(data):
    return base64.encodebytes(data)


def log(*pieces):
    """A session's log: numbers switch the stream."""
    return b"".join(bytes([p] * 3) if isinstance(p, int) else p for p in pieces)


def whole(code=0, out=b"", err=b""):
    return log(1, b"!start 77\n", text(out), f"!exit {code}\n".encode(), b".\n", 2, text(err), b".\n")


def frame(data, opcode=2):
    size = len(data)
    if size < 126:
        return bytes([0x80 | opcode, size]) + data
    return bytes([0x80 | opcode, 126]) + struct.pack(">H", size) + data


def socket(*frames):
    """The answer to a WebSocket's request: raw bytes after the handshake."""
    def answer(asked):
        accept = hashlib.sha1((asked.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
                              .encode()).digest()
        head = ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {base64.b64encode(accept).decode()}\r\n\r\n")
        return Answer(raw=[head.encode(), *frames])
    return answer


class Case(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory(prefix="sbx-")
        self.routes = []
        self.server = Server(self.routes)
        self.env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": self.work.name, "HOME": self.work.name,
                    "XDG_CONFIG_HOME": self.work.name, "DAYTONA_API_KEY": KEY, "NO_PROXY": "*", "no_proxy": "*",
                    "DAYTONA_API_URL": self.server.url + "/api", "SANDBOXES_PROVIDER": "daytona"}

    def tearDown(self):
        self.server.close()
        self.work.cleanup()

    def box(self, state="started", **more):
        return {"id": ID, "name": ID, "snapshot": "snap", "user": "daytona", "cpu": 1, "memory": 2, "disk": 3,
                "labels": {"a": "b"}, "state": state, "createdAt": "2026-11-21T03:09:54.4Z",
                "networkBlockAll": False, "toolboxProxyUrl": self.server.url + "/toolbox", **more}

    def living(self):
        self.routes += [("GET", "/api/sandbox/" + ID, Answer(200, self.box())),
                        ("POST", "/api/sandbox", Answer(200, self.box())),
                        ("DELETE", "/api/sandbox/", Answer(200, self.box("destroying")))]

    def running(self, follow):
        self.routes[:0] = [("GET", f"/toolbox/{ID}/process/session/", follow),
                           ("POST", f"/toolbox/{ID}/process/session/", Answer(202, {"cmdId": "c-1"})),
                           ("POST", f"/toolbox/{ID}/process/session", Answer(201)),
                           ("POST", f"/toolbox/{ID}/process/execute", Answer(200, {"exitCode": 0, "result": ""})),
                           ("DELETE", f"/toolbox/{ID}/process/session/", Answer(204))]

    def command(self, *words):
        began = time.monotonic()
        result = run([COMMAND, *words], self.env)
        self.assertLess(time.monotonic() - began, 45)
        return result

    def expect(self, result, words, code=OUR_FAILURE):
        self.assertEqual((code, True), (result.returncode, words in result.stderr.decode()), result)


class Followed(Case):
    """Output as it comes, of a server that runs programs as they are."""
    END = json.dumps({"exitCode": 3, "signal": 0}).encode()

    def follow(self, *pieces, status=200, kind="application/vnd.sandboxes.output"):
        self.living()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()
        self.routes[:0] = [("GET", "/api/sandbox/" + ID, Answer(200, self.box(runsPrograms=True))),
                           ("POST", f"/toolbox/{ID}/process/execute", Answer(raw=[head, *pieces]))]
        result = subprocess.run([CALLS, "daytona", ID], input=b"follow 5000", env=self.env, check=True, timeout=60,
                                stdout=subprocess.PIPE)
        self.assertEqual(1, self.server.count("POST", f"/toolbox/{ID}/process/execute"))
        return result.stdout.decode().strip()

    @staticmethod
    def piece(kind, data):
        return struct.pack(">BI", kind, len(data)) + data

    def test_both_streams_and_the_end(self):
        whole = self.piece(1, b"out") + self.piece(2, b"err") + self.piece(1, b"") + self.piece(3, self.END)
        self.assertEqual("1:out 2:err 3 OK", self.follow(whole))
        self.assertTrue(self.server.asked[-1].json()["follow"])
        self.server.asked.clear()
        told = self.follow(*[bytes([byte]) for byte in whole])
        self.assertEqual("outerr3OK", re.sub("[12]:| ", "", told))

    def test_what_makes_no_sense(self):
        for pieces, words in (([self.piece(1, b"out")], "1:out UNAVAILABLE"),
                              ([self.piece(1, b"out")[:6]], "1:o UNAVAILABLE"),
                              ([], "UNAVAILABLE"),
                              ([self.piece(0, b"x")], "PROTOCOL"), ([self.piece(9, b"x")], "PROTOCOL"),
                              ([self.piece(3, b"[")], "PROTOCOL"), ([self.piece(3, b"{}")], "PROTOCOL"),
                              ([struct.pack(">BI", 3, 1 << 30)], "PROTOCOL"),
                              ([self.piece(3, b'{"lost": "it was killed"}')], "UNAVAILABLE it was killed")):
            with self.subTest(words):
                self.server.asked.clear()
                self.assertEqual(words, self.follow(*pieces)[:len(words)])

    def test_answers_in_one_piece(self):
        failed = json.dumps({"program": {"failed": {"errno": 2, "message": "cannot run 'x'"}}}).encode()
        self.assertEqual("EXEC cannot run 'x'", self.follow(failed, kind="application/json"))
        self.server.asked.clear()
        whole = {"exitCode": 0, "signal": 0, "stdout": "b3V0", "stderr": ""}
        self.assertEqual("1:out 0 OK", self.follow(json.dumps({"program": whole}).encode(), kind="application/json"))
        self.server.asked.clear()
        self.assertEqual("AUTH", self.follow(b"{}", status=401, kind="application/json")[:4])


class Requests(Case):
    def test_create_sends_what_was_asked_and_waits(self):
        states = ["building_snapshot", "starting"]
        self.living()
        self.env["DAYTONA_TARGET"] = "eu"
        self.routes[:0] = [("GET", "/api/sandbox/" + ID,
                            lambda asked: Answer(200, self.box(states.pop(0) if states else "started"))),
                           ("POST", "/api/sandbox", Answer(200, self.box("creating")))]
        result = self.command("create", "--label", "k=v", "--env", "A=1", "--image", "debian:12", "--network", "none",
                              "--memory", "1500M", "--cpu", "1.5")
        self.assertEqual((0, ID), (result.returncode, result.stdout.decode().strip()), result)
        body = self.server.asked[0].json()
        self.assertEqual("Bearer " + KEY, self.server.asked[0].headers["authorization"])
        self.assertEqual(32, len(body["labels"].pop("_sandboxes.token")))
        self.assertEqual({"buildInfo": {"dockerfileContent": "FROM debian:12\n"}, "target": "eu", "cpu": 2,
                          "memory": 2, "labels": {"k": "v"}, "env": {"A": "1"}, "networkBlockAll": True}, body)
        self.assertEqual(3, self.server.count("GET", "/api/sandbox/" + ID))

    def test_pausing_archives_where_that_is_set(self):
        folder = os.path.join(self.work.name, "sandboxes")
        os.mkdir(folder, 0o700)
        for word, asked in (("stop", 0), ("archive", 1)):
            with open(os.path.join(folder, "config.toml"), "w", encoding="ascii") as file:
                file.write(f'[provider.daytona]\npause = "{word}"\n')
            self.server.asked.clear()
            states = ["started", "stopping"]
            self.routes[:] = [("GET", "/api/sandbox/" + ID,
                               lambda asked, left=states: Answer(200, self.box(left.pop(0) if left else "stopped"))),
                              ("POST", f"/api/sandbox/{ID}/stop", Answer(200, self.box("stopping"))),
                              ("POST", f"/api/sandbox/{ID}/archive", Answer(200, self.box("archiving")))]
            result = subprocess.run([CALLS, "daytona", ID], input=b"pause 20000", env=self.env, check=True, timeout=60,
                                    stdout=subprocess.PIPE)
            self.assertEqual(b"OK", result.stdout.strip())
            self.assertEqual((1, asked), tuple(self.server.count("POST", f"/api/sandbox/{ID}/{what}")
                                               for what in ("stop", "archive")))

    def test_a_time_to_live_is_refused_not_rounded(self):
        self.living()
        self.expect(self.command("create", "--ttl", "30s"), "time to live")
        self.assertEqual([], self.server.asked)

    def test_lists_page_by_page(self):
        pages = [Answer(200, {"items": [self.box(), self.box("destroyed", id="gone")], "nextCursor": "n/1="}),
                 Answer(200, {"items": [self.box(id="x2"), self.box(id="x3", labels={"a": "other"})],
                              "nextCursor": None})]
        self.routes.append(("GET", "/api/sandbox", lambda asked: pages[1 if "cursor" in asked.query else 0]))
        result = self.command("list", "--json", "--label", "a=b")
        self.assertEqual([ID, "x2"], [box["id"] for box in json.loads(result.stdout)], result)
        first, second = self.server.asked
        self.assertEqual({"a": "b"}, json.loads(first.query["labels"]))
        self.assertEqual("n/1=", second.query["cursor"])

    def test_a_command_s_streams_and_status_come_back(self):
        self.living()
        whole_log = whole(7, b"out\n\x01\x02\x00", b"err\n")
        for step in (1, 2, 5, 1000):  # marks and lines may be cut anywhere
            with self.subTest(step=step):
                pieces = [frame(whole_log[at:at + step]) for at in range(0, len(whole_log), step)]
                self.routes[:] = self.routes[-3:]
                self.running(socket(b"".join(pieces), CLOSED))
                result = self.command("exec", ID, "--", "prog", "a b")
                self.assertEqual((7, b"out\n\x01\x02\x00", b"err\n"),
                                 (result.returncode, result.stdout, result.stderr), result)
        asked = [a for a in self.server.asked if a.path.endswith("/exec")][0]
        self.assertTrue(asked.json()["runAsync"] and asked.json()["suppressInputEcho"])
        self.assertIn("'prog' 'a b'", asked.json()["command"])
        self.assertEqual(4, len([a for a in self.server.asked if a.method == "DELETE"]))  # no session is left

    def test_a_missing_program_is_told_as_a_shell_does(self):
        self.living()
        self.running(socket(frame(log(1, b"!fail 2\n!exit 127\n.\n", 2, b".\n")), CLOSED))
        self.expect(self.command("exec", ID, "--", "nonesuch"), "nonesuch", 127)


class Refusals(Case):
    def test_each_status_is_told_with_the_service_s_words(self):
        for status in (400, 401, 403, 404, 409, 429, 500, 502, 503):
            with self.subTest(status=status):
                self.routes[:] = [("POST", "/api/sandbox", Answer(status, {"statusCode": status, "message": "words"})),
                                  ("GET", "/api/sandbox", Answer(200, {"items": [], "nextCursor": None}))]
                self.server.asked.clear()
                self.expect(self.command("create"), "words")
                self.assertEqual(1, self.server.count("POST", "/api/sandbox"))  # a creation is never repeated

    def test_asking_again_is_limited_to_what_may_be(self):
        answers = [Answer(503, {"message": "busy"}, {"Retry-After": "0"}), CUT, Answer(200, {"items": []})]
        self.routes.append(("GET", "/api/sandbox", lambda asked: answers.pop(0)))
        self.assertEqual(0, self.command("list").returncode)

    def test_a_redirect_takes_the_key_nowhere(self):
        thief = Server([("GET", "/", Answer(200, {"items": []}))])
        self.routes.append(("GET", "/api/sandbox", Answer(307, {}, {"Location": thief.url + "/"})))
        self.assertEqual(OUR_FAILURE, self.command("list").returncode)
        self.assertEqual([], thief.asked)
        thief.close()

    def test_secrets_stay_out_of_what_is_shown(self):
        self.living()
        self.running(socket(frame(whole()), CLOSED))
        self.env["SANDBOXES_DEBUG"] = "http"
        result = self.command("exec", ID, "--", "true")
        self.assertEqual(0, result.returncode, result)
        self.assertNotIn(b"canary", result.stdout + result.stderr)


class Lost(Case):
    """The answer to create gets lost: never a sandbox that nobody knows of."""

    def lose(self, how, state="started"):
        tokens = []

        def create(asked):
            tokens.append(asked.json()["labels"]["_sandboxes.token"])
            return how

        def listed(asked):
            labels = {"_sandboxes.token": tokens[0]}
            self.assertEqual(labels, json.loads(asked.query["labels"]))
            return Answer(200, {"items": [self.box(state, labels=labels)], "nextCursor": None})

        self.routes += [("POST", "/api/sandbox", create), ("GET", "/api/sandbox/" + ID, Answer(200, self.box(state))),
                        ("GET", "/api/sandbox", listed), ("DELETE", "/api/sandbox/" + ID, Answer(200, {}))]

    def test_what_was_made_is_adopted(self):
        self.lose(CUT)
        result = self.command("create")
        self.assertEqual((0, ID), (result.returncode, result.stdout.decode().strip()), result)
        self.assertEqual((1, 0), (self.server.count("POST", "/api/sandbox"),
                                  self.server.count("DELETE", "/api/sandbox/" + ID)))

    def test_what_can_not_be_used_is_ended(self):
        bad = [b"{garbage", b"[]", json.dumps({"id": 5}).encode(), json.dumps(self.box(id="../../evil")).encode(),
               json.dumps(self.box("error", errorReason="no room")).encode(),
               json.dumps(self.box(toolboxProxyUrl="file:///etc")).encode()]
        for body in bad:
            with self.subTest(body=body[:40]):
                self.routes.clear()
                self.server.asked.clear()
                self.lose(Answer(200, body))
                self.assertEqual(OUR_FAILURE, self.command("create").returncode)
                self.assertEqual(1, self.server.count("DELETE", "/api/sandbox/" + ID))


class Garbage(Case):
    def test_logs_that_make_no_sense_are_errors(self):
        start = log(1, b"!start 77\n")
        answers = {
            "cut before the end": socket(frame(start)),
            "closed before the end": socket(frame(start), CLOSED),
            "no start": socket(frame(log(1, text(b"x"))), CLOSED),
            "no stream": socket(frame(b"!start 77\n"), CLOSED),
            "no Base64": socket(frame(start + b"***\n"), CLOSED),
            "an odd word": socket(frame(start + b"!later 3\n"), CLOSED),
            "a word on stderr": socket(frame(start + log(2, b"!exit 0\n")), CLOSED),
            "a line past all bounds": socket(frame(start + b"x" * 60000), CLOSED),
            "half a frame": socket(b"\x82\x7e\xff"),
            "a size past all bounds": socket(b"\x82\x7f" + b"\x7f" * 8 + b"x" * 1000),
            "reserved bits": socket(b"\xf2\x02hi"),
            "a masked frame": socket(b"\x82\x82abcdhi"),
            "no WebSocket": Answer(200, b"hello"),
            "a wrong answer to the key": Answer(raw=b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n"
                                                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"),
            "no HTTP": Answer(raw=b"\x16\x03\x01 not http\r\n\r\n"),
            "endless headers": Answer(raw=b"HTTP/1.1 101 S\r\nX-A: " + b"y" * 90000 + b"\r\n\r\n"),
        }
        self.living()
        for name, answer in answers.items():
            with self.subTest(name):
                self.routes[:] = self.routes[-3:]
                self.running(answer)
                result = self.command("exec", ID, "--", "prog")
                self.assertEqual(OUR_FAILURE, result.returncode, result)
                self.assertIn(b"sandboxes: error: ", result.stderr)

    def test_lists_that_make_no_sense_are_errors(self):
        for body in (b"[]", b"5", b'{"items":5}', b'{"items":[{}]}', b"<html>", b"", b'{"items":[{"id":"\xff"}]}'):
            with self.subTest(body=body[:20]):
                self.routes[:] = [("GET", "/api/sandbox", Answer(200, body))]
                self.expect(self.command("list"), "sandboxes: error: ")

    def test_a_list_without_end_is_an_error(self):
        self.routes.append(("GET", "/api/sandbox", Answer(200, {"items": [], "nextCursor": "again"})))
        self.expect(self.command("list"), "no end")

    def test_a_silent_log_is_left_at_the_deadline(self):
        def silent(asked):
            answer = socket(frame(log(1, b"!start 77\n")))(asked)
            pieces = answer.raw

            def slow():
                yield from pieces
                time.sleep(4)
            answer.raw = slow()
            return answer

        self.living()
        self.running(silent)
        began = time.monotonic()
        result = self.command("exec", "--timeout", "500ms", ID, "--", "prog")
        self.assertLess(time.monotonic() - began, 20)
        self.assertNotEqual(0, result.returncode, result)


if __name__ == "__main__":
    module = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(COMMAND))), "src/sandboxes-cloud.so")
    if not os.path.exists(module):
        print("1..0 # SKIP built without libcurl and jansson")
        raise SystemExit(SKIP)
    unittest.main()
