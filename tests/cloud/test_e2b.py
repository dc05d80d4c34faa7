# SPDX-License-Identifier: Apache-2.0
"""The provider e2b against a server that follows a script: exact requests, and all that can go wrong."""
import base64
import json
import os
import subprocess
import tempfile
import time
import unittest

from sandboxcase import COMMAND, OUR_FAILURE, SKIP
from scripted import CUT, Answer, Server, run, stream

ID = "i4gtzvoq49b8fjcu455nj"
KEY = "e2b_canarycanarycanarycanarycanary00"
MADE = {"alias": "base", "clientID": "6532622b", "envdAccessToken": "tok-canary", "envdVersion": "0.6.13",
        "sandboxID": ID, "templateID": "basetemplate00000001"}
LISTED = {"templateID": "t1", "alias": "base", "sandboxID": ID, "clientID": "c", "startedAt": "2026-11-21T03:09:54.4Z",
          "endAt": "2026-11-21T04:09:54.4Z", "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024,
          "metadata": {"a": "b"}, "state": "running", "envdVersion": "0.6.13"}
READY = {"event": {"data": {"stderr": base64.b64encode(b"\x1esandboxes:0\x1e").decode()}}}


def out(data, name="stdout"):
    return {"event": {"data": {name: base64.b64encode(data).decode()}}}


def start(pid=322):
    return {"event": {"start": {"pid": pid}}}


def end(**fields):
    return {"event": {"end": fields}}


class Case(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory(prefix="sbx-")
        self.routes = []
        self.server = Server(self.routes)
        self.env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": self.work.name, "HOME": self.work.name,
                    "XDG_CONFIG_HOME": self.work.name, "E2B_API_KEY": KEY, "E2B_API_URL": self.server.url,
                    "E2B_SANDBOX_URL": self.server.url, "NO_PROXY": "*", "no_proxy": "*"}

    def tearDown(self):
        self.server.close()
        self.work.cleanup()

    def command(self, *words):
        began = time.monotonic()
        result = run([COMMAND, *words], self.env)
        self.assertLess(time.monotonic() - began, 45)
        return result

    def expect(self, result, text, code=OUR_FAILURE):
        self.assertEqual((code, True), (result.returncode, text in result.stderr.decode()), result)

    def living(self, made=MADE):
        self.routes += [("GET", "/sandboxes/" + ID, Answer(200, {**LISTED, "envdAccessToken": "tok-canary"})),
                        ("POST", "/sandboxes", Answer(201, made)),
                        ("DELETE", "/sandboxes/", Answer(204))]


class Requests(Case):
    def test_create_sends_what_was_asked(self):
        self.living()
        result = self.command("create", "-p", "e2b", "--label", "k=v", "--env", "A=1", "--ttl", "90s",
                              "--image", "mytemplate", "--network", "none")
        self.assertEqual((0, ID), (result.returncode, result.stdout.decode().strip()), result)
        asked = self.server.asked[0]
        body = asked.json()
        self.assertEqual(("POST", "/sandboxes", KEY), (asked.method, asked.path, asked.headers["x-api-key"]))
        self.assertEqual("application/json", asked.headers["content-type"])
        token = body["metadata"].pop("_sandboxes.token")
        self.assertEqual(32, len(token))
        self.assertEqual({"templateID": "mytemplate", "timeout": 90, "secure": True, "metadata": {"k": "v"},
                          "envVars": {"A": "1"}, "allow_internet_access": False}, body)

    def test_lists_page_by_page_with_the_labels_encoded_twice(self):
        box = {**LISTED, "metadata": {"a": "b &/%"}}
        pages = [Answer(200, [box], {"X-Next-Token": "n/1="}),
                 Answer(200, [{**box, "sandboxID": "i" + "z" * 20}, {**box, "metadata": {"a": "other"}}])]
        self.routes.append(("GET", "/v2/sandboxes", lambda asked: pages[1 if "nextToken" in asked.query else 0]))
        result = self.command("list", "--json", "-p", "e2b", "--label", "a=b &/%")
        self.assertEqual([ID, "i" + "z" * 20], [box["id"] for box in json.loads(result.stdout)], result)
        first, second = self.server.asked
        self.assertEqual(("a=b%20%26%2F%25", "100", "running,paused"),
                         tuple(first.query[k] for k in ("metadata", "limit", "state")))
        self.assertEqual("n/1=", second.query["nextToken"])

    def test_a_command_is_started_with_its_headers(self):
        self.living()
        self.routes.append(("POST", "/process.Process/Start",
                            stream(start(), out(b"early"), READY, out(b" out\n"), out(b"err\n", "stderr"),
                                   {"event": {"keepalive": {}}}, end(exitCode=7, exited=True, status="exit status 7"))))
        result = self.command("exec", ID, "--env", "K=v w", "--workdir", "/tmp", "--", "prog", "a b")
        self.assertEqual((7, b"early out\n", b"err\n"), (result.returncode, result.stdout, result.stderr))
        asked = [a for a in self.server.asked if a.path.endswith("/Start")][0]
        (flags, message), = asked.frames()
        self.assertEqual(0, flags)
        self.assertEqual("/bin/sh", message["process"]["cmd"])
        self.assertEqual(["sandboxes", "prog", "prog", "a b"], message["process"]["args"][2:])
        self.assertEqual(("/tmp", {"K": "v w"}), (message["process"]["cwd"], message["process"]["envs"]))
        self.assertEqual((ID, "49983", "tok-canary", "application/connect+json", "1"), tuple(
            asked.headers[k] for k in ("e2b-sandbox-id", "e2b-sandbox-port", "x-access-token", "content-type",
                                       "connect-protocol-version")))

    def test_a_missing_program_is_told_as_a_shell_does(self):
        self.living()
        marker = base64.b64encode(b"\x1esandboxes:2\x1e").decode()
        self.routes.append(("POST", "/process.Process/Start",
                            stream(start(), {"event": {"data": {"stderr": marker}}},
                                   end(exitCode=127, exited=True, status="exit status 127"))))
        self.expect(self.command("exec", ID, "--", "nonesuch"), "nonesuch", 127)

    def test_files_are_sent_and_fetched_as_they_are(self):
        self.living()
        data = bytes(range(256)) * 3000
        path = os.path.join(self.work.name, "f")
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o640)
        self.routes += [
            ("POST", "/filesystem.Filesystem/Stat", Answer(404, {"code": "not_found", "message": "path not found"})),
            ("POST", "/process.Process/Start", stream(start(), READY, end(exited=True, status="exit status 0"))),
            ("POST", "/files", Answer(200, [{"name": "f"}], {"Content-Type": "text/plain"}))]
        result = self.command("cp", path, ID + ":/tmp/a b")
        self.assertEqual(0, result.returncode, result)
        sent = [a for a in self.server.asked if a.path == "/files"][0]
        self.assertEqual(("/tmp/a b", "application/octet-stream", True),
                         (sent.query["path"], sent.headers["content-type"], sent.body == data))
        self.routes[:0] = [
            ("POST", "/filesystem.Filesystem/Stat", Answer(200, {"entry": {
                "name": "f", "type": "FILE_TYPE_FILE", "path": "/tmp/f", "size": "768000", "mode": 416}})),
            ("GET", "/files", Answer(200, data))]
        result = self.command("cp", ID + ":/tmp/f", path + "2")
        self.assertEqual(0, result.returncode, result)
        with open(path + "2", "rb") as file:
            self.assertEqual(data, file.read())

    def test_a_shorter_key_file_is_read_unless_others_can(self):
        self.living()
        keyfile = os.path.join(self.work.name, "key")
        with open(keyfile, "w", encoding="ascii") as file:
            file.write("e2b_fromfile\n")
        os.mkdir(os.path.join(self.work.name, "sandboxes"), 0o700)
        with open(os.path.join(self.work.name, "sandboxes/config.toml"), "w", encoding="ascii") as file:
            file.write(f'[provider.e2b]\napi_key_file = "{keyfile}"\n')
        del self.env["E2B_API_KEY"]
        os.chmod(keyfile, 0o644)
        self.expect(self.command("create", "-p", "e2b"), "chmod 600")
        os.chmod(keyfile, 0o600)
        self.assertEqual(0, self.command("create", "-p", "e2b").returncode)
        self.assertEqual("e2b_fromfile", self.server.asked[0].headers["x-api-key"])


class Refusals(Case):
    def test_each_status_is_told_with_the_service_s_words_and_request(self):
        for status, words in ((400, "bad"), (401, "no key"), (403, "not yours"), (404, "template 'x' not found"),
                              (409, "exists"), (422, "odd"), (429, "too many"), (500, "broken"), (503, "full")):
            with self.subTest(status=status):
                self.routes[:] = [("POST", "/sandboxes", Answer(status, {"code": status, "message": words},
                                                                {"X-Request-Id": "req-77"})),
                                  ("GET", "/v2/sandboxes", Answer(200, []))]
                self.server.asked.clear()
                result = self.command("create", "-p", "e2b")
                self.expect(result, words)
                self.expect(result, "req-77")
                self.assertEqual(1, self.server.count("POST", "/sandboxes"))  # a creation is never repeated

    def test_asking_again_is_limited_to_what_may_be(self):
        answers = [Answer(503, {"message": "busy"}, {"Retry-After": "0"}), CUT, Answer(200, [])]
        self.routes.append(("GET", "/v2/sandboxes", lambda asked: answers.pop(0)))
        self.assertEqual(0, self.command("list", "-p", "e2b").returncode)
        self.assertEqual(3, self.server.count("GET", "/v2/sandboxes"))

    def test_a_long_wait_is_left_to_the_caller(self):
        self.routes.append(("GET", "/v2/sandboxes", Answer(429, {"message": "slow down"}, {"Retry-After": "3600"})))
        self.expect(self.command("list", "-p", "e2b"), "slow down")
        self.assertEqual(1, self.server.count("GET", "/v2/sandboxes"))

    def test_a_redirect_takes_the_key_nowhere(self):
        thief = Server([("GET", "/", Answer(200, []))])
        self.routes.append(("GET", "/v2/sandboxes", Answer(302, {}, {"Location": thief.url + "/"})))
        self.assertEqual(OUR_FAILURE, self.command("list", "-p", "e2b").returncode)
        self.assertEqual([], thief.asked)
        thief.close()

    def test_secrets_stay_out_of_what_is_shown(self):
        self.living()
        self.routes.append(("POST", "/process.Process/Start", stream(start(), READY, end(exited=True))))
        self.env["SANDBOXES_DEBUG"] = "http"
        result = self.command("exec", ID, "--", "true")
        text = (result.stdout + result.stderr).decode()
        self.assertIn("/process.Process/Start", text)
        self.assertNotIn("canary", text)


class Lost(Case):
    """The answer to create gets lost: never a sandbox that nobody knows of."""

    def lose(self, how):
        tokens = []

        def create(asked):
            tokens.append(asked.json()["metadata"]["_sandboxes.token"])
            return how

        def listed(asked):
            self.assertEqual("_sandboxes.token=" + tokens[0], asked.query["metadata"])
            return Answer(200, [{**LISTED, "metadata": {"_sandboxes.token": tokens[0]}}])

        self.routes += [("POST", "/sandboxes", create), ("GET", "/v2/sandboxes", listed),
                        ("GET", "/sandboxes/" + ID, Answer(200, LISTED)), ("DELETE", "/sandboxes/" + ID, Answer(204))]

    def test_what_was_made_is_adopted(self):
        self.lose(CUT)
        result = self.command("create", "-p", "e2b")
        self.assertEqual((0, ID), (result.returncode, result.stdout.decode().strip()), result)
        self.assertEqual((1, 0), (self.server.count("POST", "/sandboxes"),
                                  self.server.count("DELETE", "/sandboxes/" + ID)))

    def test_what_can_not_be_read_is_ended(self):
        for bad in (Answer(201, b"{garbage"), Answer(201, b"[]"), Answer(201, {"sandboxID": 5}),
                    Answer(201, {"sandboxID": "../../evil"})):
            with self.subTest(bad=bad.body):
                self.routes.clear()
                self.server.asked.clear()
                self.lose(bad)
                self.assertEqual(OUR_FAILURE, self.command("create", "-p", "e2b").returncode)
                self.assertEqual(1, self.server.count("DELETE", "/sandboxes/" + ID))


class Garbage(Case):
    def test_streams_that_make_no_sense_are_errors(self):
        huge = b"\x00\xff\xff\xff\xff" + b"x" * 100000
        bodies = {
            "cut before the end": stream(start(), READY, out(b"x"), end=None),
            "nothing": Answer(200, b""),
            "half a frame": Answer(200, b"\x00\x00\x00"),
            "a size past all bounds": Answer(200, huge),
            "compressed though not asked": Answer(200, b"\x01\x00\x00\x00\x02{}"),
            "no JSON": stream(start(), READY, b"{{{"),
            "wrong types": stream({"event": {"start": {"pid": "x"}}}, READY, end(exitCode="7", exited=1)),
            "no Base64": stream(start(), READY, {"event": {"data": {"stdout": "***"}}}),
            "an error at the end": stream(start(), READY, end=b'{"error":{"code":"internal","message":"boom"}}'),
            "an end that is no end": stream(start(), READY, end=b"["),
            "no end of the command": stream(start(), READY),
            "no HTTP": Answer(raw=b"\x16\x03\x01 not http\r\n\r\n"),
            "endless headers": Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"y" * 90000 + b"\r\n" * 2),
            "a length that is not kept": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"),
            "chunks that break off": Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\nx"),
        }
        self.living()
        for name, body in bodies.items():
            with self.subTest(name):
                self.routes[:] = self.routes[-3:]
                self.routes.insert(0, ("POST", "/process.Process/Start", body))
                result = self.command("exec", ID, "--", "prog")
                if name == "wrong types":  # read as nothing: a command of no number that ended well
                    continue
                self.assertEqual(OUR_FAILURE, result.returncode, result)
                self.assertIn(b"sandboxes: error: ", result.stderr)

    def test_lists_that_make_no_sense_are_errors(self):
        for body in (b"{}", b"5", b"[5]", b"[{}]", b'[{"sandboxID":7}]', b"<html>", b"", b"[" * 100000,
                     b'[{"sandboxID":"\xff"}]'):
            with self.subTest(body=body[:20]):
                self.routes[:] = [("GET", "/v2/sandboxes", Answer(200, body))]
                self.expect(self.command("list", "-p", "e2b"), "sandboxes: error: ")

    def test_a_list_without_end_is_an_error(self):
        self.routes.append(("GET", "/v2/sandboxes", Answer(200, [], {"X-Next-Token": "again"})))
        self.expect(self.command("list", "-p", "e2b"), "no end")

    def test_a_body_without_end_is_an_error(self):
        def endless():
            yield b"HTTP/1.1 200 OK\r\n\r\n["
            for _ in range(400):
                yield b"1," * 65536

        self.routes.append(("GET", "/v2/sandboxes", lambda asked: Answer(raw=endless())))
        self.expect(self.command("list", "-p", "e2b"), "more than")

    def test_a_silent_server_is_left_at_the_deadline(self):
        def silent():
            yield b"HTTP/1.1 200 OK\r\n"
            time.sleep(8)

        self.living()
        self.routes.insert(0, ("POST", "/process.Process/Start", lambda asked: Answer(raw=silent())))
        began = time.monotonic()
        result = self.command("exec", "--timeout", "1s", ID, "--", "prog")
        self.assertLess(time.monotonic() - began, 7)
        self.assertNotEqual(0, result.returncode, result)

    def test_a_sandbox_that_is_gone_is_told_so(self):
        self.living()
        self.routes.insert(0, ("POST", "/process.Process/Start", Answer(502, {
            "sandboxId": ID, "message": "The sandbox was not found", "code": 502})))
        self.expect(self.command("exec", ID, "--", "prog"), "does not exist any more")


if __name__ == "__main__":
    module = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(COMMAND))), "src/sandboxes-cloud.so")
    if not os.path.exists(module):
        print("1..0 # SKIP built without libcurl and jansson")
        raise SystemExit(SKIP)
    unittest.main()
