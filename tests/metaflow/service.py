# SPDX-License-Identifier: Apache-2.0
"""A metadata service in memory: as much of it as one flow needs, and what it was told."""
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service:
    def __init__(self):
        self.posts, self.lock, self.count = [], threading.Lock(), 0
        self.before_answer = lambda path: None  # a test may hold or end the asker here
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
                self.answer(200, service.get(self.path))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                self.answer(*service.post(self.path, body, dict(self.headers)))

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who asked is gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(self, path, body, headers):
        self.before_answer(path)
        with self.lock:
            self.posts.append((path, body, headers))
            self.count += 1
            new = {**(body if isinstance(body, dict) else {}), "run_number": self.count, "task_id": self.count}
        if path.endswith("/heartbeat"):
            return 200, json.dumps({"wait_time_in_seconds": 10})
        return 200, new

    def get(self, path):
        """Lists of records are kept; whatever else is asked for exists."""
        found = re.search(r"/steps/(\w+)/tasks/\w+/(metadata|artifacts)$", path)
        return [record for record, _ in self.told(found[2].rstrip("s"), found[1])] if found else {}

    def told(self, kind, step):
        """Records of a kind about a step, with the headers they came with."""
        return [(record, headers) for path, body, headers in self.posts
                if re.search(rf"/steps/{step}/tasks/\d+/{kind}$", path)
                for record in (body if isinstance(body, list) else [body])]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
