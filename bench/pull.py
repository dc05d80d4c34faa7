#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images of a registry, beside what bounds them. usage: bench/pull.py [BUILD] [ROUNDS]

An image of this machine's own programs and libraries, about 220 MB unpacked, in one layer and in
four, lies in Debian's docker-registry on loopback. Per round, in turn: the layers fetched to
/dev/null (curl), decompressed to nothing (gzip -t), unpacked from what is here already (tar -xz), and
the image pulled. Then starts from it beside starts from `host`, and 50 pulls and starts at once beside one.
Seconds, least / median.
"""
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests/registry"))
import images  # noqa: E402

BYTES = 220 << 20
SOURCES = ("/usr/bin", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/x86_64-linux-gnu", "/usr/share")


def files():
    left = BYTES
    for top in SOURCES:
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 16 << 20:
                    continue
                left -= os.path.getsize(path)
                if left < 0:
                    return
                yield path


def make_layers(count):
    layers = [io.BytesIO() for _ in range(count)]
    tars = [tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) for layer in layers]
    total = 0
    for path in files():
        entry = tarfile.TarInfo("data" + path)
        entry.mode = 0o755
        entry.size = os.path.getsize(path)
        with open(path, "rb") as file:
            tars[total * count // BYTES].addfile(entry, file)
        total += entry.size
    for tar in tars:
        tar.close()
    return [images.base_layer(), *(layer.getvalue() for layer in layers)]


class Bench:
    def __init__(self, build, work):
        self.command = os.path.join(build, "src/cli/sandboxes")
        self.work = work
        self.times = {}
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.folder(), "SANDBOXES_PROVIDER": "local",
                    "HOME": work}
        self.renew()

    def renew(self):
        """An empty cache. What was there stays until the end: ext4 is slow where much was removed."""
        self.env["XDG_CACHE_HOME"] = self.folder()

    def folder(self):
        path = tempfile.mkdtemp(dir=self.work)
        subprocess.run(["chattr", "+T", path], stderr=subprocess.DEVNULL, check=False)
        return path

    def start(self, *words):
        return subprocess.Popen([self.command, *words], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)

    def sandboxes(self, *words):
        status = self.start(*words).wait()
        if status:
            raise SystemExit(f"sandboxes {' '.join(words)}: status {status}")

    def measure(self, what, call, *arguments):
        begin = time.monotonic()
        call(*arguments)
        self.times.setdefault(what, []).append(time.monotonic() - begin)

    def shell(self, lines):
        """All at once, as a pull has its layers."""
        for process in [subprocess.Popen(["sh", "-c", line]) for line in lines]:
            if process.wait():
                raise SystemExit(f"failed: {lines}")

    def many(self, count, *words):
        for process in [self.start(*words) for _ in range(count)]:
            if process.wait():
                raise SystemExit(f"one of many failed: {' '.join(words)}")

    def show(self):
        for what, times in self.times.items():
            print(f"{what:<34} {min(times):8.3f} / {statistics.median(times):.3f}", flush=True)


def floors(bench, title, registry, blobs):
    urls = [f"http://{registry.name}/v2/{title}/blobs/{key}" for key in blobs]
    packed = [os.path.join(bench.work, key[7:]) for key in blobs]
    for file, data in zip(packed, blobs.values()):
        with open(file, "wb") as out:
            out.write(data)

    def run():
        bench.measure(title + ": curl to /dev/null", bench.shell, [f"curl -sf -o /dev/null {url}" for url in urls])
        bench.measure(title + ": gzip -t", bench.shell, [f"gzip -t <{file}" for file in packed])
        tree = os.path.join(bench.folder(), "tree")
        os.mkdir(tree)
        bench.measure(title + ": tar -xz, no sync", bench.shell, [f"tar -xzf {file} -C {tree}" for file in packed])
    return run


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    work = tempfile.mkdtemp(prefix="bench-pull-")
    registry = images.DebianRegistry(work)
    bench = Bench(build, work)
    try:
        cases = []
        for title, count in (("one layer", 1), ("four layers", 4)):
            image = images.Image(make_layers(count))
            key = title.replace(" ", "-")
            registry.push(key, "1", image)
            blobs = {layer["digest"]: image.blobs[layer["digest"]]
                     for layer in json.loads(image.manifest)["layers"]}
            cases.append((key, f"{registry.name}/{key}:1", floors(bench, key, registry, blobs)))
            print(f"{key}: {sum(map(len, blobs.values())) / 1e6:.0f} MB packed")
        for _ in range(rounds):
            for key, name, floor in cases:
                floor()
                bench.measure(key + ": sandboxes image pull", bench.sandboxes, "image", "pull", "-q", name)
                bench.renew()
        name = cases[0][1]
        pull, run = ("image", "pull", "-q", name), ("run", "--network", "none", "--image", name, "true")
        for _ in range(max(1, rounds // 2)):
            for count in (1, 50):
                bench.measure(f"{count} image pull at once", bench.many, count, *pull)
                bench.renew()
                bench.measure(f"{count} run at once", bench.many, count, *run)
                if count == 50:
                    bench.measure("50 run at once, the image is here", bench.many, count, *run)
                bench.renew()
        bench.sandboxes("run", "--network", "none", "--image", name, "true")
        bench.sandboxes("run", "--network", "none", "true")
        for _ in range(rounds * 6):
            bench.measure("run true on it", bench.sandboxes, "run", "--network", "none", "--image", name, "true")
            bench.measure("run true on host", bench.sandboxes, "run", "--network", "none", "true")
        bench.show()
    finally:
        registry.stop()
        shutil.rmtree(work, ignore_errors=True)


main()
