# SPDX-License-Identifier: Apache-2.0
"""Clients that find the server by wildcard names, over TLS with an authority of one's own, in a network
namespace with a name server that knows one address. As root."""
import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.request

import servecase

DOMAIN = "sbx.test"
MARK = "SANDBOXES_TEST_NAMES"


def enter():
    """Starts this program again where port 443 and /etc/resolv.conf are its own."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("openssl"):
        print("1..0 # SKIP needs root, unshare and openssl")
        sys.exit(servecase.SKIP)
    script = ("ip link set lo up && printf 'nameserver 127.0.0.1\\n' >\"$1/resolv.conf\" && "
              'mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"')
    base = subprocess.run(["mktemp", "-d"], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    done = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", script, "sh", base, sys.executable,
                           *sys.argv], env={**os.environ, MARK: "1"}, check=False)
    shutil.rmtree(base)
    sys.exit(done.returncode)


def answer_names():
    """A name server: every name has the address 127.0.0.1 and no other kind of record."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, peer = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        known = query[end - 4:end - 2] == b"\0\1"
        reply = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if known else b"\0\0") + b"\0\0\0\0" + query[12:end]
        if known:
            reply += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([127, 0, 0, 1])
        server.sendto(reply, peer)


def make_certificates(base):
    """An authority, and a certificate of it for the server."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=base, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=" + DOMAIN)
    with open(os.path.join(base, "ext"), "w", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "tls.pem", "-days", "2", "-extfile", "ext")


class Names(servecase.ServeCase):
    @classmethod
    def setUpClass(cls):
        threading.Thread(target=answer_names, daemon=True).start()
        cls.certificates = servecase.tempfile.mkdtemp(prefix="sbx-tls-")
        make_certificates(cls.certificates)
        cls.authority = os.path.join(cls.certificates, "ca.pem")
        cls.options = ("--port", "443", "--domain", DOMAIN,
                       "--tls-cert", os.path.join(cls.certificates, "tls.pem"),
                       "--tls-key", os.path.join(cls.certificates, "tls.key"))
        os.environ["SSL_CERT_FILE"] = cls.authority
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.certificates)

    def test_python_e2b(self):
        try:
            from e2b import Sandbox
        except ImportError as error:
            self.skipTest(str(error))
        box = Sandbox.create(timeout=60, domain=DOMAIN, api_key=self.key)
        try:
            self.assertEqual(box.commands.run("echo by name").stdout, "by name\n")
            box.files.write("/tmp/a b", "signed")
            self.assertEqual(box.files.read("/tmp/a b"), "signed")
            url = box.download_url("/tmp/a b", use_signature_expiration=60)
            self.assertIn(f"https://49983-{box.sandbox_id}.{DOMAIN}", url)
            with urllib.request.urlopen(url, timeout=10) as answer:
                self.assertEqual(answer.read(), b"signed")
        finally:
            self.assertTrue(box.kill())

    def test_python_daytona(self):
        try:
            from daytona import Daytona, DaytonaConfig
        except ImportError as error:
            self.skipTest(str(error))
        client = Daytona(DaytonaConfig(api_key=self.key, api_url=f"https://api.{DOMAIN}/api"))
        box = client.create()
        try:
            self.assertEqual(box.process.exec("echo by name").result, "by name\n")
            box.fs.upload_file(b"data", "/tmp/a")
            self.assertEqual(box.fs.download_file("/tmp/a"), b"data")
        finally:
            box.delete()

    def test_python_asynchronous(self):
        try:
            from daytona import AsyncDaytona, DaytonaConfig
            from e2b import AsyncSandbox
        except ImportError as error:
            self.skipTest(str(error))

        async def by_e2b():
            box = await AsyncSandbox.create(timeout=60, domain=DOMAIN, api_key=self.key)
            try:
                await box.files.write("/tmp/a", "by name")
                return (await box.commands.run("cat /tmp/a")).stdout
            finally:
                await box.kill()

        async def by_daytona():
            async with AsyncDaytona(DaytonaConfig(api_key=self.key, api_url=f"https://api.{DOMAIN}/api")) as client:
                box = await client.create()
                try:
                    await box.fs.upload_file(b"by name", "/tmp/a")
                    return (await box.process.exec("cat /tmp/a")).result
                finally:
                    await box.delete()

        self.assertEqual(("by name", "by name"), (asyncio.run(by_e2b()), asyncio.run(by_daytona())))

    def test_javascript(self):
        import test_javascript
        if not os.path.exists(os.path.join(test_javascript.MODULES, "e2b")):
            self.skipTest("the JavaScript clients are not there")
        common = {"NODE_EXTRA_CA_CERTS": self.authority}
        test_javascript.drive(self, E2B_API_KEY=self.key, E2B_DOMAIN=DOMAIN, **common)
        test_javascript.drive(self, DAYTONA_API_KEY=self.key, DAYTONA_API_URL=f"https://api.{DOMAIN}/api",
                              **common)

    def test_without_the_authority(self):
        with self.assertRaises(ssl.SSLError):
            with socket.create_connection(("127.0.0.1", 443), 10) as plain:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.wrap_socket(plain, server_hostname="api." + DOMAIN)


if __name__ == "__main__":
    servecase.require()
    if MARK not in os.environ:
        enter()
    unittest.main()
