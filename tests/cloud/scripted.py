# SPDX-License-Identifier: Apache-2.0
"""A server on loopback that says what a test tells it to, and keeps what it was asked."""
import http.server
import json
import socket
import struct
import subprocess
import threading
import urllib.parse


class Asked:
    """One request."""

    def __init__(self, handler, body):
        self.method = handler.command
        self.path, _, query = handler.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def frames(self):
        """Messages of a Connect stream."""
        found, rest = [], self.body
        while rest:
            flags, size = struct.unpack(">BI", rest[:5])
            found.append((flags, json.loads(rest[5:5 + size])))
            rest = rest[5 + size:]
        return found


class Answer:
    def __init__(self, status=200, body=None, headers=None, raw=None, cut=False):
        self.status, self.headers, self.raw, self.cut = status, dict(headers or {}), raw, cut
        self.body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()


CUT = Answer(cut=True)  # the connection is closed without a word


def frame(message, flags=0):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", flags, len(data)) + data


def stream(*messages, end=b"{}"):
    body = b"".join(frame(message) for message in messages)
    if end is not None:
        body += frame(end, 2)
    return Answer(200, body, {"Content-Type": "application/connect+json"})


class Server(http.server.ThreadingHTTPServer):
    """`routes` is a list of (method, path prefix, answer or function of Asked)."""
    daemon_threads = True

    def __init__(self, routes):
        self.routes, self.asked, self.guard = routes, [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients that go away are what some tests are about

    def count(self, method, path):
        return len([a for a in self.asked if a.method == method and a.path == path])

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_any(self):
        asked = Asked(self, self.read_body())
        with self.server.guard:
            self.server.asked.append(asked)
            answer = self.find(asked)
        if answer.cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer.raw is not None:
            self.close_connection = True
            for piece in answer.raw if not isinstance(answer.raw, bytes) else [answer.raw]:
                self.wfile.write(piece)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def find(self, asked):
        for method, prefix, answer in self.server.routes:
            if asked.method == method and asked.path.startswith(prefix):
                return answer(asked) if callable(answer) else answer
        return Answer(404, {"code": 404, "message": "no such route"})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def run(argv, env, **options):
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False, **options)
