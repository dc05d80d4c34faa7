# SPDX-License-Identifier: Apache-2.0
"""Services that can't be reached as they should: certificates, names, ports, slow and half-closed connections."""
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from sandboxcase import COMMAND, OUR_FAILURE, SKIP
from scripted import run

OPENSSL = shutil.which("openssl")
EMPTY = {"e2b": b"[]", "daytona": b'{"items":[],"nextCursor":null}'}


def openssl(*words, cwd):
    subprocess.run([OPENSSL, *words], cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_authority(folder):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2", cwd=folder)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
            "-out", "request", "-subj", "/CN=server", cwd=folder)
    for name, days, names in (("good", "2", "IP:127.0.0.1"), ("expired", "-1", "IP:127.0.0.1"),
                              ("other", "2", "DNS:other.example")):
        with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
            file.write("subjectAltName=" + names)
        openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
                "-extfile", "names", "-out", name + ".pem", cwd=folder)


class Listener:
    """Answers each connection with `talk`, which gets the connected socket."""

    def __init__(self, talk, context=None):
        self.talk, self.context = talk, context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.talk(connection)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def say(body):
    def talk(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    return talk


class Reach(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="sbx-")
        if OPENSSL:
            make_authority(cls.work.name)

    @classmethod
    def tearDownClass(cls):
        cls.work.cleanup()

    def list_at(self, provider, url, **env):
        own = {"e2b": {"E2B_API_KEY": "key-canary", "E2B_API_URL": url},
               "daytona": {"DAYTONA_API_KEY": "key-canary", "DAYTONA_API_URL": url}}
        began = time.monotonic()
        result = run([COMMAND, "list", "-p", provider],
                     {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": self.work.name, "HOME": self.work.name,
                      "NO_PROXY": "*", "no_proxy": "*", **own[provider], **env})
        self.assertLess(time.monotonic() - began, 30)
        self.assertNotIn(b"canary", result.stdout + result.stderr)
        return result

    def fails(self, provider, url, *words, **env):
        result = self.list_at(provider, url, **env)
        said = result.stderr.decode().lower()
        self.assertEqual(OUR_FAILURE, result.returncode, result)
        self.assertTrue(any(word in said for word in words), result)

    def each(self, talk, check, context=None):
        for provider, body in EMPTY.items():
            with self.subTest(provider):
                server = Listener(talk or say(body), context)
                check(provider, server.port)
                server.close()

    @unittest.skipUnless(OPENSSL, "no openssl to make certificates with")
    def test_certificates_must_be_good(self):
        authority = os.path.join(self.work.name, "ca.pem")
        for name, words in (("good", None), ("expired", "expired"), ("other", "127.0.0.1")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(os.path.join(self.work.name, name + ".pem"), os.path.join(self.work.name, "key.pem"))

            def check(provider, port):
                url = f"https://127.0.0.1:{port}"
                if words:
                    self.fails(provider, url, words, SSL_CERT_FILE=authority)
                    return
                result = self.list_at(provider, url, SSL_CERT_FILE=authority)
                self.assertEqual(0, result.returncode, result)
                self.fails(provider, url, "certificate", "issuer")  # of nobody that the system knows
            self.each(None, check, context)

    def test_no_tls_where_it_should_be(self):
        self.each(None, lambda provider, port: self.fails(provider, f"https://127.0.0.1:{port}", "tls", "ssl"))

    def test_names_and_ports_that_are_not_there(self):
        for provider in EMPTY:
            with self.subTest(provider):
                self.fails(provider, "http://no-such-host.invalid", "resolve", "no-such-host.invalid")
                with socket.create_server(("127.0.0.1", 0)) as free:
                    port = free.getsockname()[1]
                self.fails(provider, f"http://127.0.0.1:{port}", "connect", "refused")

    def test_connections_that_end_too_early(self):
        def half_closed(connection):
            connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

        def cut(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")

        def slow(connection):
            connection.recv(65536)
            for piece in (b"HTTP/1.1 503 Busy\r\n", b"Retry-After: 100\r\n", b"Content-Length: 2\r\n", b"\r\n", b"{}"):
                connection.sendall(piece)
                time.sleep(0.03)

        for talk in (half_closed, cut, slow):
            with self.subTest(talk.__name__):
                self.each(talk, lambda provider, port: self.fails(provider, f"http://127.0.0.1:{port}", "error: "))


if __name__ == "__main__":
    module = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(COMMAND))), "src/sandboxes-cloud.so")
    if not os.path.exists(module):
        print("1..0 # SKIP built without libcurl and jansson")
        raise SystemExit(SKIP)
    unittest.main()
