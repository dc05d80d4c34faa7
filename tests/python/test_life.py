# SPDX-License-Identifier: Apache-2.0
"""Ends of all kinds: interpreters killed or leaving early, closed loops, forks, interrupts. Nothing
stays, nothing hangs, nothing is said."""
import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pycase
from pycase import COMMAND, PACKAGE, PyCase

pycase.require_local()
from sandboxes import Sandbox, run, sync  # noqa: E402

BEGIN = "import asyncio, os, sys, signal, threading, time\nfrom sandboxes import Sandbox, run, sync\n"


def living():
    done = subprocess.run([COMMAND, "list", "-q"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


class LifeCase(PyCase):
    def ends(self, code, status=0, said="", **options):
        """The program's output; it must end by itself with this status, and say no more."""
        with self.python(BEGIN + code, **options) as process:
            try:
                out, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self.fail("hangs: " + out + err)
        self.assertEqual((status, said), (process.returncode, err), out)
        return out

    def assert_none_lives(self):
        end = time.monotonic() + 10
        while living() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual([], living())


class Namespaces(LifeCase):
    PREFIX = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc")

    def test_sandboxes_in_a_row_of_who_is_root_in_a_namespace_only(self):
        if not shutil.which("unshare") or subprocess.run([*self.PREFIX, "true"], check=False,
                                                         stderr=subprocess.DEVNULL).returncode:
            self.skipTest("this machine allows no user namespaces")
        code = BEGIN + """
async def main():
    for _ in range(3):
        async with Sandbox.create() as box:
            print((await box.execute("echo $((6 * 7))")).stdout, end="")
asyncio.run(main())
"""
        done = subprocess.run([*self.PREFIX, sys.executable, "-c", code], timeout=60, check=False, text=True,
                              env={**os.environ, "PYTHONPATH": PACKAGE}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(("42\n" * 3, ""), (done.stdout, done.stderr))


class Interpreters(LifeCase):
    def started(self, code):
        process = self.python(BEGIN + code)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.assertEqual("ready\n", process.stdout.readline())
        return process

    def test_killed_in_a_block(self):
        process = self.started("""
async def main():
    async with Sandbox.create() as box:
        task = asyncio.create_task(box.execute("sleep 600"))
        await asyncio.sleep(0.1)
        print("ready", flush=True)
        await task
asyncio.run(main())""")
        self.assertEqual(1, len(living()))
        process.kill()
        self.assert_none_lives()

    def test_killed_in_run(self):
        process = self.started("""
threading.Timer(0.3, lambda: print("ready", flush=True)).start()
sync.run("sleep 600")""")
        process.kill()
        self.assert_none_lives()

    def test_interrupted(self):
        for code in ('sync.run("sleep 600")', 'asyncio.run(run("sleep 600"))',
                     'box = sync.Sandbox.create()\nfor _ in box.stream("sleep 600"): pass'):
            with self.subTest(code):
                process = self.started("""
def ready(): print("ready", flush=True)
threading.Timer(0.3, ready).start()
try:
    %s
except KeyboardInterrupt:
    for box in sync.Sandbox.list(): box.destroy()
    sys.exit(33)""" % code.replace("\n", "\n    "))
                process.send_signal(signal.SIGINT)
                begin = time.monotonic()
                self.assertEqual(33, process.wait(30))
                self.assertLess(time.monotonic() - begin, 10)
                self.assertEqual("", process.stderr.read())
                self.assert_none_lives()

    def test_leaving_while_calls_are_under_way(self):
        self.ends("""
thread = threading.Thread(target=lambda: sync.run("sleep 600"), daemon=True)
thread.start()
time.sleep(0.3)
""")
        self.assert_none_lives()

    def test_leaving_by_an_exception(self):
        self.ends("""
async def main():
    async with Sandbox.create() as box:
        asyncio.get_running_loop().call_later(0.1, sys.exit, 5)
        await box.execute("sleep 600")
asyncio.run(main())""", status=5)
        self.assert_none_lives()

    def test_ending_at_once_in_the_middle(self):
        self.ends("""
async def main():
    async with Sandbox.create() as box:
        asyncio.create_task(box.execute("sleep 600"))
        await asyncio.sleep(0.1)
        os._exit(0)
asyncio.run(main())""")
        self.assert_none_lives()


class Loops(LifeCase):
    def test_a_loop_closed_with_calls_under_way(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of asyncio itself: a task was destroyed
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *_: None)

            async def begin():
                tasks = [asyncio.ensure_future(run("sleep 600")), asyncio.ensure_future(self.create())]
                await asyncio.sleep(0.1)
                tasks.append(asyncio.ensure_future(self.create()))
                await asyncio.sleep(0)
                return tasks

            tasks = loop.run_until_complete(begin())
            made = tasks[1].result()
            loop.close()
            del tasks, loop
            gc.collect()
        asyncio.run(made.destroy())
        self.assert_none_lives()

    @staticmethod
    async def create():
        return await Sandbox.create()

    def test_run_ends_what_is_forgotten(self):
        async def main():
            self.task = asyncio.ensure_future(run("sleep 600"))
            await asyncio.sleep(0.1)

        self.run_async(main())
        self.assert_none_lives()


class Forks(LifeCase):
    def test_parent_and_child_both_work_on(self):
        out = self.ends("""
import warnings; warnings.simplefilter("ignore", DeprecationWarning)  # of fork among threads
with sync.Sandbox.create() as box:
    box.execute("true")
    asyncio.run(run("true"))
    pid = os.fork()
    if pid == 0:
        print(box.execute("echo from the child").stdout, sync.run("echo anew").stdout, flush=True)
        print(asyncio.run(run("echo on a loop")).stdout, flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    print(box.execute("echo from the parent").stdout)
""")
        self.assertEqual("from the child\n anew\n\non a loop\n\nfrom the parent\n\n", out)

    def test_a_child_that_ends_in_order_leaves_the_parents_sandbox(self):
        out = self.ends("""
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
box = sync.Sandbox.create()
pid = os.fork()
if pid == 0:
    sys.exit(0)
os.waitpid(pid, 0)
print(box.execute("echo lives").stdout)
box.destroy()
""")
        self.assertEqual("lives\n\n", out)

    def test_processes_of_multiprocessing(self):
        self.ends("""
import multiprocessing
def work(number): return sync.run(f"echo {number}").stdout
if __name__ == "__main__":
    sync.run("true")
    for method in ("fork", "forkserver"):
        if method == "forkserver" and sys.argv[0] == "-c": continue
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(work, range(4)) == [f"{n}\\n" for n in range(4)]
            pool.close(); pool.join()
""", env={"PYTHONWARNINGS": "error,ignore::DeprecationWarning"})

    def test_a_tied_sandbox_ends_with_its_maker_though_a_child_lives(self):
        out = self.ends("""
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
async def main():
    async with Sandbox.create() as box:
        pid = os.fork()
        if pid == 0:
            os.close(1); os.close(2)
            time.sleep(15)
            os._exit(0)
        print(pid, flush=True)
        os._exit(0)
asyncio.run(main())""")
        try:
            self.assert_none_lives()
        finally:
            os.kill(int(out), signal.SIGKILL)


class Versions(LifeCase):
    def test_one_build_serves_every_python(self):
        for python in pycase.pythons():
            with self.subTest(python), self.python(pycase.SHORT, python=python) as process:
                out, err = process.communicate(timeout=60)
                self.assertEqual((0, "", pycase.SHORT_SAYS), (process.returncode, err, out))


class Threads(LifeCase):
    def test_threads_that_call_while_the_interpreter_ends(self):
        self.ends("""
def use():
    try:
        while True: sync.run("true")
    except BaseException: pass
for _ in range(4): threading.Thread(target=use, daemon=True).start()
time.sleep(0.3)
""")
        self.assert_none_lives()


if __name__ == "__main__":
    pycase.main()
