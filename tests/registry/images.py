# SPDX-License-Identifier: Apache-2.0
"""Images made of nothing but busybox, and registries to pull them from."""
import base64
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import tarfile
import threading
import time

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BUSYBOX = shutil.which("busybox")


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer:
    """A tar archive entry by entry."""

    def __init__(self):
        self.raw = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.raw, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, data=b"", kind=tarfile.REGTYPE, mode=0o755, link="", **facts):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname = kind, mode, link
        for key, value in facts.items():
            setattr(entry, key, value)
        entry.size = len(data) if kind == tarfile.REGTYPE else 0
        self.tar.addfile(entry, io.BytesIO(data) if entry.size else None)
        return self

    def dir(self, name, mode=0o755, **facts):
        return self.add(name, kind=tarfile.DIRTYPE, mode=mode, **facts)

    def link(self, name, target):
        return self.add(name, kind=tarfile.SYMTYPE, link=target)

    def data(self):
        self.tar.close()
        return self.raw.getvalue()


def base_layer():
    with open(BUSYBOX, "rb") as file:
        program = file.read()
    layer = Layer().dir("bin").add("bin/busybox", program).dir("etc").dir("tmp", 0o1777)
    for name in ("sh", "cat", "ls", "id", "pwd", "env", "echo", "stat", "true"):
        layer.link("bin/" + name, "busybox")
    return layer.add("etc/passwd", b"root:x:0:0::/root:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n")


class Image:
    """Blobs and manifest of an image."""

    def __init__(self, layers, arch=ARCH, compress="gzip", **settings):
        self.blobs = {}
        parts = []
        ids = []
        for raw in layers:
            raw = raw.data() if isinstance(raw, Layer) else raw
            ids.append(digest(raw))
            kind, packed = LAYER, raw
            if compress == "gzip":
                kind, packed = LAYER + "+gzip", gzip.compress(raw, 1, mtime=0)
            elif compress == "zstd":
                kind = LAYER + "+zstd"
                packed = subprocess.run(["zstd", "-q", "-1", "-c"], input=raw, check=True,
                                        stdout=subprocess.PIPE).stdout
            parts.append(self.keep(packed, kind))
        config = json.dumps({"architecture": arch, "os": "linux", "config": settings,
                             "rootfs": {"type": "layers", "diff_ids": ids}}).encode()
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                                    "config": self.keep(config, CONFIG), "layers": parts}).encode()
        self.digest = digest(self.manifest)

    def keep(self, data, kind):
        self.blobs[digest(data)] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def descriptor(self, **more):
        return {"mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest), **more}

    def layout(self, path, name=None):
        """Writes OCI's image layout."""
        os.makedirs(os.path.join(path, "blobs/sha256"))
        for key, data in [*self.blobs.items(), (self.digest, self.manifest)]:
            with open(os.path.join(path, "blobs/sha256", key[7:]), "wb") as file:
                file.write(data)
        notes = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
        for file, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                            ("index.json", {"schemaVersion": 2,
                                            "manifests": [self.descriptor(**notes)]})):
            with open(os.path.join(path, file), "w", encoding="utf-8") as out:
                json.dump(value, out)

    def docker_save(self, path, name):
        """What `docker save` wrote before it kept to that layout, as a tar archive."""
        config = json.loads(self.manifest)["config"]["digest"]
        layers = json.loads(self.manifest)["layers"]
        with tarfile.open(path, "w") as tar:
            def put(file, data):
                entry = tarfile.TarInfo(file)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            put(config[7:] + ".json", self.blobs[config])
            names = []
            for i, layer in enumerate(layers):
                data = self.blobs[layer["digest"]]
                names.append(f"{i}/layer.tar")
                put(names[-1], data)
            put("manifest.json", json.dumps([{"Config": config[7:] + ".json", "RepoTags": [name],
                                              "Layers": names}]).encode())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DebianRegistry:
    """Debian's docker-registry, with files of its own."""

    def __init__(self, base):
        program = shutil.which("docker-registry")
        self.process = None
        if not program:
            return
        self.port = free_port()
        config = os.path.join(base, "registry.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: "
                       f"{{rootdirectory: {base}/registry}}\nhttp: {{addr: '127.0.0.1:{self.port}'}}\n")
        with open(os.path.join(base, "registry.log"), "wb") as log:
            self.process = subprocess.Popen([program, "serve", config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.name = f"127.0.0.1:{self.port}"
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if self.ask("GET", "/v2/")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("docker-registry did not start")

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def put_manifest(self, repository, reference, data, kind=MANIFEST):
        status, _, body = self.ask("PUT", f"/v2/{repository}/manifests/{reference}", data,
                                   {"Content-Type": kind})
        assert status == 201, body

    def push(self, repository, tag, image):
        for key, data in image.blobs.items():
            status, headers, body = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
            assert status == 202, body
            place = headers["Location"].split("/", 3)[3]
            status, _, body = self.ask("PUT", f"/{place}&digest={key}", data,
                                       {"Content-Type": "application/octet-stream"})
            assert status == 201, body
        self.put_manifest(repository, tag, image.manifest)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Misbehaving(http.server.ThreadingHTTPServer):
    """A registry that does what the test wants: `images` by repository, `rules` change answers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server_port}"
        self.images = {}
        self.seen = []      # method and path, and the header Range
        self.tokens = None  # (user, password) that gives tokens
        self.basic = None
        self.rule = None    # called with the handler before it answers; True: has answered
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        """Clients that are killed, or that have seen enough."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def allowed(self):
        server, given = self.server, self.headers["Authorization"] or ""
        if server.basic:
            wanted = "Basic " + base64.b64encode(":".join(server.basic).encode()).decode()
            if given != wanted:
                self.answer(401, WWW_Authenticate='Basic realm="x"')
                return False
        if server.tokens is not None and given != "Bearer good":
            self.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.name}/token",'
                                              'service="test",scope="repository:x:pull"')
            return False
        return True

    def give_token(self):
        given = self.headers["Authorization"]
        user, password = self.server.tokens or ("", "")
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        if user and given != wanted:
            self.answer(401)
        else:
            self.answer(200, b'{"token": "good"}', Content_Type="application/json")

    def do_GET(self):
        server = self.server
        with server.lock:
            server.seen.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        if self.path.startswith("/token"):
            self.give_token()
            return
        if server.rule and server.rule(self):
            return
        if self.allowed():
            self.content()

    def content(self):
        parts = self.path.split("/")  # /v2/NAME/kind/reference
        image = self.server.images.get("/".join(parts[2:-2]))
        if not image:
            self.answer(404, b'{"errors": [{"code": "NAME_UNKNOWN", "message": "no such \\u001b[31mthing"}]}')
        elif parts[-2] == "manifests":
            self.answer(200, image.manifest, Content_Type=MANIFEST)
        elif parts[-1] not in image.blobs:
            self.answer(404)
        else:
            self.blob(image.blobs[parts[-1]])

    def blob(self, data):
        start = self.headers["Range"]
        if not start:
            self.answer(200, data)
            return
        first = int(start[6:].rstrip("-"))
        self.answer(206, data[first:], Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")
