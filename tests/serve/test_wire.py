# SPDX-License-Identifier: Apache-2.0
"""What the server refuses, keeps to itself, and survives; without any client but Python's own."""
import os
import socket
import stat
import subprocess
import threading
import unittest

import servecase

servecase.require()


class Guarded(servecase.ServeCase):
    options = ("--max-sandboxes", "2", "--domain", "sbx.test")

    def api(self, method, path, body=None, key=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.ask(method, path, body, {"X-API-Key": key or self.key, **headers})

    def read_log(self):
        with open(self.server.log, encoding="utf-8") as file:
            return file.read()

    def make(self, **more):
        status, _, box = self.api("POST", "/v2/sandboxes", {"templateID": "base", **more})
        self.assertEqual(status, 201, box)
        self.addCleanup(self.api, "DELETE", "/sandboxes/" + box["sandboxID"])
        return box

    def test_no_key_no_service(self):
        for path in ("/sandboxes", "/v2/sandboxes", "/api/sandbox", "/toolbox/x/version", "/api/snapshots"):
            self.assertEqual(self.server.ask("GET", path)[0], 401, path)
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)
        self.assertEqual(self.server.ask("GET", "/api/health")[0], 200)

    def test_other_sites_are_refused(self):
        for headers in ({"Host": "evil.test"}, {"Origin": "http://evil.test"}, {"Origin": "null"},
                        {"Host": "sbx.test.evil"}):
            self.assertEqual(self.api("GET", "/sandboxes", **headers)[0], 403, headers)
        self.assertEqual(self.api("GET", "/sandboxes", Host="api.sbx.test")[0], 200)

    def test_metrics_and_ids(self):
        self.make()
        self.assertEqual(self.server.ask("GET", "/metrics")[0], 401)
        status, headers, text = self.api("GET", "/metrics")
        self.assertEqual(status, 200)
        numbers = dict(line.split() for line in text.decode().splitlines() if line[0] != "#")
        self.assertGreaterEqual(int(numbers["sandboxes_alive"]), 1)
        self.assertGreaterEqual(int(numbers["sandboxes_created_total"]), 1)
        self.assertTrue(self.wait_for(lambda: headers["X-Request-Id"] in self.read_log()))

    def test_bad_requests(self):
        cases = [
            ("POST", "/v2/sandboxes", b"{", 400), ("POST", "/v2/sandboxes", b"[]", 400),
            ("POST", "/v2/sandboxes", b"", 400), ("POST", "/v2/sandboxes", b'{"templateID":7}', 400),
            ("POST", "/v2/sandboxes", b'{"templateID":"none"}', 404),
            ("POST", "/v2/sandboxes", b'{"templateID":"base","timeout":0}', 400),
            ("POST", "/v2/sandboxes", b'{"templateID":"base","timeout":99999999}', 400),
            ("POST", "/v2/sandboxes", b'{"templateID":"base","metadata":{"a":1}}', 400),
            ("POST", "/v2/sandboxes", b'{"templateID":"base","envVars":"x"}', 400),
            ("POST", "/v2/sandboxes", b'{"templateID":"base","network":{"denyOut":["1.2.3.4"]}}', 400),
            ("POST", "/v2/sandboxes", b"[" * 100000, 400),
            ("POST", "/v2/sandboxes", b'"' + b"x" * 2000000 + b'"', 413),
            ("GET", "/v2/sandboxes?limit=0", None, 400), ("GET", "/v2/sandboxes?limit=101", None, 400),
            ("GET", "/v2/sandboxes?state=odd", None, 400), ("GET", "/sandboxes/..%2f..%2fetc", None, 404),
            ("GET", "/sandboxes/" + "a" * 5000, None, 404), ("GET", "/x" * 8000, None, 400),
            ("DELETE", "/sandboxes/sb-none", None, 404), ("PATCH", "/sandboxes", None, 405),
            ("GET", "/sandboxes/%00", None, 400), ("GET", "/nothing", None, 404),
        ]
        for method, path, body, expected in cases:
            status, _, answer = self.api(method, path, body)
            self.assertEqual(status, expected, (method, path[:60], body and body[:60], answer))
            self.assertEqual(answer["code"], expected)

    def test_limit_of_sandboxes(self):
        self.make()
        self.make()
        status, headers, answer = self.api("POST", "/v2/sandboxes", {"templateID": "base"})
        self.assertEqual(status, 429)
        self.assertIn("maximum number of concurrent", answer["message"])
        self.assertTrue(headers["Retry-After"])

    def test_tokens_of_sandboxes(self):
        first, second = self.make(), self.make()
        ask = lambda box, token: self.server.ask("GET", "/envs", headers={
            "E2b-Sandbox-Id": box["sandboxID"], **({"X-Access-Token": token} if token else {})})[0]
        self.assertEqual(ask(first, first["envdAccessToken"]), 200)
        for token in (None, "x", second["envdAccessToken"], self.key, first["envdAccessToken"][:-1]):
            self.assertEqual(ask(first, token), 401, token)
        status, _, answer = self.server.ask("GET", "/health", headers={"E2b-Sandbox-Id": "sb-none"})
        self.assertEqual(status, 502)
        self.assertIn("was not found", answer["message"])
        by_name = {"Host": f"49983-{first['sandboxID']}.sbx.test",
                   "X-Access-Token": first["envdAccessToken"]}
        self.assertEqual(self.server.ask("GET", "/envs", headers=by_name)[0], 200)

    def test_keys_are_apart(self):
        box = self.make()
        other = self.server.key("other")
        path = "/sandboxes/" + box["sandboxID"]
        self.assertEqual(self.api("GET", path)[0], 200)
        self.assertEqual(self.api("GET", path, key=other)[0], 404)
        self.assertEqual(self.api("DELETE", path, key=other)[0], 404)
        self.assertEqual(self.api("GET", "/v2/sandboxes", key=other)[2], [])
        listed = self.server.command("serve", "--state", self.server.state, "key", "list").stdout.decode()
        ident = next(line.split()[0] for line in listed.splitlines() if line.endswith(" other"))
        self.server.command("serve", "--state", self.server.state, "key", "revoke", ident)
        self.assertEqual(self.api("GET", "/v2/sandboxes", key=other)[0], 401)

    def test_keys_are_not_kept(self):
        for folder, _, names in os.walk(self.server.state):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in names:
                path = os.path.join(folder, name)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
                with open(path, "rb") as file:
                    self.assertNotIn(self.key.encode(), file.read(), path)
        with open(self.server.log, encoding="utf-8") as file:
            log = file.read()
        self.assertNotIn(self.key, log)
        self.assertNotIn("signature", log)

    def test_streams_need_whole_envelopes(self):
        box = self.make()
        head = {"E2b-Sandbox-Id": box["sandboxID"], "X-Access-Token": box["envdAccessToken"]}
        ask = lambda body, kind="application/connect+json": self.server.ask(
            "POST", "/process.Process/Start", body, {**head, "Content-Type": kind})[0]
        for body in (b"", b"\0\0\0\0", b"\0\0\0\0\x05{}", b"\0\xff\xff\xff\xff", b"\1\0\0\0\2{}",
                     b"\2\0\0\0\2{}", b"\0\0\0\0\2[]", b"\0\0\0\0\3{]}"):
            self.assertEqual(ask(body), 400, body)
        self.assertEqual(ask(b"\0\0\0\0\2{}", "application/grpc"), 415)
        self.assertEqual(self.server.ask("GET", "/process.Process/Start", headers=head)[0], 405)
        self.assertEqual(self.server.ask("POST", "/process.Process/None", headers=head)[0], 404)
        status, _, data = self.server.ask("POST", "/process.Process/Start", b"\0\0\0\0\2{}",
                                          {**head, "Content-Type": "application/connect+json"}, raw=True)
        self.assertEqual((status, data[0]), (200, 2))
        self.assertIn(b"invalid_argument", data)

    def test_garbage_does_not_hurt(self):
        for data in (b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" * 9999,
                     b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                     b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"GET /" + b"A" * 500000 + b" HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as sock:
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass  # cut off in the middle is a fine answer
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)


class Sockets(servecase.ServeCase):
    options = ("--rate", "0")
    threads, each = 16, 80

    def follow(self, path):
        """The bytes of a WebSocket that the server ends at once."""
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self.key}",
                 "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==", "", ""]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as client:
            client.sendall("\r\n".join(lines).encode())
            answer = b""
            while got := client.recv(4096):
                answer += got
        return answer

    def test_many_short_ones(self):
        """libmicrohttpd may free a connection while it is being closed: nothing is lost, nothing breaks."""
        head = {"Authorization": "Bearer " + self.key}
        box = self.server.ask("POST", "/api/sandbox", {}, head)[2]["id"]
        sessions = f"/toolbox/{box}/process/session"
        self.server.ask("POST", sessions, {"sessionId": "s"}, head)
        command = self.server.ask("POST", sessions + "/s/exec", {"command": "true"}, head)[2]["cmdId"]
        path = f"{sessions}/s/command/{command}/logs?follow=true"
        wrong = []

        def many():
            for _ in range(self.each):
                answer = self.follow(path)
                if b" 101 " not in answer or not answer.endswith(b"\x88\x02\x03\xe8"):
                    wrong.append(answer)

        threads = [threading.Thread(target=many) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.server.ask("DELETE", f"/api/sandbox/{box}", None, head)[0], 200)


class Restarted(servecase.ServeCase):
    def test_sandboxes_outlive_the_server(self):
        head = {"X-API-Key": self.key}
        box = self.server.ask("POST", "/v2/sandboxes", {"templateID": "base", "metadata": {"k": "v"}},
                              head)[2]
        gone = self.server.ask("POST", "/v2/sandboxes", {"templateID": "base"}, head)[2]
        self.assertEqual(self.server.stop(), 0)
        self.server.command("destroy", gone["sandboxID"])
        self.server.start()
        listed = self.server.ask("GET", "/v2/sandboxes", headers=head)[2]
        self.assertEqual([(b["sandboxID"], b["metadata"]) for b in listed],
                         [(box["sandboxID"], {"k": "v"})])
        envd = {"E2b-Sandbox-Id": box["sandboxID"], "X-Access-Token": box["envdAccessToken"]}
        self.assertEqual(self.server.ask("GET", "/health", headers=envd)[0], 204)
        self.assertEqual(self.server.ask("DELETE", "/sandboxes/" + box["sandboxID"], headers=head)[0], 204)

    def test_a_port_that_is_taken(self):
        done = self.server.command("serve", "--state", self.server.state, "--port",
                                   str(self.server.port), check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"cannot listen on 127.0.0.1", done.stderr)

    def test_no_auth_only_on_loopback(self):
        done = self.server.command("serve", "--state", self.server.state, "--no-auth", "--listen",
                                   "0.0.0.0", "--port", "0", check=False)
        self.assertEqual(done.returncode, 2)


    def test_beyond_loopback_only_with_tls(self):
        done = self.server.command("serve", "--state", self.server.state, "--listen", "0.0.0.0", "--port",
                                   "0", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--tls-cert", done.stderr)

    def test_the_socket_that_is_passed_counts(self):
        with socket.create_server(("0.0.0.0", 0)) as listener:
            done = subprocess.run(
                ["/bin/sh", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh",
                 servecase.SERVE, "--state", self.server.state], env=self.server.env, check=False,
                pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        self.assertEqual((done.returncode, b"on 0.0.0.0" in done.stderr), (2, True), done.stderr)

    def test_no_debug_sandbox_unless_asked_for(self):
        self.assertEqual(self.server.ask("GET", "/health", headers={"E2b-Sandbox-Id": "debug_sandbox_id"})[0],
                         502)


class Limited(servecase.ServeCase):
    options = ("--rate", "5")

    def test_too_many_requests(self):
        answers = [self.server.ask("GET", "/v2/sandboxes", headers={"X-API-Key": self.key})
                   for _ in range(30)]
        refused = [headers for status, headers, _ in answers if status == 429]
        self.assertEqual(answers[0][0], 200)
        self.assertTrue(refused)
        self.assertGreaterEqual(int(refused[0]["Retry-After"]), 1)

    def test_wrong_keys_are_slowed_down(self):
        statuses = [self.server.ask("GET", "/v2/sandboxes", headers={"X-API-Key": "wrong"})[0]
                    for _ in range(30)]
        self.assertEqual(statuses[0], 401)
        self.assertEqual(statuses[-1], 429)


if __name__ == "__main__":
    unittest.main()
