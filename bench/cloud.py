# SPDX-License-Identifier: Apache-2.0
"""Our clients of services beside others, against the same server: python3 bench/cloud.py [BUILD [PROVIDER...]]

The server is where E2B_API_URL, E2B_SANDBOX_URL, E2B_API_KEY and DAYTONA_API_URL, DAYTONA_API_KEY point. Without
those it is bench/instant.c, which answers everything at once: what is measured then is the clients' own time, their
overhead; or, with SERVE=1, `sandboxes serve` of that build, with which output is streamed too (MIB=1024). The others are those of the packages e2b, daytona and cased-sandboxes that the Python which
runs this has. CONCURRENT=20 changes how many commands run at once. Medians; the last lines are one whole
process that runs one command."""
import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

ROUNDS, CONCURRENT = 20, int(os.environ.get("CONCURRENT", "100"))
MIB = int(os.environ.get("MIB", "1024"))
ONE = {"e2b": "from e2b import Sandbox; s = Sandbox.create(); s.commands.run('true'); s.kill()",
       "daytona": "from daytona import Daytona; s = Daytona().create(); s.process.exec('true'); s.delete()"}


def timed(action):
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


class E2B:
    def __init__(self):
        from e2b import Sandbox
        self.sandbox = Sandbox

    def create(self):
        return self.sandbox.create(timeout=60)

    def run(self, box):
        box.commands.run("true")

    def end(self, box):
        box.kill()


class Daytona:
    def __init__(self):
        from daytona import Daytona as Client
        self.client = Client()

    def create(self):
        return self.client.create()

    def run(self, box):
        box.process.exec("true")

    def end(self, box):
        box.delete()


class Cased:
    """Its calls wait in an event loop, which is kept."""

    def __init__(self, provider):
        from sandboxes import Sandbox
        self.sandbox, self.provider, self.loop = Sandbox, provider, asyncio.new_event_loop()

    def wait(self, what):
        return self.loop.run_until_complete(what)

    def create(self):
        return self.wait(self.sandbox.create(provider=self.provider))

    def run(self, box):
        self.wait(box.execute("true"))

    def many(self, box, count):
        async def all_of_them():
            await asyncio.gather(*(box.execute("true") for _ in range(count)))
        self.wait(all_of_them())

    def end(self, box):
        self.wait(box.destroy())


def many(client, box, pool):
    if hasattr(client, "many"):
        client.many(box, CONCURRENT)
    else:
        list(pool.map(lambda _: client.run(box), range(CONCURRENT)))


def measure(name, client):
    ends = []

    def first():
        ends.append(client.create())
        client.run(ends[-1])

    try:
        first()
        firsts = []
        for _ in range(ROUNDS):
            firsts.append(timed(first))
            client.end(ends.pop())
        box = ends[0]
        execs = [timed(lambda: client.run(box)) for _ in range(ROUNDS)]
        with ThreadPoolExecutor(CONCURRENT) as pool:
            at_once = [timed(lambda: many(client, box, pool)) for _ in range(10)]
        print(f"{name}: create and first command {statistics.median(firsts):.2f} ms, a command "
              f"{statistics.median(execs):.2f} ms, {CONCURRENT} commands at once {statistics.median(at_once):.1f} ms",
              flush=True)
    except Exception as error:  # of a package that does not work with this server: the others are measured
        print(f"{name}: {type(error).__name__}: {error}", flush=True)
    finally:
        for box in ends:
            client.end(box)


def process(build, name, argv):
    times = [timed(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)) for _ in range(7)]
    peak = subprocess.run([os.path.join(build, "bench/bench_cloud"), "--peak", *argv], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()
    print(f"{name}: one process with one command {statistics.median(times):.1f} ms, {peak} MB", flush=True)


def has_cased():
    """The package of that name is ours as often as theirs."""
    try:
        return importlib.util.find_spec("sandboxes.providers.vercel") and importlib.util.find_spec("pydantic")
    except ModuleNotFoundError:
        return False


def measure_all(build, wanted):
    for provider in wanted:
        subprocess.run([os.path.join(build, "bench/bench_cloud"), provider, str(ROUNDS), str(CONCURRENT)], check=True)
        if importlib.util.find_spec(provider):
            measure(f"official {provider}", {"e2b": E2B, "daytona": Daytona}[provider]())
        if has_cased():
            measure(f"cased-sandboxes with {provider}", Cased(provider))
        process(build, f"sandboxes with {provider}",
                [os.path.join(build, "src/cli/sandboxes"), "run", "-p", provider, "--", "true"])
        if importlib.util.find_spec(provider):
            process(build, f"official {provider}", [sys.executable, "-c", ONE[provider]])


def point(url, key):
    os.environ.update(E2B_API_URL=url, E2B_SANDBOX_URL=url, E2B_API_KEY=key, NO_PROXY="*",
                      DAYTONA_API_URL=url + "/api", DAYTONA_API_KEY=key)


def with_serve(build, wanted):
    os.environ["BUILD"] = build
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/serve"))
    import servecase
    with tempfile.TemporaryDirectory(prefix="bench-cloud-") as base:
        server = servecase.Server(base, "--max-sandboxes", "1000", "--rate", "0")
        key = server.key()
        server.start()
        point(server.url, key)
        try:
            measure_all(build, wanted)
            for provider in wanted:
                program = os.path.join(build, "bench/bench_cloud")
                told = subprocess.run([program, "--peak", program, "--stream", provider, str(MIB)],
                                      check=True, stdout=subprocess.PIPE).stdout.decode().split()
                print(f"sandboxes with {provider}: {MIB} MiB of output at {told[0]} MB/s, client's peak {told[1]} MB, "
                      f"server's {peak_of(server.process.pid):.1f} MB", flush=True)
        finally:
            server.stop()
            server.command("destroy", "--all", "--yes", check=False)


def peak_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    wanted = sys.argv[2:] or ["e2b", "daytona"]
    if os.environ.get("SERVE"):
        with_serve(build, wanted)
        return
    if "E2B_API_URL" in os.environ or "DAYTONA_API_URL" in os.environ:
        measure_all(build, wanted)
        return
    with subprocess.Popen([os.path.join(build, "bench/bench_instant")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as server:
        url = server.stdout.readline().decode().strip()
        point(url, "e2b_" + 40 * "0")
        measure_all(build, wanted)
        server.stdin.close()


if __name__ == "__main__":
    main()
