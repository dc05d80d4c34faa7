# SPDX-License-Identifier: Apache-2.0
"""A metadata service in memory: as much of it as one flow needs, and what it was told."""
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service:
    def __init__(self):
        self.posts, self.lock, self.count = [], threading.Lock(), 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("METADATA_SERVICE_VERSION", "2.5.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(200, {})  # whatever is asked for exists

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                self.answer(*service.post(self.path, body, dict(self.headers)))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(self, path, body, headers):
        with self.lock:
            self.posts.append((path, body, headers))
            self.count += 1
            new = {**(body if isinstance(body, dict) else {}), "run_number": self.count, "task_id": self.count}
        if path.endswith("/heartbeat"):
            return 200, json.dumps({"wait_time_in_seconds": 10})
        return 200, new

    def told(self, kind, step):
        """Records of a kind about a step, with the headers they came with."""
        return [(record, headers) for path, body, headers in self.posts
                if re.search(rf"/steps/{step}/tasks/\d+/{kind}$", path)
                for record in (body if isinstance(body, list) else [body])]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
