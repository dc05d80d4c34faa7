# SPDX-License-Identifier: Apache-2.0
"""Ordinary programs run in a sandbox as they run outside. What is not installed here is skipped."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import sandboxcase  # noqa: E402

THREADS = """
import concurrent.futures, ctypes, multiprocessing, os, signal, socket, sqlite3, ssl, subprocess, tempfile
import threading
def work(n): return n * n
with concurrent.futures.ThreadPoolExecutor(8) as pool: assert sum(pool.map(work, range(100))) == 328350
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
assert subprocess.run(['echo', 'x'], capture_output=True, check=True).stdout == b'x\\n'
assert subprocess.run('exit 3', shell=True).returncode == 3
left, right = socket.socketpair(); left.send(b'x'); assert right.recv(1) == b'x'
server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname())
socket.create_server(('::1', 0), family=socket.AF_INET6).close()
sqlite3.connect(tempfile.mktemp()).execute('create table t (x)')
os.sched_getaffinity(0); os.getloadavg(); ssl.create_default_context()
shared = multiprocessing.Value('i', 1); event = threading.Event(); lock = multiprocessing.Lock()
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=4096); block.unlink()
signal.alarm(0); fd = os.memfd_create('x'); os.eventfd(0) if hasattr(os, 'eventfd') else None
os.mkfifo(tempfile.mktemp()); os.setxattr
print('fine')
"""
NODE = """
const { Worker } = require('worker_threads'), { execFileSync } = require('child_process');
const fs = require('fs'), net = require('net'), os = require('os'), crypto = require('crypto');
fs.watch('/tmp', () => {}).close(); os.networkInterfaces(); crypto.randomBytes(8);
if (execFileSync('echo', ['x']).toString() !== 'x\\n') throw 1;
const server = net.createServer(s => s.end('x')).listen(0, '127.0.0.1', () => {
  net.connect(server.address().port, '127.0.0.1').on('data', () => {
    server.close();
    new Worker("require('worker_threads').parentPort.postMessage('fine')", { eval: true })
      .on('message', m => console.log(m));
  });
});
"""
JAVA = """
import java.util.stream.*; import java.nio.file.*;
public class Main { public static void main(String[] a) throws Exception {
  if (IntStream.range(0, 100).parallel().sum() != 4950) throw new Error();
  Thread t = new Thread(() -> {}); t.start(); t.join();
  new ProcessBuilder("true").start().waitFor(); Files.createTempFile("a", "b");
  try (var s = new java.net.ServerSocket(0)) { new java.net.Socket("127.0.0.1", s.getLocalPort()).close(); }
  System.out.println("fine"); } }
"""
GO = """
package main
import ("fmt"; "net"; "os"; "os/exec"; "sync"; "time")
func main() {
  var wait sync.WaitGroup
  for i := 0; i < 100; i++ { wait.Add(1); go func() { defer wait.Done(); time.Sleep(time.Millisecond) }() }
  wait.Wait()
  if err := exec.Command("true").Run(); err != nil { panic(err) }
  l, err := net.Listen("tcp", "127.0.0.1:0"); if err != nil { panic(err) }
  go func() { c, _ := l.Accept(); c.Close() }()
  if _, err := net.Dial("tcp", l.Addr().String()); err != nil { panic(err) }
  if _, err := os.CreateTemp("", ""); err != nil { panic(err) }
  if _, err := net.Interfaces(); err != nil { panic(err) }
  fmt.Println("fine")
}
"""
C = """
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
static void *run(void *x) { return x; }
int main(void) {
  pthread_t t; pid_t p; char *argv[] = {"true", NULL};
  if (pthread_create(&t, NULL, run, NULL) || pthread_join(t, NULL)) return 1;
  if (posix_spawnp(&p, "true", NULL, NULL, argv, NULL)) return 2;
  if (waitpid(p, NULL, 0) != p) return 3;
  puts("fine");
}
"""
RUST = """
use std::{net::*, process::Command, thread};
fn main() {
  thread::spawn(|| {}).join().unwrap();
  assert!(Command::new("true").status().unwrap().success());
  let l = TcpListener::bind("127.0.0.1:0").unwrap(); TcpStream::connect(l.local_addr().unwrap()).unwrap();
  println!("fine");
}
"""


def has_network():
    return os.environ.get("SANDBOXES_TEST_NETWORK") == "1"


class Programs(sandboxcase.SandboxCase):
    def run_in(self, script, *options, files=(), timeout=180):
        """A shell script in a sandbox of its own, with files beside it; its output's last line."""
        here = os.path.join(self.work, "src")
        os.makedirs(here, exist_ok=True)
        os.chmod(here, 0o755)
        for name, content in files:
            with open(os.path.join(here, name), "w", encoding="utf-8") as file:
                file.write(content)
        status, out, err = self.sandboxes(
            "run", "--network", "none", "-t", f"{timeout}s", "--mount", f"{here}:/src", *options, "--",
            "/bin/sh", "-ec", script, check=False, timeout=timeout + 30)
        if status == 77:
            self.skipTest((out + err).strip() or "this sandbox has one user id only")
        self.assertEqual(0, status, (out + err)[-4000:])
        return out.strip().splitlines()[-1]

    def roomy(self):
        """Options for compilers, as far as this machine has the memory and can limit it for us."""
        for options in (["--disk", "2g", "--memory", "3g"], ["--disk", "2g"]):
            if self.sandboxes("run", "--network", "none", *options, "--", "true", check=False)[0] == 0:
                return options
        return []

    def need(self, *programs):
        """In the sandbox: it sees the system's programs, not those in somebody's home."""
        return "".join(f"command -v {p} >/dev/null || {{ echo no {p} in the sandbox; exit 77; }}\n"
                       for p in programs)

    def fine(self, script, *options, **keywords):
        self.assertEqual("fine", self.run_in(script, *options, **keywords))

    def test_python(self):
        self.fine(self.need("python3") + "python3 /src/a.py", files=[("a.py", THREADS)])

    def test_node(self):
        self.fine(self.need("node") + "node /src/a.js", files=[("a.js", NODE)])

    def test_java(self):
        self.fine(self.need("java") + "java /src/Main.java", *self.roomy(), files=[("Main.java", JAVA)])

    def test_go(self):
        self.fine(self.need("go") + "cd /tmp; cp /src/a.go .; HOME=/tmp GOFLAGS=-mod=mod go run a.go",
                  *self.roomy(), files=[("a.go", GO)])

    def test_c(self):
        self.fine(self.need("cc") + "cd /tmp; cc -pthread /src/a.c -o a; ./a", files=[("a.c", C)])

    def test_c_static_musl(self):
        self.fine(self.need("musl-gcc") + "cd /tmp; musl-gcc -static /src/a.c -o a; ./a", files=[("a.c", C)])

    def test_rust(self):
        self.fine(self.need("rustc") + "cd /tmp; rustc /src/a.rs -o a; ./a", files=[("a.rs", RUST)])

    def test_perl(self):
        self.fine(self.need("perl") + "perl -e 'my $p = fork; exit 0 unless $p; waitpid $p, 0; print \"fine\\n\"'")

    def test_make(self):
        self.fine(self.need("make") + "cd /tmp; printf 'all: a b\\n\\t@echo fine\\na b:\\n\\t@sleep 0\\n' >Makefile; "
                  "make -s -j4")

    def test_git(self):
        self.fine(self.need("git") + "cd /tmp; git init -q a; cd a; echo x >x; git add x; "
                  "git -c user.name=a -c user.email=a@b commit -qm x; git clone -q /tmp/a /tmp/b; cat /tmp/b/x >/dev/null; "
                  "git -C /tmp/b gc -q; echo fine")

    def test_debugger(self):
        self.fine(self.need("gdb", "cc") + "cd /tmp; cc -g -pthread /src/a.c -o a; "
                  "gdb -q -batch -ex 'break main' -ex run -ex bt -ex continue ./a >log 2>&1; "
                  "grep -q 'Breakpoint 1, main' log || { cat log; exit 1; }; echo fine", files=[("a.c", C)])

    def test_strace(self):
        self.fine(self.need("strace") + "strace -f -o /tmp/log true; grep -q exit_group /tmp/log; echo fine")

    def test_shell_and_tools(self):
        self.fine("cd; mkdir -p a/b; tar cf x.tar a; tar xf x.tar; find / -xdev -maxdepth 2 >/dev/null 2>&1 || true; "
                  "ps aux >/dev/null 2>&1 || true; id; date; df -h / >/dev/null; "
                  "dd if=/dev/urandom of=r bs=64k count=4 2>/dev/null; mv r /tmp/r; cp -a /tmp/r .; "
                  "mkfifo p; (echo x >p &); cat p >/dev/null; ln a/../r l; ln -s r s; sync; "
                  "nice -n 5 true; timeout 5 true; flock r true; echo fine")

    def test_users_of_root(self):
        """What package managers do, by root of the sandbox: owners, other users, special bits."""
        one = "test $(awk '{n += $3} END {print n}' /proc/self/uid_map) -gt 1000 || exit 77; "
        self.fine(one + "cd /root; touch a; chown 33:33 a; chmod 4755 a; test $(stat -c %u a) = 33; "
                  "mkdir -p /usr/local/x; echo x >/usr/local/x/y; rm -r /usr/local/x; "
                  "command -v setpriv >/dev/null && setpriv --reuid 33 --regid 33 --clear-groups id -u; "
                  "mkdir /run/t; chgrp 5 /run/t; echo fine", "--user", "root")

    @unittest.skipUnless(has_network(), "SANDBOXES_TEST_NETWORK is not 1")
    def test_package_managers(self):
        cases = {
            "pip": (["python3"], "cd /tmp; python3 -m venv v && v/bin/pip install -q six && v/bin/python -c 'import six'",
                    "user"),
            "npm": (["npm"], "cd /tmp; npm install --silent left-pad >/dev/null; test -d node_modules/left-pad", "user"),
            "apt": (["apt-get"], "apt-get update -q >/dev/null; apt-get install -qy --no-install-recommends hello "
                    ">/dev/null; hello >/dev/null", "root"),
        }
        for name, (programs, script, user) in cases.items():
            with self.subTest(name):
                self.fine(self.need(*programs) + script + "; echo fine", "--network", "internet", *self.roomy(), "--user", user, timeout=300)


if __name__ == "__main__":
    sandboxcase.main()
