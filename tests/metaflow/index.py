# SPDX-License-Identifier: Apache-2.0
"""A package index on this machine's loopback with what Metaflow needs for S3, made of what is installed here. Of
botocore's descriptions of services only those that are used: so installing takes a second."""
import functools
import http.server
import importlib.metadata
import os
import threading
import zipfile

NAMES = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3", "requests", "idna",
         "certifi", "charset-normalizer")
SERVICES = ("s3", "sts")


def wanted(path):
    parts = path.split("/")
    if ".." in parts or path.endswith((".pyc", ".so")) or parts[-1] in ("direct_url.json", "INSTALLER", "REQUESTED"):
        return False
    return len(parts) < 4 or parts[:2] not in (["botocore", "data"], ["boto3", "data"]) or parts[2] in SERVICES


def write_wheel(name, folder):
    found = importlib.metadata.distribution(name)
    os.makedirs(folder)
    wheel = f"{name.replace('-', '_')}-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as file:
        for path in filter(lambda path: wanted(str(path)), found.files):
            text = path.read_binary()
            if path.name == "WHEEL":
                text = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            elif path.name == "RECORD":
                text = b""
            file.writestr(str(path), text)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(directory):
    """The server, and its port."""
    for name in NAMES:
        write_wheel(name, os.path.join(directory, "simple", name))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    import sys
    print(serve(sys.argv[1]).server_port, flush=True)
    sys.stdin.read()
