# SPDX-License-Identifier: Apache-2.0
"""Images of registries: pulled, unpacked, started, shared, removed; refused where they should be."""
import base64
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import termios
import threading
import time
import unittest

import images
from images import Image, Layer, base_layer, digest
from sandboxcase import SandboxCase, main

BLOCK = 1 << 20


class RegistryCase(SandboxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.debian = images.DebianRegistry(cls.base)
        cls.odd = images.Misbehaving()
        cls.small = Image([base_layer()], Cmd=["/bin/echo", "small"])

    @classmethod
    def tearDownClass(cls):
        cls.debian.stop()
        cls.odd.stop()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.odd.images, self.odd.rule, self.odd.tokens, self.odd.basic = {}, None, None, None
        self.odd.seen.clear()
        self.env.update(HOME=self.work, SANDBOXES_CACHE_DIR=os.path.join(self.work, "images"))
        for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "http_proxy", "https_proxy"):
            self.env.pop(name, None)
        self.store = os.path.join(self.work, "images", "images")

    def tearDown(self):
        # What is left to wait for the disk ends when the disk has it, however busy that is.
        if os.path.isdir(self.store + "/fresh") and os.listdir(self.store + "/fresh"):
            self.image("prune")
        super().tearDown()

    def offer(self, name, image):
        self.odd.images[name] = image
        return f"{self.odd.name}/{name}"

    def image(self, *arguments, check=True, **options):
        return self.sandboxes("image", *arguments, check=check, **options)

    def inside(self, name, line, *options):
        """Output of a shell line in a sandbox of the image."""
        return self.sandboxes("run", "--network", "none", "--image", name, *options, line)[1]

    def refused(self, image, what, name="bad/one"):
        """The pull fails, says why, and leaves nothing."""
        status, _, err = self.image("pull", self.offer(name, image), check=False)
        self.assert_clean_failure(status, err)
        self.assertRegex(err, what)
        self.assertIn("\n  try: ", err)
        self.assert_nothing_kept()

    def assert_nothing_kept(self):
        for part in ("layers", "trees", "records"):
            self.assertEqual([], os.listdir(os.path.join(self.store, part)))

    def blobs_asked(self):
        return [path for path, _, _ in self.odd.seen if "/blobs/" in path]


class Pull(RegistryCase):
    def test_real_registry(self):
        if not self.debian.process:
            self.skipTest("no docker-registry")
        top = Layer().add("data/new", b"new").dir("data").add("etc/.wh.passwd").add("bin/.wh.true")
        image = Image([base_layer(), Layer().dir("data").add("data/old", b"old").add("data/gone", b"x"),
                       Layer().add("data/.wh..wh..opq").add("data/kept", b"kept"), top],
                      Env=["PATH=/bin", "GREETING=good day"], WorkingDir="/work/here")
        other = Image([base_layer()], arch="s390x")
        self.debian.push("box/all", "1", image)
        self.debian.push("box/all", "s390x", other)
        index = json.dumps({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [
            other.descriptor(platform={"os": "linux", "architecture": "s390x"}),
            image.descriptor(platform={"os": "linux", "architecture": images.ARCH})]}).encode()
        self.debian.put_manifest("box/all", "many", index, images.INDEX)
        name = f"{self.debian.name}/box/all:many"
        out = self.inside(name, "pwd; id -u; echo $GREETING; cat /data/kept; ls /data; ls /etc/passwd /bin/true; true")
        self.assertEqual(["/work/here", "0", "good day", "keptkept"], out.split("\n")[:4])
        self.assertEqual(["new"], out.split("\n")[4:5])
        found = json.loads(self.image("list", "--json")[1])
        self.assertEqual([(name, digest(index), 4)], [(i["name"], i["digest"], i["layers"]) for i in found])
        by_digest = self.image("pull", f"{self.debian.name}/box/all@{image.digest}")[1]
        self.assertIn(image.digest, by_digest)
        status, _, err = self.image("pull", f"{self.debian.name}/box/all:s390x", check=False)
        self.assert_clean_failure(status, err)
        self.assertIn("s390x", err)

    def test_kinds_of_layers(self):
        for kind in ("plain", "gzip", "zstd"):
            with self.subTest(kind):
                name = self.offer("kind/" + kind, Image([base_layer()], compress=kind))
                self.assertEqual("fine\n", self.inside(name, "echo fine"))

    def test_settings_can_be_overridden(self):
        name = self.offer("box/set", Image([base_layer()], User="worker", WorkingDir="/tmp", Env=["A=1", "B=2"]))
        if os.geteuid() == 0:  # others need subordinate ids for a second account
            self.assertEqual("1234 /tmp 1 2\n", self.inside(name, "echo $(id -u) $(pwd) $A $B"))
        self.assertEqual("0 /etc 1 3\n", self.inside(name, "echo $(id -u) $(pwd) $A $B", "--user", "root",
                                                     "-w", "/etc", "-e", "B=3"))

    def test_entrypoint(self):
        name = self.offer("box/entry", Image([base_layer()], Entrypoint=["/bin/echo", "entry"], Cmd=["own"]))

        def run(*words):
            return self.sandboxes("run", "--network", "none", "--image", name, *words)[1]

        self.assertEqual("entry own\n", run("--"))
        self.assertEqual("entry a 'b\n", run("--", "a", "'b"))
        self.assertEqual("line\n", run("echo line"))
        self.assertEqual("x\n", run("--entrypoint", "", "--", "echo", "x"))
        self.assertEqual("/\n", run("--entrypoint", "pwd", "--"))
        status, _, err = self.sandboxes("run", "--", check=False)
        self.assert_clean_failure(status, err)

    def test_modes_links_and_attributes(self):
        layer = Layer().dir("d", 0o750).add("d/one", b"1", mode=0o4711).add("d/two", kind=tarfile.LNKTYPE, link="d/one")
        layer.add("implied/deep/file", b"x").add("d/tagged", b"t", pax_headers={
            "SCHILY.xattr.user.color": "blue", "SCHILY.xattr.user.overlay.opaque": "y"})
        top = Layer().add("d/three", b"3").add("tmp/x", b"x")
        name = self.offer("box/modes", Image([base_layer(), layer, top]))
        out = self.inside(name, "stat -c '%a %h' /d /d/one /d/two /tmp /implied; cat /d/two")
        # Links of the store's own count too: what matters is that both names are one file.
        modes = [line.split()[0] for line in out.split("\n")[:5]]
        self.assertEqual(["750", "4711", "4711", "1777", "755"], modes)
        tree = os.path.join(self.store, "trees", os.listdir(os.path.join(self.store, "trees"))[0])
        self.assertEqual(os.stat(tree + "/d/one").st_ino, os.stat(tree + "/d/two").st_ino)
        try:
            self.assertEqual(["user.color"], os.listxattr(tree + "/d/tagged"))
        except OSError:
            pass  # a file system without attributes

    def test_layers_are_shared_and_fetched_once(self):
        below = base_layer().data()
        first = self.offer("share/one", Image([below, Layer().add("a", b"a")]))
        second = self.offer("share/two", Image([below, Layer().add("b", b"b")]))
        self.image("pull", first, second)
        asked = self.blobs_asked()
        self.assertEqual(5, len(asked), asked)  # two configurations, three layers
        trees = [os.path.join(self.store, "trees", name) for name in os.listdir(self.store + "/trees")]
        inodes = {os.stat(tree + "/bin/busybox").st_ino for tree in trees}
        self.assertEqual((2, 1), (len(trees), len(inodes)))
        self.odd.seen.clear()
        self.image("pull", first)
        self.assertEqual(1, len(self.blobs_asked()))  # the configuration alone

    def test_fifty_at_once_cost_one(self):
        name = self.offer("many/one", Image([base_layer(), Layer().add("big", os.urandom(BLOCK))]))
        runs = [self.start("run", "--network", "none", "--image", name, "echo $((6*7))") for _ in range(8)]
        pulls = [self.start("image", "pull", "-q", name) for _ in range(42)]
        for process in runs + pulls:
            out, err = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, err)
        layers = json.loads(self.odd.images["many/one"].manifest)["layers"]
        for layer in layers:
            asked = [path for path in self.blobs_asked() if path.endswith(layer["digest"])]
            self.assertEqual(1, len(asked))

    def until_waiting(self, count):
        """So many processes sleep for the lock of the only image that is being fetched."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for file in os.listdir(self.store + "/records") if os.path.isdir(self.store) else []:
                inode = os.stat(f"{self.store}/records/{file}").st_ino
                with open("/proc/locks", encoding="ascii") as locks:
                    if sum("->" in line and f":{inode} " in line for line in locks) == count:
                        return
            time.sleep(0.005)
        self.fail(f"no {count} processes wait")

    def start_held(self, name):
        """A pull of it that has asked what the name means, and waits for its configuration."""
        asked, go = threading.Event(), threading.Event()

        def hold(handler):
            if "/blobs/" in handler.path:
                asked.set()
                go.wait(30)
            return False

        self.odd.rule = hold
        self.addCleanup(go.set)
        process = self.start("image", "pull", "-q", self.offer(name, self.small))
        self.assertTrue(asked.wait(30))
        return process, go

    def manifests_asked(self):
        return len([path for path, _, _ in self.odd.seen if "/manifests/" in path])

    def end_all(self, processes):
        for process in processes:
            _, err = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, err)

    def test_who_waits_for_a_pull_does_not_ask_again(self):
        first, go = self.start_held("turn/one")
        newer = Image([base_layer(), Layer().add("new", b"new")])
        newer.blobs.update(self.small.blobs)
        name = self.offer("turn/one", newer)
        others = [self.start("image", "pull", *options, name) for options in [["--json"], ["-q"]] * 4]
        self.until_waiting(8)
        go.set()
        out = others[0].communicate(timeout=60)[0]
        self.end_all([first, *others[1:]])
        self.assertEqual(2, self.manifests_asked())  # once by the first of those that began later
        self.assertEqual(digest(newer.manifest), json.loads(out)[0]["digest"])
        self.assertEqual("new", self.inside(name, "cat /new"))
        self.assertFalse([file for file in os.listdir(self.store + "/records") if len(file) != 64])

    def test_another_goes_on_when_the_one_that_pulls_is_killed(self):
        first, go = self.start_held("turn/two")
        name = f"{self.odd.name}/turn/two"
        others = [self.start("image", "pull", "-q", name) for _ in range(5)]
        self.until_waiting(5)
        first.kill()
        first.communicate()
        go.set()
        self.end_all(others)
        self.assertEqual(2, self.manifests_asked())

    def test_forty_layers(self):
        layers = [base_layer()] + [Layer().add(f"n/{i}", str(i).encode()).add("n/last", str(i).encode())
                                   for i in range(40)]
        name = self.offer("deep/one", Image(layers, compress="plain"))
        self.assertEqual("40 39 7\n", self.inside(name, "echo $(ls /n | busybox grep -c [0-9]) $(cat /n/last /n/7 | busybox sed 's/97/9 7/')"))

    def test_resume_and_retries(self):
        big = os.urandom(3 * BLOCK)
        image = Image([base_layer(), Layer().add("big", big)], compress="plain")
        key = json.loads(image.manifest)["layers"][1]["digest"]
        cuts = [BLOCK, 2 * BLOCK]

        def cut(handler):
            if not handler.path.endswith(key) or not cuts:
                return False
            data, start = image.blobs[key], int((handler.headers["Range"] or "bytes=0-")[6:-1])
            handler.send_response(206 if start else 200)
            handler.send_header("Content-Length", str(len(data) - start))
            if start:
                handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            handler.end_headers()
            handler.wfile.write(data[start:cuts.pop(0)])
            handler.wfile.flush()
            handler.close_connection = True
            return True

        busy = []

        def busy_then_cut(handler):
            if "/manifests/" in handler.path and not busy:
                busy.append(handler.answer(503, Retry_After="0"))
                return True
            return cut(handler)

        self.odd.rule = busy_then_cut
        self.image("pull", self.offer("resume/one", image))
        ranges = [given for path, given, _ in self.odd.seen if path.endswith(key)]
        self.assertEqual(None, ranges[0])
        self.assertEqual(3, len(ranges))
        self.assertTrue(all(given.startswith("bytes=") for given in ranges[1:]), ranges)
        tree = os.path.join(self.store, "trees", os.listdir(self.store + "/trees")[0])
        with open(tree + "/big", "rb") as file:
            self.assertEqual(big, file.read())

    def test_killed_at_any_time(self):
        image = Image([base_layer(), Layer().add("big", os.urandom(2 * BLOCK))], compress="plain")
        name = self.offer("kill/one", image)
        for moment in range(0, 12):
            process = self.start("image", "pull", "-q", name)
            try:
                process.wait(moment * 0.004)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.communicate()
            shutil.rmtree(self.store + "/records", ignore_errors=True)
            if moment % 3 == 2:
                shutil.rmtree(self.store + "/trees", ignore_errors=True)
                shutil.rmtree(self.store + "/layers", ignore_errors=True)
        self.assertEqual("whole\n", self.inside(name, "echo whole"))
        self.image("prune")
        left = [file for part in ("layers", "trees", "records") for file in os.listdir(f"{self.store}/{part}")]
        self.assertEqual([], [file for file in left if len(file) != 64])

    def test_what_the_disk_may_have_lost_is_fetched_again(self):
        image = Image([base_layer(), Layer().add("said", b"whole")])
        name = self.offer("lost/one", image)
        self.image("pull", name)
        fresh = self.store + "/fresh"
        end = time.monotonic() + 30
        while os.path.isdir(fresh) and os.listdir(fresh) and time.monotonic() < end:  # the disk has it soon, and nobody waits for that
            time.sleep(0.01)
        self.assertEqual([], os.listdir(fresh) if os.path.isdir(fresh) else [])
        os.makedirs(fresh, exist_ok=True)  # where marks may not be kept there is none
        layers = [layer["digest"][7:] for layer in json.loads(image.manifest)["layers"]]
        tree = json.loads(image.manifest)["config"]["digest"][7:]

        def mark(boot):
            """As if the machine had gone down before that, or not."""
            for entry in ["trees-" + tree, *("layers-" + layer for layer in layers)]:
                os.symlink(boot, f"{fresh}/{entry}")
            with open(f"{self.store}/layers/{layers[1]}/said", "r+b") as file:
                file.truncate(0)
            self.odd.seen.clear()

        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            mark(file.read().strip())
        self.assertEqual("", self.inside(name, "cat /said"))
        self.assertEqual([], self.blobs_asked())
        self.image("prune")
        self.assertEqual([], os.listdir(fresh))
        mark("an-earlier-one")
        self.assertEqual("whole", self.inside(name, "cat /said"))
        self.assertEqual(3, len(self.blobs_asked()))
        self.image("rm", name)
        os.symlink("an-earlier-one", f"{fresh}/layers-{layers[0]}")
        self.image("prune")
        self.assertEqual([], os.listdir(fresh))

    def test_progress_on_a_terminal(self):
        image = Image([base_layer(), Layer().add("big", os.urandom(BLOCK))], compress="plain")
        name, key = self.offer("bar/one", image), json.loads(image.manifest)["layers"][1]["digest"]
        half = threading.Event()

        def stop_half_way(handler):
            if handler.path.endswith(key):
                half.wait(20)
            return False

        self.odd.rule = stop_half_way
        ours, other = pty.openpty()
        self.addCleanup(os.close, ours)
        termios.tcsetwinsize(other, (24, 76))
        process = self.start("image", "pull", name, stderr=other)
        os.close(other)
        shown = b""
        while b" MB" not in shown:
            self.assertTrue(select.select([ours], [], [], 15)[0], shown)
            shown += os.read(ours, 4096)
        half.set()
        self.assertIn(name.encode(), process.communicate(timeout=60)[0])
        self.assertEqual(0, process.returncode)
        self.assertRegex(shown, rb"\r\x1b\[K.*\[[=.]{20}\] ")
        self.assertTrue(all(len(line) <= 75 + 3 for line in shown.split(b"\r")), shown)
        while select.select([ours], [], [], 5)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)  # nothing of it stays

    def test_run_alone_does_not_load_libcurl(self):
        name = self.offer("box/small", self.small)
        self.image("pull", name)
        self.odd.seen.clear()
        self.assertEqual("x\n", self.inside(name, "echo x"))
        self.assertEqual([], self.odd.seen)


class Access(RegistryCase):
    def login(self, **config):
        os.makedirs(self.work + "/.docker", exist_ok=True)
        with open(self.work + "/.docker/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)

    def test_tokens_and_credentials(self):
        name = self.offer("own/one", self.small)
        self.odd.tokens = ("me", "s3cret")
        status, _, err = self.image("pull", name, check=False)
        self.assert_clean_failure(status, err)
        self.assertIn(f"docker login {self.odd.name}", err)
        self.login(auths={self.odd.name: {"auth": base64.b64encode(b"me:s3cret").decode()}})
        _, out, err = self.image("pull", "-v", name)
        self.assertNotIn("s3cret", out + err)
        self.assertIn(self.small.digest, out)

    def test_tokens_for_anybody(self):
        self.odd.tokens = ()
        self.image("pull", self.offer("open/one", self.small))

    def test_basic(self):
        self.odd.basic = ("me", "s3cret")
        self.login(auths={f"https://{self.odd.name}/v1/": {"username": "me", "password": "s3cret"}})
        self.image("pull", self.offer("own/two", self.small))

    def test_credential_helper(self):
        folder = os.path.join(self.work, "bin")
        os.mkdir(folder)
        helper = os.path.join(folder, "docker-credential-mine")
        with open(helper, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n[ \"$*\" = get ] && read -r host; [ \"$host\" = {self.odd.name} ] || exit 1\n"
                       'echo \'{"Username": "me", "Secret": "s3cret"}\'\n')
        os.chmod(helper, 0o755)
        self.env["PATH"] = folder + ":" + os.environ["PATH"]
        self.odd.basic = ("me", "s3cret")
        self.login(credHelpers={self.odd.name: "mine"})
        self.image("pull", self.offer("own/three", self.small))

    def test_a_redirect_gets_no_credentials(self):
        other = images.Misbehaving()
        self.addCleanup(other.stop)
        other.images["own/four"] = self.small
        self.odd.basic = ("me", "s3cret")

        def away(handler):
            if "/blobs/" not in handler.path or not handler.headers["Authorization"]:
                return False
            handler.answer(307, Location=f"http://{other.name}{handler.path}")
            return True

        self.odd.rule = away
        self.login(auths={self.odd.name: {"auth": base64.b64encode(b"me:s3cret").decode()}})
        self.image("pull", self.offer("own/four", self.small))
        self.assertEqual({None}, {given for _, _, given in other.seen})
        self.assertGreater(len(other.seen), 1)

    def test_mirrors(self):
        folder = os.path.join(self.work, "config/sandboxes")
        os.makedirs(folder)
        empty = images.Misbehaving()
        self.addCleanup(empty.stop)
        with open(folder + "/config.toml", "w", encoding="utf-8") as file:
            file.write(f'[images]\nmirrors = ["docker.io=http://{empty.name}", "docker.io=http://{self.odd.name}"]\n')
        self.offer("library/tiny", self.small)
        self.assertEqual("mirrored\n", self.inside("tiny:1", "echo mirrored"))
        self.assertTrue(empty.seen)

    def test_errors_have_remedies(self):
        for name, what in ((f"{self.odd.name}/no/such", "has no image 'no/such'"),
                           ("127.0.0.1:1/x/y", "cannot connect"),
                           ("no-such-host.invalid/x", "cannot find the address|cannot connect"),
                           ("Upper/Case", "is no image's name")):
            status, _, err = self.sandboxes("run", "--image", name, "true", check=False)
            self.assert_clean_failure(status, err)
            self.assertRegex(err, what)
            self.assertIn("\n  try: ", err)
            self.assertNotIn("\033", err)
            self.assertEqual("127.0.0.1:1" in name, "curl -I http://127.0.0.1:1/v2/" in err)

    def test_a_damaged_docker_config_is_named(self):
        name = self.offer("own/config", self.small)
        self.odd.basic = ("me", "s3cret")
        self.login()
        with open(self.work + "/.docker/config.json", "w", encoding="utf-8") as file:
            file.write('{"auths":')
        status, _, err = self.image("pull", name, check=False)
        self.assert_clean_failure(status, err)
        self.assertRegex(err, r"docker/config.json: not valid JSON.*\n  try: mend that file, or remove it")

    def test_all_is_for_prune(self):
        self.assertEqual(2, self.image("list", "--all", check=False)[0])


def hostile():
    """(title, image, what is said)."""
    link = Layer().link("out", "/tmp")
    rows = [
        ("traversal", Layer().add("../../etc/x", b"x"), "leads out"),
        ("absolute", Layer().add("/etc/x", b"x"), "absolute"),
        ("through a link", link.add("out/x", b"x"), "not a directory"),
        ("hard link outside", Layer().add("h", kind=tarfile.LNKTYPE, link="../../../etc/passwd"), "leads out"),
        ("hard link to nothing", Layer().add("h", kind=tarfile.LNKTYPE, link="etc/passwd"), "hard link|needed"),
        ("device", Layer().add("sda", kind=tarfile.BLKTYPE, devmajor=8), "is a device"),
        ("twice", Layer().add("a", b"1").add("a", b"2"), "comes twice"),
        ("huge sparse", Layer().add("hole", b"x", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}),
         "holds more than"),
        ("link onto a directory", Layer().dir("d").link("d", "..").add("d/x", b"x"), "comes twice"),
        ("whiteout of dots", Layer().add("etc/.wh..."), "removes what has no name"),
        ("whiteout of itself", Layer().add(".wh.."), "removes what has no name"),
        ("too deep", Layer().add("/".join("d" * 300), b"x"), "too deep"),
    ]
    for title, layer, what in rows:
        yield title, Image([base_layer(), layer], compress="plain"), what
    bomb = images.gzip.compress(tar_header("zeros", 1 << 50) + b"\0" * (64 << 20), 9)
    yield "bomb", packed(bomb), "holds more than"
    zeros = images.gzip.compress(b"\0" * (16 << 20), 6)
    yield "bomb that is no file", packed(images.gzip.compress(tar_header(".wh.x", 1 << 40)) + zeros * 20), "belong to no file"
    yield "bomb in a bomb", packed(images.gzip.compress(zeros)), "compressed more than once"
    whole = images.gzip.compress(base_layer().data(), 1)
    yield "truncated", packed(whole[:len(whole) // 2]), "cannot be read"
    yield "no archive", packed(b"this is no archive" * 100), "cannot be read"


def tar_header(name, size):
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def packed(data):
    """An image whose one layer is these bytes."""
    image = Image([])
    manifest = json.loads(image.manifest)
    manifest["layers"] = [image.keep(data, images.LAYER + "+gzip")]
    image.manifest = json.dumps(manifest).encode()
    image.digest = digest(image.manifest)
    return image


class Refused(RegistryCase):
    def test_hostile_layers(self):
        for number, (title, image, what) in enumerate(hostile()):
            with self.subTest(title):
                for part in ("layers", "trees", "records"):  # the good base layer of the case before
                    shutil.rmtree(f"{self.store}/{part}", ignore_errors=True)
                status, _, err = self.image("pull", self.offer(f"hostile/n{number}", image), check=False)
                self.assert_clean_failure(status, err)
                self.assertRegex(err, what)
                self.assertEqual([], os.listdir(self.store + "/trees") + os.listdir(self.store + "/records"))
                self.assertEqual([], [f for f in os.listdir(self.store + "/layers") if len(f) != 64])

    def test_wrong_digests(self):
        image = Image([base_layer()])
        key = json.loads(image.manifest)["layers"][0]["digest"]
        image.blobs[key] = images.gzip.compress(base_layer().add("evil", b"x").data(), 1)
        manifest = json.loads(image.manifest)
        manifest["layers"][0]["size"] = len(image.blobs[key])
        image.manifest = json.dumps(manifest).encode()
        self.refused(image, "is not what its digest")
        image = Image([base_layer()])
        config = json.loads(image.manifest)["config"]["digest"]
        image.blobs[config] += b" "
        self.refused(image, "is not what its digest")
        image = Image([base_layer()])
        image.blobs[json.loads(image.manifest)["layers"][0]["digest"]] += b"more"
        self.refused(image, "larger than its manifest")
        status, _, err = self.image("pull", f"{self.odd.name}/bad/one@sha256:{'0' * 64}", check=False)
        self.assert_clean_failure(status, err)
        self.assertIn("is not what its digest", err)

    def test_manifests_that_make_no_sense(self):
        for text, what in (("", "JSON|empty|value"), ("[]", "manifest"), ("{}", "manifest"), ("{" * 5000, "JSON|deep|nest|\\{"),
                           ('{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
                           ('{"config": {"digest": "sha256:../../x", "size": 1}, "layers": []}', "digest"),
                           ('{"config": {"digest": "sha512:x", "size": 1}, "layers": []}', "sha256"),
                           ('{"manifests": []}', "nothing for linux"),
                           ("x" * (5 << 20), "more than|too large|larger")):
            with self.subTest(text[:40]):
                image = Image([])
                image.manifest = text.encode()
                self.refused(image, what)

    def test_artifacts_are_told_from_images(self):
        image = Image([base_layer()])
        image.manifest = image.manifest.replace(b"image.layer.v1.tar+gzip", b"helm.chart.tar+gzip")
        self.refused(image, "a layer of the image is of")


class Keep(RegistryCase):
    def test_list_remove_prune(self):
        first = self.offer("keep/one", self.small)
        second = self.offer("keep/two", Image([base_layer(), Layer().add("x", b"x")]))
        self.image("pull", first, second)
        box = self.create("--network", "none", "--image", first)
        self.assertEqual([first + ":latest", second + ":latest"], self.image("list", "-q")[1].split())
        self.image("rm", second)
        self.assertEqual(1, len(os.listdir(self.store + "/trees")))
        self.image("rm", first)  # a sandbox stands on it: its tree stays
        self.image("prune", "--all")
        self.assertEqual("still\n", self.sandboxes("exec", box, "echo still")[1])
        self.sandboxes("destroy", box)
        self.image("prune")
        self.assert_nothing_kept()
        status, _, err = self.image("rm", first, check=False)
        self.assert_clean_failure(status, err)

    def test_saved_images(self):
        image = Image([base_layer(), Layer().add("said", b"saved")])
        layout = os.path.join(self.work, "layout")
        image.layout(layout, "from/layout:2")
        archive = os.path.join(self.work, "layout.tar")
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, ".")
        docker = os.path.join(self.work, "docker.tar")
        Image([base_layer(), Layer().add("said", b"docker")], compress="plain").docker_save(docker, "from/docker:3")
        folder = os.path.join(self.work, "docker")
        with tarfile.open(docker) as tar:
            tar.extractall(folder)
        for path, said in ((layout, "saved"), (archive, "saved"), (docker, "docker"), (folder, "docker")):
            with self.subTest(path):
                self.assertEqual(said, self.inside(path, "cat /said"))
        self.image("import", layout)
        self.image("import", docker)
        self.image("import", archive, "mine:4")
        for name, said in (("from/layout:2", "saved"), ("from/docker:3", "docker"), ("mine:4", "saved")):
            self.assertEqual(said, self.inside(name, "cat /said"))
        with open(os.path.join(layout, "blobs/sha256", image.digest[7:]), "ab") as file:
            file.write(b" ")
        status, _, err = self.image("import", layout, "x", check=False)
        self.assert_clean_failure(status, err)
        self.assertIn("is not what its digest", err)
        self.assertEqual([], [f for f in os.listdir(self.store) if f.startswith("import-")])

    def test_built_from_a_directory(self):
        root = os.path.join(self.work, "root")
        os.makedirs(root + "/bin")
        shutil.copy(images.BUSYBOX, root + "/bin/busybox")
        os.symlink("busybox", root + "/bin/sh")
        with open(root + "/" + "long" * 40, "w", encoding="utf-8") as file:
            file.write("name")
        first = self.image("build-from-dir", root, "mine")[1]
        self.assertEqual("built name\n", self.inside("mine", "echo built $(busybox cat /long*)"))
        self.assertEqual(first.split()[1], self.image("build-from-dir", root, "mine2")[1].split()[1])

    def test_words(self):
        for words in (("pull",), ("nonsense",), ("rm",), ("list", "x"), ("build-from-dir", "x")):
            status, _, err = self.image(*words, check=False)
            self.assertEqual(2, status, err)


if __name__ == "__main__":
    if not images.BUSYBOX:
        print("1..0 # SKIP busybox is not installed")
        sys.exit(77)
    main()
