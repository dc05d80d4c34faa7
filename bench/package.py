#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package beside the C library: start, calls, many at once, streams, ways of binding.

usage: bench/package.py [BUILD]; needs `ninja -C BUILD bench`. Prints a table.
"""
import asyncio
import ctypes
import os
import statistics
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(TREE, "build")
PACKAGE = os.path.join(BUILD, "python")
sys.path.insert(0, PACKAGE)
from sandboxes import PoolConfig, Sandbox, SandboxConfig, SandboxPool, _bridge, _native, run, sync  # noqa: E402
from sandboxes.providers import LocalProvider, NativeProvider  # noqa: E402


def row(what, value, unit):
    print(f"{what:<58} {value:>10.3f} {unit}", flush=True)


def best(function, times):
    return min(timed(function) for _ in range(times))


def timed(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def program(*words):
    return lambda: subprocess.run(words, stdout=subprocess.DEVNULL, check=True,
                                  env={**os.environ, "PYTHONPATH": PACKAGE})


def start():
    plain = best(program(sys.executable, "-c", "pass"), 20)
    row("import sandboxes", 1e3 * (best(program(sys.executable, "-c", "import sandboxes"), 20) - plain), "ms")
    everything = "from sandboxes import Sandbox, run, Manager"
    row(everything, 1e3 * (best(program(sys.executable, "-c", everything), 20) - plain), "ms")
    loop = best(program(sys.executable, "-c", "import asyncio"), 20) - plain
    row("import asyncio, of Python itself", 1e3 * loop, "ms")
    size = "print([line.split()[1] for line in open('/proc/self/status') if 'VmRSS' in line][0])"
    rss = [int(subprocess.run([sys.executable, "-c", code + size], stdout=subprocess.PIPE, check=True,
                              env={**os.environ, "PYTHONPATH": PACKAGE}).stdout) for code in
           ("", everything + ";")]
    row("  memory of it", (rss[1] - rss[0]) / 1024, "MB")
    command = os.path.join(BUILD, "src/cli/sandboxes")
    row("sandboxes --help", 1e3 * best(program(command, "--help"), 20), "ms")
    row("sandboxes providers", 1e3 * best(program(command, "providers"), 20), "ms")


def per_call(function, count=5000):
    return 1e6 * min(timed(lambda: [function() for _ in range(count)]) for _ in range(5)) / count


def binding():
    """Listing sandboxes of a provider in memory: nothing but the way there and back."""
    client = _native.Client("fake", None)
    row("a call: this extension, inline", per_call(lambda: client.list("fake", (), 0).wait(False)), "us")
    row("a call: this extension, with Ctrl-C", per_call(lambda: client.list("fake", (), 0).wait(True)), "us")

    async def many(count):
        for _ in range(count):
            await _bridge.call(client.list("fake", (), 0))

    row("a call: this extension, awaited", 1e6 * best(lambda: asyncio.run(many(5000)), 5) / 5000, "us")

    async def together(count):
        await asyncio.gather(*(_bridge.call(client.list("fake", (), 0)) for _ in range(count)))

    row("a call: this extension, awaited 1,000 at once", 1e6 * best(lambda: asyncio.run(together(1000)), 5) / 1000,
        "us")
    library = ctypes.CDLL(os.path.join(BUILD, "src/libsandboxes.so"))
    row("a call: ctypes, inline, result not looked at", per_call(by_ctypes(library)), "us")
    try:
        row("a call: cffi (ABI mode), inline, result not looked at", per_call(by_cffi()), "us")
    except ImportError:
        print("cffi is not installed: not measured")


def by_ctypes(library):
    pointer, size = ctypes.c_void_p(), ctypes.c_size_t
    err = ctypes.create_string_buffer(2048)
    assert library.sbx_client_open(None, ctypes.byref(pointer), err) == 0
    call = library.sbx_sandbox_list
    call.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, size, ctypes.c_void_p, ctypes.c_void_p,
                     ctypes.c_void_p]
    free = library.sbx_list_free
    free.argtypes = [ctypes.c_void_p]

    def once():
        got = (ctypes.c_size_t * 3)()
        failure = ctypes.create_string_buffer(1200)
        assert call(pointer, b"fake", None, 0, None, got, failure) == 0
        free(got)

    return once


def by_cffi():
    import cffi

    ffi = cffi.FFI()
    ffi.cdef("""int sbx_client_open(const void *, void **, void *);
int sbx_sandbox_list(void *, const char *, void *, size_t, void *, void *, void *); void sbx_list_free(void *);""")
    library = ffi.dlopen(os.path.join(BUILD, "src/libsandboxes.so"))
    client, err = ffi.new("void **"), ffi.new("char[]", 2048)
    assert library.sbx_client_open(ffi.NULL, client, err) == 0

    def once():
        got, failure = ffi.new("size_t[3]"), ffi.new("char[]", 1200)
        assert library.sbx_sandbox_list(client[0], b"fake", ffi.NULL, 0, ffi.NULL, got, failure) == 0
        library.sbx_list_free(got)

    return once


def fanout(total, alive):
    program = os.path.join(BUILD, "bench/bench_fanout")
    return float(subprocess.run([program, str(total), str(alive)], stdout=subprocess.PIPE, check=True).stdout)


def local():
    count = 100
    sync.run("true")
    in_c = statistics.median(fanout(count, 1) for _ in range(3)) / count
    row("create, first command, destroy: C", 1e3 * in_c, "ms")
    here = statistics.median(timed(lambda: [sync.run("echo hi") for _ in range(count)]) for _ in range(3)) / count
    row("create, first command, destroy: sync.run", 1e3 * here, "ms")

    async def runs():
        for _ in range(count):
            await run("echo hi")

    row("create, first command, destroy: await run", 1e3 * best(lambda: asyncio.run(runs()), 3) / count, "ms")

    async def first():
        samples = []
        for _ in range(count):
            begin = time.perf_counter()
            box = await Sandbox.create()
            await box.execute("echo hi")
            samples.append(time.perf_counter() - begin)
            await box.destroy()
        return statistics.median(samples)

    row("time to first command: await create, execute", 1e3 * asyncio.run(first()), "ms")

    async def thousand():
        slots = asyncio.Semaphore(100)

        async def one():
            async with slots:
                await run("echo hi")

        await asyncio.gather(*(one() for _ in range(1000)))

    rounds = [(fanout(1000, 100), timed(lambda: asyncio.run(thousand()))) for _ in range(3)]
    in_c, here = (min(values) for values in zip(*rounds))
    row("1,000 runs, at most 100 alive: C", in_c, "s")
    row("1,000 runs, at most 100 alive: one loop", here, "s")
    row("  ratio", here / in_c, "")


def stream():
    async def main():
        async with Sandbox.create() as box:
            await box.execute("true")
            for line, unit in (("dd if=/dev/zero bs=1M count=100 status=none", 100 << 20),):
                size, begin = 0, time.perf_counter()
                async for chunk in box.stream(line):
                    size += len(chunk)
                assert size == unit
                samples.append(size / (time.perf_counter() - begin) / 1e6)

    samples = []
    for _ in range(5):
        asyncio.run(main())
    row("100 MB through async for, as text (median of 5)", statistics.median(samples), "MB/s")


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def memory():
    """What the process holds after much of the same, to after some of it."""

    async def streamed(box, count):
        for _ in range(count):
            async for _ in box.stream("dd if=/dev/zero bs=1M count=100 status=none"):
                pass

    async def called(box, count):
        for _ in range(count // 100):
            await asyncio.gather(*(box.execute("true") for _ in range(100)))

    async def main():
        for what, work, some, many in (("2,000 MB streamed", streamed, 2, 20),
                                       ("10,000 commands, 100 at once", called, 500, 10_000)):
            async with Sandbox.create() as box:
                await work(box, some)
                before = resident()
                await work(box, many)
                row(f"memory after {what}: more than before", resident() - before, "MB")
        row("  all of the process's", resident(), "MB")

    asyncio.run(main())


def pool():
    provider = NativeProvider("fake", create_delay_ms=100)

    async def main():
        begin = time.perf_counter()
        async with SandboxPool(PoolConfig(max_total=10)) as warm:
            await asyncio.gather(*(warm.acquire(provider, SandboxConfig()) for _ in range(10)))
            return time.perf_counter() - begin

    row("10 creations of 100 ms through the pool", 1e3 * asyncio.run(main()), "ms")

    async def reused():
        local_provider = LocalProvider()
        async with SandboxPool() as warm:
            box = await warm.acquire(local_provider, SandboxConfig())
            await warm.release(box.id)
            begin = time.perf_counter()
            for _ in range(100):
                box = await warm.acquire(local_provider, SandboxConfig())
                await warm.release(box.id)
            return (time.perf_counter() - begin) / 100

    row("taking a warm sandbox and giving it back", 1e6 * asyncio.run(reused()), "us")


if __name__ == "__main__":
    for part in (start, binding, local, stream, memory, pool):
        part()
