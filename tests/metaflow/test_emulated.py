# SPDX-License-Identifier: Apache-2.0
"""Sandboxes of this machine with Google's and Azure's storage, against emulators on this machine's loopback. What these and
Metaflow's clients need is fetched for the test, into an environment of its own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import flowcase
import sandboxcase

PACKAGES = ("metaflow", "google-cloud-storage", "google-auth", "gcp-storage-emulator", "azure-identity", "azure-storage-blob")
CERTIFICATE_INSIDE = "/tmp/emulator.pem"
# Of Azurite's account, as its documentation has it.
ACCOUNT = "devstoreaccount1"
MAKE_CONTAINER = """
import os
import azure_login
from azure.storage.blob import BlobServiceClient
BlobServiceClient(os.environ["METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT"], azure_login.Credential()).create_container("bucket")
"""
# The emulator, and on its port what a machine of Google's asks for a token.
SERVE = """
import json, sys, threading
from functools import partial
from http.server import ThreadingHTTPServer
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

ANSWERS = {"project/project-id": "project", "universe/universe-domain": "googleapis.com"}
TOKEN = {"access_token": "x", "expires_in": 3600, "token_type": "Bearer"}
ACCOUNT = {"email": "a@b", "scopes": [], "aliases": ["default"]}

class Handler(RequestHandler):
    def do_GET(self):
        if not (self.path == "/" or self.path.startswith("/computeMetadata")):
            return super().do_GET()
        name = self.path.partition("?")[0].removeprefix("/computeMetadata/v1/")
        text = ANSWERS.get(name) or json.dumps(TOKEN if name.endswith("/token") else ACCOUNT)
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/text" if name in ANSWERS else "application/json")
        self.end_headers()
        self.wfile.write(text.encode())

# Without an address of its own the client asks where it asked before: inside that is another.
make = objects._make_object_resource
objects._make_object_resource = lambda *words, **more: {
    name: value for name, value in make(*words, **more).items() if name != "mediaLink"}
storage = Storage(use_memory_fs=True)
storage.create_bucket("bucket", {"kind": "storage#bucket", "id": "bucket", "name": "bucket"})
server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, storage))
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"""
FACTS = """
run = Flow("Bucket").latest_run
out = dict(successful=run.successful, total=run.data.total, stdout=sorted(task.stdout for task in run["each"]),
           kind=next(iter(run["each"])).metadata_dict["ds-type"])
"""


class Emulated(flowcase.FlowCase):
    def check(self, kind, env, inside):
        self.lay_out()
        env = {**env, "METAFLOW_DEFAULT_DATASTORE": kind, "INSIDE": json.dumps(inside), "NO_PROXY": "*", "no_proxy": "*"}
        self.flow("bucket.py", "run", env=env)
        login = "import azure_login; azure_login.install()" if kind == "azure" else ""
        self.assertEqual({"successful": True, "total": 6, "stdout": ["out of 1\n", "out of 2\n"], "kind": kind},
                         self.client(login + FACTS, env=env))
        self.assertEqual([], self.stages())

    def serve(self, *command, **options):
        server = subprocess.Popen(command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, **options)
        self.addCleanup(lambda: (server.terminate(), server.communicate()))
        return server

    def test_google(self):
        port = self.serve(flowcase.PYTHON, "-c", SERVE).stdout.readline().strip()
        machine = {"GCE_METADATA_HOST": f"10.0.2.2:{port}", "GCE_METADATA_IP": f"10.0.2.2:{port}"}
        server = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}
        self.check("gs", {**server, **{name: f"127.0.0.1:{port}" for name in machine},
                          "METAFLOW_DATASTORE_SYSROOT_GS": "gs://bucket/mf"}, {**machine, **server})

    @unittest.skipUnless(shutil.which("npm") and shutil.which("openssl"), "needs npm, for Azurite, and openssl")
    def test_azure(self):
        self.lay_out()
        folder = os.path.join(self.base, "azurite")
        os.mkdir(folder)
        if subprocess.run(["npm", "install", "--prefix", folder, "--no-fund", "--no-audit", "--no-package-lock", "azurite"],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
            self.skipTest("npm cannot install azurite")
        pem, key = os.path.join(folder, "ca.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-days", "2",
                        "-subj", "/CN=emulator", "-addext", "subjectAltName=IP:127.0.0.1,IP:10.0.2.2"], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
        server = self.serve(os.path.join(folder, "node_modules/.bin/azurite-blob"), "--blobPort", "0", "--inMemoryPersistence",
                            "--skipApiVersionCheck", "--disableTelemetry", "--oauth", "basic", "--cert", pem, "--key", key, cwd=folder)
        port = next(line for line in server.stdout if "listens on" in line).strip().rsplit(":", 1)[1]
        env = {"METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT": f"https://127.0.0.1:{port}/{ACCOUNT}",
               "METAFLOW_DATASTORE_SYSROOT_AZURE": "bucket/mf", "REQUESTS_CA_BUNDLE": pem,
               "METAFLOW_SANDBOX_UPLOADS": json.dumps([{"local": pem, "remote": CERTIFICATE_INSIDE}])}
        subprocess.run([flowcase.PYTHON, "-c", MAKE_CONTAINER], cwd=self.work, env={**self.env, **env}, check=True,
                       stdin=subprocess.DEVNULL)
        self.check("azure", env, {"REQUESTS_CA_BUNDLE": CERTIFICATE_INSIDE})


def main():
    with tempfile.TemporaryDirectory(prefix="mf-clouds-") as folder:
        if not os.environ.get("METAFLOW_TEST_PYTHON"):
            os.environ["METAFLOW_TEST_PYTHON"] = os.path.join(folder, "bin/python")
            for command in ([sys.executable, "-m", "venv", folder],
                            [os.path.join(folder, "bin/pip"), "install", "--quiet", *PACKAGES]):
                if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
                    print(f"1..0 # SKIP no {', '.join(PACKAGES)}: pip cannot install them")
                    sys.exit(sandboxcase.SKIP)
        flowcase.main()


if __name__ == "__main__":
    main()
