# SPDX-License-Identifier: Apache-2.0
"""What a guest could reach if it had taken QEMU over, and accelerators that only look like one."""
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import sandboxcase  # noqa: E402

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
KERNEL = os.environ.get("SANDBOXES_MICROVM_KERNEL") or os.path.join(CACHE, "sandboxes/kernel/vmlinux")
DAC_OVERRIDE = 2
ROOT = {"dev", "etc", "image", "lib", "lib64", "mounts", "proc", "sys", "tmp", "usr", "vm"}
CANARY = "canary-6f11"
EMULATED = "guests are emulated"


class Guest(sandboxcase.SandboxCase):
    def setUp(self):
        if not os.access(KERNEL, os.R_OK):
            self.skipTest("there is no kernel for guests")
        super().setUp()
        self.env.update(SANDBOXES_MICROVM_KERNEL=KERNEL)

    def guest(self, *arguments):
        status, out, err = self.sandboxes("create", "-p", "microvm", *arguments, check=False)
        if "is not installed" in err:
            self.skipTest(err)
        self.assertEqual(0, status, err)
        return out.strip()

    def run_in(self, *command, options=(), **env):
        self.env.update(env)
        status, out, err = self.sandboxes("run", "-p", "microvm", "--network", "none", *options, "--", *command,
                                          check=False)
        if "is not installed" in err:
            self.skipTest(err)
        self.assertEqual(0, status, err)
        return out, err

    def test_qemu_has_nothing(self):
        self.guest()
        pids = sandboxcase.descendants("qemu")
        self.assertEqual(1, len(pids))
        status = sandboxcase.status_of(pids[0])
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(0, int(status[name], 16) & ~DAC_OVERRIDE, name)
        self.assertEqual("1", status["NoNewPrivs"])
        self.assertEqual("2", status["Seccomp"])
        self.assertLessEqual(2, int(status["Seccomp_filters"]), "the jail's and its own")
        self.assertNotIn("0", status["Uid"].split())
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            self.assertNotEqual(os.readlink(f"/proc/self/ns/{kind}"), os.readlink(f"/proc/{pids[0]}/ns/{kind}"))

    def test_qemu_sees_its_own_files(self):
        self.guest()
        root = f"/proc/{sandboxcase.descendants('qemu')[0]}/root"
        self.assertLessEqual(set(os.listdir(root)), ROOT)
        self.assertLessEqual(set(os.listdir(root + "/etc")), {"hostname", "hosts", "resolv.conf"})
        self.assertEqual(["qemu-system-x86_64"], os.listdir(root + "/usr/bin"))
        self.assertNotIn("kvm", os.listdir(root + "/dev"))

    def test_qemu_holds_nothing_open(self):
        self.guest()
        folder = f"/proc/{sandboxcase.descendants('qemu')[0]}/fd"
        held = {os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)}
        files = {path for path in held if path.startswith("/") and not path.startswith("/memfd:")}
        self.assertLessEqual(files, {"/dev/null", "/image", "/vm/saved/memory"})

    def shared(self):
        """A directory with links out of it, one to write to, and a file beside them."""
        self.files = tempfile.mkdtemp(dir=self.work)
        for name in ("read", "write"):
            os.mkdir(f"{self.files}/{name}")
        for name, text in {"read/file": "shared", "outside": CANARY}.items():
            with open(f"{self.files}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        os.symlink(f"{self.files}/outside", f"{self.files}/read/absolute")
        os.symlink("../outside", f"{self.files}/read/relative")
        return [f"--mount={self.files}/read:/r", f"--mount={self.files}/write:/w:rw"]

    def test_commands_stay_in_mounts(self):
        script = ("cat /r/file; cat /r/absolute /r/relative /r/../outside /w/../outside; echo x >/r/new; rm -f /r/file; "
                  "ln -s ../outside /w/link; cat /w/link; mknod /w/device c 1 3; "
                  "cp /bin/true /w/program; chmod 4755 /w/program; chmod 2755 /w/program; mkdir /w/made; true")
        for user in ("user", "root"):
            with self.subTest(user=user):
                out, _ = self.run_in("sh", "-c", script, options=("--user", user, *self.shared()))
                self.assertEqual("shared", out)
                self.assertEqual({"absolute", "file", "relative"}, set(os.listdir(f"{self.files}/read")))
                self.assertEqual({"link", "made", "program"}, set(os.listdir(f"{self.files}/write")))
                for name in ("made", "program"):
                    info = os.stat(f"{self.files}/write/{name}")
                    self.assertEqual((os.getuid(), os.getgid(), 0), (info.st_uid, info.st_gid, info.st_mode & 0o7000))

    def test_mounts_hold_in_qemu(self):
        """What a guest that has taken QEMU over could do with them."""
        self.env.update(SANDBOXES_MICROVM_SAVED="0")  # copies have no command line of their own
        self.guest("--network", "none", *self.shared())
        pid = sandboxcase.descendants("qemu")[0]
        self.assertNotIn("0", sandboxcase.status_of(pid)["Uid"].split())
        found = {}
        for line in sandboxcase.read_text(f"/proc/{pid}/mountinfo").splitlines():
            target, options = line.split()[4:6]
            if target.startswith("/mounts/"):
                found[target] = set(options.split(","))
        self.assertEqual({"/mounts/read/0", "/mounts/write/1"}, set(found))
        self.assertLessEqual({"ro", "nosuid", "nodev"}, found["/mounts/read/0"])
        self.assertLessEqual({"rw", "nosuid", "nodev"}, found["/mounts/write/1"])
        shares = [word for word in sandboxcase.read_text(f"/proc/{pid}/cmdline").split("\0") if word.startswith("local,")]
        self.assertEqual(["readonly=on", "readonly=on", "readonly=off"], [share.split(",")[4] for share in shares])
        with self.assertRaises(OSError) as refused:
            os.mkdir(f"/proc/{pid}/root/mounts/read/0/made")
        self.assertEqual(errno.EROFS, refused.exception.errno)

    def test_another_kernel_runs_it(self):
        out, _ = self.run_in("sh", "-c", "uname -r; ls -d /work /root/.ssh /vm /image 2>/dev/null; true")
        self.assertEqual(1, len(out.splitlines()), out)
        self.assertNotEqual(os.uname().release, out.strip())

    def test_refused_addresses(self):
        """A program hears it, and does not wait."""
        script = ("for address in 192.0.2.2 169.254.169.254; do "
                  "timeout 10 bash -c \"echo >/dev/tcp/$address/80\" 2>/dev/null; echo $?; done")
        for saved in "1", "0":
            self.env["SANDBOXES_MICROVM_SAVED"] = saved
            box = self.guest("--network", "internet")
            self.assertEqual("1\n1\n", self.sandboxes("exec", box, "--", "sh", "-c", script)[1])

    def test_a_port_of_this_machine_that_is_allowed(self):
        """It is where other sandboxes find it."""
        package = os.path.join(os.environ["BUILD"], "python")
        if not os.path.isdir(package):
            self.skipTest("the Python package is not built")
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def answer():
            connection = server.accept()[0]
            connection.sendall(b"reached\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        place = f"10.0.2.2/{server.getsockname()[1]}"
        script = ("import sys; from sandboxes import sync; "
                  "print(sync.run(sys.argv[1], network='internet', allow=[sys.argv[2]]).stdout)")
        done = subprocess.run([sys.executable, "-c", script, f"bash -c 'cat </dev/tcp/{place}'", place.replace("/", ":")],
                              env={**self.env, "PYTHONPATH": package, "SANDBOXES_PROVIDER": "microvm"}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if b"is not installed" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(b"reached", done.stdout.strip(), done.stderr)

    def test_false_accelerator(self):
        """It is seen through, told once, and the guest runs."""
        out, err = self.run_in("echo", "ran", SANDBOXES_MICROVM_KVM="/dev/null")
        self.assertEqual(("ran\n", 1), (out, err.count(EMULATED)), err)
        out, err = self.run_in("echo", "ran", SANDBOXES_MICROVM_KVM="/dev/null")
        self.assertEqual(("ran\n", 0), (out, err.count(EMULATED)), err)

    def test_accelerator_that_fails_late(self):
        """One that QEMU itself fails with: where KVM works, it is used."""
        out, err = self.run_in("echo", "ran", SANDBOXES_MICROVM_ACCEL="kvm")
        self.assertEqual("ran\n", out)
        self.assertLessEqual(err.count(EMULATED), 1)


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
