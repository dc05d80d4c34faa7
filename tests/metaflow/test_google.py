# SPDX-License-Identifier: Apache-2.0
"""Sandboxes of this machine with Google's storage, against an emulator of it on this machine's loopback; runs with an
interpreter that has google-cloud-storage, google-auth and gcp-storage-emulator."""
import subprocess
import sys

import flowcase
import sandboxcase

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


class Google(flowcase.FlowCase):
    def test_artifacts_and_logs_go_through_the_server(self):
        server = subprocess.Popen([flowcase.PYTHON, "-c", SERVE], env=self.env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(server.communicate)
        port = server.stdout.readline().strip()
        env = {"METAFLOW_DEFAULT_DATASTORE": "gs", "METAFLOW_DATASTORE_SYSROOT_GS": "gs://bucket/mf",
               "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "GCE_METADATA_HOST": f"127.0.0.1:{port}",
               "GCE_METADATA_IP": f"127.0.0.1:{port}",
               "NO_PROXY": "*", "no_proxy": "*"}
        self.flow("bucket.py", "run", env=env)
        self.assertEqual({"successful": True, "total": 6, "stdout": ["out of 1\n", "out of 2\n"], "kind": "gs"},
                         self.client(FACTS, env=env))
        self.assertEqual([], self.stages())


if __name__ == "__main__":
    wanted = "import google.cloud.storage, google.auth, gcp_storage_emulator.server"
    if subprocess.run([flowcase.find_python() or "false", "-c", wanted], check=False,
                      stdin=subprocess.DEVNULL, capture_output=True).returncode:
        print("1..0 # SKIP no emulator: pip install google-cloud-storage google-auth gcp-storage-emulator")
        sys.exit(sandboxcase.SKIP)
    flowcase.main()
