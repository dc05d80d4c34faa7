# SPDX-License-Identifier: Apache-2.0
"""Ports of sandboxes through the server, and code as e2b-code-interpreter runs it."""
import base64
import http.client
import os
import socket
import time
import unittest

import servecase

servecase.require("e2b", "e2b_code_interpreter", "daytona")

import daytona  # noqa: E402
import e2b_code_interpreter as e2b  # noqa: E402

APP = r"""
import hashlib, base64, http.server, sys
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_GET(self):
        key = self.headers["Sec-WebSocket-Key"]
        if key:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            self.send_response(101)
            for pair in (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                         ("Sec-WebSocket-Accept", base64.b64encode(digest).decode())):
                self.send_header(*pair)
            self.end_headers()
            self.connection.sendall(b"hello " + self.connection.recv(100) + b"." * 8000000)
            self.close_connection = True
            return
        seen = "|".join((self.path, self.headers["Host"], self.headers["X-Access-Token"] or "-",
                         self.headers["X-Own"] or "-", self.headers["Cookie"] or "-"))
        self.send_response(101 if self.path == "/switch" else 201)
        self.send_header("X-From", "inside")
        if self.path == "/many":
            for pair in (("Content-Length ", "1"), ("Set-Cookie", "a=b; Path=/"), ("NEL", "{}")):
                self.send_header(*pair)
            for i in range(70):
                self.send_header(f"X-{i}", "x")
        self.send_header("Content-Length", str(len(seen)))
        self.end_headers()
        self.wfile.write(seen.encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(len(body)).encode())
        self.close_connection = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), App)
print("up", flush=True)
server.serve_forever()
"""


class PortsCase(servecase.ServeCase):
    options = ("--warm", "0", "--rate", "0")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ.update(E2B_API_KEY=cls.key, E2B_API_URL=cls.server.url, E2B_SANDBOX_URL=cls.server.url)
        cls.config = daytona.DaytonaConfig(api_key=cls.key, api_url=cls.server.url + "/api")
        cls.boxes = []

    @classmethod
    def tearDownClass(cls):
        try:
            for box in cls.boxes:
                getattr(box, "kill", getattr(box, "delete", None))()
        finally:
            super().tearDownClass()

    @classmethod
    def keep(cls, box):
        cls.boxes.append(box)
        return box

    def get(self, path, host=None, method="GET", body=None, **headers):
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.ask(method, path, body, {**more, **({"Host": host} if host else {})}, raw=True)


def start_app(box):
    command = box.commands.run(f"python3 -c \"$APP\" & until true </dev/tcp/127.0.0.1/8000; do sleep 0.02; done"
                               " 2>/dev/null", envs={"APP": APP}, background=True)
    for out, _, _ in command:
        if out:
            break


class E2B(PortsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box = cls.keep(e2b.Sandbox.create())
        start_app(cls.box)
        cls.host = f"8000-{cls.box.sandbox_id}.localhost"

    def test_a_request_goes_through(self):
        status, headers, body = self.get("/a/b?c=d", self.host, X_Own="yes", X_Access_Token="secret",
                                         Origin="https://elsewhere.example")
        self.assertEqual((status, headers["X-From"], body.decode()),
                         (201, "inside", f"/a/b?c=d|{self.host}|-|yes|-"))
        data = b"x" * 3000000
        self.assertEqual(self.get("/", self.host, "POST", data)[2], b"3000000")
        self.assertEqual(self.get("/", self.host, "POST", iter([data]))[2], b"3000000")

    def test_by_path_it_has_no_power_here(self):
        status, headers, body = self.get(f"/preview/8000-{self.box.sandbox_id}/x")
        self.assertEqual((status, body.split(b"|")[0]), (201, b"/x"))
        self.assertIn("sandbox", headers["Content-Security-Policy"])
        status, headers, body = self.get(f"/preview/8000-{self.box.sandbox_id}/many")
        self.assertEqual((status, body.split(b"|")[0], headers["Content-Length "]), (201, b"/many", None))
        self.assertIn("sandbox", headers["Content-Security-Policy"])
        self.assertEqual((headers["Set-Cookie"], headers["NEL"]),
                         (f"a=b; Path=/; Path=/preview/8000-{self.box.sandbox_id}", None))
        _, headers, _ = self.get("/many", self.host)
        self.assertEqual((headers["Set-Cookie"], headers["NEL"]), ("a=b; Path=/", "{}"))

    def test_a_name_of_its_own_has_all_paths(self):
        path = f"/preview/8001-{self.box.sandbox_id}/x"
        self.assertEqual(self.get(path, self.host)[2].split(b"|")[0], path.encode())

    def test_who_did_not_ask_for_another_protocol_gets_none(self):
        self.assertEqual(self.get("/switch", self.host)[0], 502)

    def test_websockets_go_through(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as wire:
            key = base64.b64encode(b"0123456789abcdef").decode()
            wire.sendall(f"GET / HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\n"
                         f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += wire.recv(1)
            self.assertIn(b"101 Switching", head)
            wire.sendall(b"you")
            time.sleep(0.3)  # whoever does not read is waited for
            said = bytearray()
            while piece := wire.recv(1 << 20):
                said += piece
            self.assertEqual((said[:9], len(said)), (b"hello you", 8000009))

    def test_what_is_not_there(self):
        status, _, body = self.get("/", f"8001-{self.box.sandbox_id}.localhost")
        self.assertEqual(status, 502)
        self.assertIn(b"port is not open", body)
        self.assertEqual(self.get("/", "8000-nobody.localhost")[0], 502)

    def test_who_tries_ports_leaves_room_for_others(self):
        box = self.keep(e2b.Sandbox.create())
        for port in range(9000, 9065):
            self.assertEqual(self.get("/", f"{port}-{box.sandbox_id}.localhost")[0], 502)
        start_app(box)
        self.assertEqual(self.get("/", f"8000-{box.sandbox_id}.localhost")[0], 201)

    def test_one_that_is_not_public(self):
        box = self.keep(e2b.Sandbox.create(network={"allow_public_traffic": False}))
        host = f"8000-{box.sandbox_id}.localhost"
        self.assertEqual(self.get("/", host)[0], 403)
        self.assertEqual(self.get("/", host, E2b_Traffic_Access_Token="wrong")[0], 403)
        self.assertEqual(self.get("/", host, E2b_Traffic_Access_Token=box.traffic_access_token)[0], 502)

    def test_code(self):
        run = self.box.run_code("import os\nx = 2\nprint('hi')\nx * 21", envs={"A": "b"})
        self.assertEqual((run.text, run.logs.stdout, run.error), ("42", ["hi\n"], None))
        self.assertEqual(self.box.run_code("1/0").error.name, "ZeroDivisionError")
        context = self.box.create_code_context(cwd="/tmp")
        self.assertEqual(self.box.run_code("import os; os.getcwd()", context=context).text, "'/tmp'")
        self.assertIn(context.id, [item.id for item in self.box.list_code_contexts()])
        self.box.run_code("y = 1", context=context)
        self.box.restart_code_context(context)
        self.assertEqual(self.box.run_code("y", context=context).error.name, "NameError")
        self.box.remove_code_context(context)
        with self.assertRaises(Exception):
            self.box.run_code("1", language="r")

    def test_code_needs_a_token(self):
        headers = {"E2b-Sandbox-Id": self.box.sandbox_id, "E2b-Sandbox-Port": "49999"}
        self.assertEqual(self.server.ask("POST", "/execute", {"code": "1"}, headers)[0], 401)


class Rules(PortsCase):
    """Rules of the network of a living sandbox, seen by whether it reaches a server of this machine."""

    @classmethod
    def setUpClass(cls):
        cls.listener = socket.create_server(("127.0.0.1", 0))
        port = cls.listener.getsockname()[1]
        cls.options = (*cls.options, "--allow", f"10.0.2.2:{port}")
        cls.probe = f"timeout 5 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port}' 2>/dev/null && echo yes || echo no"
        cls.silence = cls.probe.replace("timeout 5", "timeout 0.3")  # nothing answers at all
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.listener.close()
        super().tearDownClass()

    def test_private_addresses_are_the_operators(self):
        box = self.keep(e2b.Sandbox.create())
        for item in ("192.168.1.20", "10.0.0.0/8", "0.0.0.0/1", "100.64.1.0/24", "172.31.0.1:80", "0.0.0.0/0:80"):
            with self.assertRaisesRegex(Exception, "--allow-private"):
                box.update_network({"allow_out": ["example.com", item]})
        box.update_network({"allow_out": [self.options[-1], "192.0.2.1"]})  # that is opened by the operator
        self.assertEqual(box.commands.run(self.probe).stdout, "no\n")  # but never by a list alone
        box.update_network({"allow_out": ["0.0.0.0/0"]})
        self.assertEqual(box.commands.run(self.probe).stdout, "yes\n")
        with self.assertRaisesRegex(Exception, "--allow-private"):
            self.keep(e2b.Sandbox.create(network={"allow_out": ["192.168.0.0/16"]}))
        with self.assertRaisesRegex(Exception, "--allow-private"):
            self.keep(daytona.Daytona(self.config).create(
                daytona.CreateSandboxFromSnapshotParams(network_allow_list="10.1.0.0/16")))

    def test_e2b(self):
        box = self.keep(e2b.Sandbox.create())
        self.assertEqual(box.commands.run(self.probe).stdout, "yes\n")
        box.update_network({"deny_out": ["0.0.0.0/0"]})
        self.assertEqual(box.commands.run(self.silence).stdout, "no\n")
        box.update_network({"allow_out": ["192.0.2.1"]})
        self.assertEqual(box.commands.run(self.probe).stdout, "no\n")
        box.update_network({})
        self.assertEqual(box.commands.run(self.probe).stdout, "yes\n")
        with self.assertRaises(Exception):
            box.update_network({"allow_out": ["not a name!"]})
        self.assertEqual(box.commands.run(self.probe).stdout, "yes\n")
        box.update_network({"allow_internet_access": False})
        self.assertFalse(box.get_info().allow_internet_access)
        fork = self.keep(box.fork()[0])
        self.assertEqual(fork.commands.run(self.silence).stdout, "no\n")
        with self.assertRaises(Exception):  # it never had a network
            self.keep(e2b.Sandbox.create(allow_internet_access=False)).update_network({})

    def test_daytona(self):
        box = self.keep(daytona.Daytona(self.config).create())
        self.assertEqual(box.process.exec(self.probe).result, "yes\n")
        box.update_network_settings(network_block_all=True)
        self.assertEqual((box.network_block_all, box.process.exec(self.silence).result), (True, "no\n"))
        box.update_network_settings(network_block_all=False, network_allow_list="192.0.2.0/24")
        self.assertEqual((box.network_allow_list, box.process.exec(self.probe).result),
                         ("192.0.2.0/24", "no\n"))
        box.update_network_settings(network_allow_list="")
        self.assertEqual(box.process.exec(self.probe).result, "yes\n")


class PrivateNetwork(PortsCase):
    """A server whose operator lets clients name addresses of its network."""
    options = (*PortsCase.options, "--allow-private")

    def test_lists(self):
        box = self.keep(e2b.Sandbox.create(network={"allow_out": ["192.168.0.0/16"]}))
        box.update_network({"allow_out": ["10.0.0.0/8", "0.0.0.0/0"]})
        box = self.keep(daytona.Daytona(self.config).create(
            daytona.CreateSandboxFromSnapshotParams(network_allow_list="10.1.0.0/16")))
        self.assertEqual(box.network_allow_list, "10.1.0.0/16")


class Daytona(PortsCase):
    def test_addresses_of_a_port(self):
        box = self.keep(daytona.Daytona(self.config).create())
        box.process.create_session("app")
        request = daytona.SessionExecuteRequest(command="exec python3 -c \"$APP\"", run_async=True)
        box.update_env({"APP": APP})
        box.process.execute_session_command("app", request)
        box.process.exec("until true </dev/tcp/127.0.0.1/8000; do sleep 0.02; done 2>/dev/null")
        link = box.get_preview_link(8000)
        path = link.url.removeprefix(self.server.url)
        self.assertEqual(self.get(path)[0], 401)
        self.assertEqual(self.get(path, X_Daytona_Preview_Token="wrong")[0], 401)
        self.assertEqual(self.get(path, X_Daytona_Preview_Token=link.token)[0], 201)
        status, headers, _ = self.get(path + "?DAYTONA_SANDBOX_AUTH_KEY=" + link.token)
        self.assertEqual(status, 201)
        cookie, place = headers["Set-Cookie"].split("; ")[:2]
        self.assertEqual(place, "Path=" + path)
        status, _, body = self.get(path, Cookie=f"a=b; {cookie}; c=d")
        self.assertEqual((status, body.split(b"|")[-1]), (201, b"a=b; c=d"))
        self.assertEqual(self.get(path, Cookie=cookie)[2].split(b"|")[-1], b"-")
        signed = box.create_signed_preview_url(8000, expires_in_seconds=60)
        path = signed.url.removeprefix(self.server.url)
        self.assertEqual(self.get(path)[0], 201)
        self.assertEqual(self.get("/", f"8000-{signed.token}.localhost")[0], 201)
        self.assertEqual(self.get("/", f"8001-{signed.token}.localhost")[0], 502)
        box.expire_signed_preview_url(8000, signed.token)
        self.assertEqual(self.get(path)[0], 502)
        with self.assertRaises(daytona.DaytonaError):
            box.expire_signed_preview_url(8000, signed.token)
        box.set_public(True)
        self.assertEqual(self.get(link.url.removeprefix(self.server.url))[0], 201)


if __name__ == "__main__":
    unittest.main(verbosity=2)
