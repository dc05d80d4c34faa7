#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks against others on this machine, in one run. usage: bench.py [quick|full] [GROUP...]

Everybody gets the same root file system (busybox and a static program) and the same work; cases take
turns, so that drift of the machine cancels out. Prints a table and writes bench/results.json.
"""
import argparse
import collections
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build")
NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")
APPLETS = ("sh", "true", "echo", "sleep", "ls", "id", "head", "wc")
SIZES = {
    "quick": {"first": 60, "process": 40, "exec": 100, "at once": (64,), "living": 100, "row": 200,
              "throughput": (256, 3), "guest": (15, 10)},
    "full": {"first": 300, "process": 200, "exec": 500, "at once": (64, 500), "living": 1000,
             "row": 10000, "throughput": (1024, 5), "guest": (30, 50), "fill": 16},
}
ALONE = "fill"  # leaves no memory for others: only when it is asked for
# (what, against what, bound of the ratio of minima and of medians, True: at least)
FLAT = 1.25  # what drift of the machine is allowed where a figure is to stay the same
TARGETS = [
    (("first", "ours internet"), ("first", "bwrap"), 0.6, False),
    (("first", "ours none"), ("first", "bwrap"), 0.45, False),
    (("process", "sandboxes run true"), ("process", "bwrap true"), 1.0, False),
    (("exec", "ours"), ("exec", "crun exec"), 1 / 15, False),
    (("living", "create with 1000 living"), ("living", "create with 1 living"), FLAT, False),
    (("living", "exec with 1000 living"), ("living", "exec with 1 living"), FLAT, False),
    (("living", "list with 1000 living, each"), ("living", "list with 1 living, each"), FLAT, False),
    (("row", "last tenth"), ("row", "first tenth"), FLAT, False),
    (("throughput", "our upload"), ("throughput", "cp"), 0.8, True),
    (("throughput", "our download"), ("throughput", "cp"), 0.8, True),
]
# (what, bound, True: at least)
BOUNDS = [
    (("exec", "ours"), 0.15, False),
    (("at once", "500 at once none"), 800, True),
    (("at once", "500 at once internet"), 400, True),
    (("living", "memory each, network none: sum"), 512, False),
    (("living", "memory each, network none: by free pages"), 512, False),
    (("living", "memory each, network internet: sum"), 512, False),
    (("living", "memory each, network internet: by free pages"), 512, False),
    (("row", "more descriptors"), 2, False),  # of the helper that makes spares, and its like
    (("row", "more mounts"), 0, False),
    (("row", "more cgroups"), 3, False),  # the parent of all, in each hierarchy
    (("row", "less memory available"), 20480, False),  # 2 kB each
    (("throughput", "our stdout"), 1.0, True),
    (("guests", "first command"), 90, False),
    (("guests", "first command of a guest made before"), 5, False),
    (("guests", "exec"), 2, False),
    (("guests", "memory each (MemAvailable)"), 25000, False),
]


def make_root(base):
    root = os.path.join(base, "root")
    for folder in ("bin", "dev", "proc", "sys", "tmp", "etc", "home", "root", "run", "usr", "var"):
        os.makedirs(os.path.join(root, folder))
    shutil.copy(shutil.which("busybox") or "/bin/busybox", os.path.join(root, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(root, "bin", applet))
    for program in ("hello", "cat", "traffic"):
        shutil.copy(os.path.join(BUILD, "bench", program), os.path.join(root, "bin", program))
    with open(os.path.join(root, "etc/passwd"), "w", encoding="ascii") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    with open(os.path.join(root, "etc/group"), "w", encoding="ascii") as file:
        file.write("root:x:0:\nuser:x:1000:\n")
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    for folder, _, _ in os.walk(base):
        os.chmod(folder, os.stat(folder).st_mode | 0o055)
    return root


def crun_config(root, arguments):
    mounts = [("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
              ("/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755", "size=65536k"]),
              ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "mode=0620"]),
              ("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev"])]
    return {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": arguments,
                    "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": True},
        "root": {"path": root, "readonly": True},
        "hostname": "bench",
        "mounts": [{"destination": d, "type": t, "source": s, "options": o} for d, t, s, o in mounts],
        "linux": {"namespaces": [{"type": name} for name in NAMESPACES]},
    }


def make_bundle(base, name, root, arguments):
    bundle = os.path.join(base, name)
    os.makedirs(bundle)
    with open(os.path.join(bundle, "config.json"), "w", encoding="ascii") as file:
        json.dump(crun_config(root, arguments), file)
    return bundle


class Living:
    """A crun container that sleeps, for crun exec. crun refuses machines with both versions of cgroups:
    there it gets a mount namespace with version 1 only."""

    HYBRID = "/sys/fs/cgroup/unified"

    def __init__(self, bundle, env):
        self.name = f"bench-living-{os.getpid()}"
        command = ["crun", "run", "-b", bundle, self.name]
        self.hybrid = os.path.ismount(self.HYBRID)
        if self.hybrid:
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                       f'umount -l {self.HYBRID} && exec "$@"', "sh", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env)
        self.inherited = env
        self.environment = {"BENCH_LIVING": self.name}
        if self.hybrid:
            self.environment["BENCH_CRUN_NAMESPACE"] = f"/proc/{self.process.pid}/ns/mnt"
        for _ in range(100):
            if b'"running"' in self.crun("state", self.name):
                return
            time.sleep(0.05)

    def crun(self, *arguments):
        command = ["crun", *arguments]
        if self.hybrid:
            command = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", *command]
        return subprocess.run(command, env=self.inherited, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False).stdout

    def end(self):
        self.crun("delete", "-f", self.name)
        self.process.wait()


def run_program(name, arguments, env):
    """Lines of JSON of one benchmark program; [] with a message when it can't measure."""
    command = [os.path.join(BUILD, "bench", "bench_" + name), *[str(a) for a in arguments]]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        print(f"  {' '.join(command)} failed ({done.returncode})", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def measure(sizes, groups, env):
    rows = []
    for group in ("first", "process", "exec"):
        if group in groups:
            print(f"==> {group}: {sizes[group]} rounds", flush=True)
            rows += run_program("compare", [sizes[group], group], env)
    if "at once" in groups:
        for count in sizes["at once"]:
            for network in ("none", "internet"):
                print(f"==> {count} at once, network {network}", flush=True)
                rows += run_program("scale", ["at-once", count, network], env)
    if "living" in groups:
        for network in ("none", "internet"):
            print(f"==> {sizes['living']} living, network {network}", flush=True)
            rows += run_program("scale", ["living", sizes["living"], network], env)
    if "row" in groups:
        print(f"==> row: {sizes['row']}", flush=True)
        rows += run_program("scale", ["row", sizes["row"]], env)
    if "throughput" in groups:
        print("==> throughput: %d MiB, %d rounds" % sizes["throughput"], flush=True)
        rows += run_program("throughput", sizes["throughput"], env)
    if "guest" in groups:
        rounds, idle = sizes["guest"]
        print(f"==> guest: {rounds} rounds, {idle} idle", flush=True)
        for name, count in (("first", rounds), ("exec", 5 * rounds), ("pooled", rounds), ("idle", idle)):
            rows += run_program("guest", [name, count], env)
        rows += run_program("throughput", [64, rounds // 5, "microvm"], env)
    if ALONE in groups:
        print(f"==> guests until {sizes[ALONE]} GiB are used", flush=True)
        rows += run_program("guest", ["fill", sizes[ALONE]], env)
    return rows


def summary(rows):
    found = collections.OrderedDict()
    for row in rows:
        samples = row["samples"]
        found[(row["group"], row["name"])] = {
            "unit": row["unit"], "count": len(samples), "min": min(samples),
            "median": statistics.median(samples), "max": max(samples)}
    return found


def show(found):
    group = None
    for (own, name), row in found.items():
        if own != group:
            group = own
            print(f"\n{group:<44}{'min':>11}{'median':>11}{'max':>11}")
        if row["count"] == 1:
            print(f"  {name:<42}{row['min']:>33.4g}  {row['unit']}")
        else:
            print(f"  {name:<42}{row['min']:>11.3f}{row['median']:>11.3f}{row['max']:>11.3f}"
                  f"  {row['unit']}")


def judge(found):
    """Each promise: whether it is met here, and the figure."""
    verdicts = []
    for what, against, bound, at_least in TARGETS:
        if what in found and against in found:
            ratios = {k: found[what][k] / found[against][k] for k in ("min", "median")}
            verdicts.append({"what": f"{what[1]} / {against[1]}", "bound": bound,
                             "min": ratios["min"], "median": ratios["median"],
                             "met": ratios["median"] >= bound if at_least
                             else max(ratios.values()) <= bound})
    for what, bound, at_least in BOUNDS:
        if what in found:
            value = found[what]["median"]
            verdicts.append({"what": f"{what[1]} ({found[what]['unit']})", "bound": bound,
                             "min": found[what]["min"], "median": value,
                             "met": value >= bound if at_least else value <= bound})
    if verdicts:
        print(f"\n{'promise':<58}{'bound':>8}{'by min':>9}{'by median':>11}")
    for v in verdicts:
        print(f"  {v['what']:<56}{v['bound']:>8.3g}{v['min']:>9.3g}{v['median']:>11.3g}"
              f"  {'met' if v['met'] else 'NOT MET'}")
    return verdicts


def make_libexec(base):
    """The helper programs in one directory, where they are found at once, as when installed."""
    libexec = os.path.join(base, "libexec")
    os.mkdir(libexec)
    for name in ("jail/sandboxes-jail", "agent/sandboxes-agent", "netstack/sandboxes-netstack",
                 "vmm/sandboxes-vmm", "vmm/sandboxes-guest", "vmm/sandboxes-preload.so", "vmm/sandboxes-thaw"):
        shutil.copy(os.path.join(BUILD, "src", name), libexec)
    os.chmod(libexec, 0o755)
    return libexec


def environment(base, memory, root):
    bundle = make_bundle(base, "bundle", root, ["/bin/hello"])
    empty = os.path.join(base, "empty")
    os.mkdir(empty)
    run = os.path.join(memory, "run")  # a tmpfs, as systemd gives to each user; crun's state too
    os.mkdir(run, 0o700)
    return {**os.environ, "BENCH_ROOT": root, "BENCH_BASE": empty, "BENCH_BUNDLE": bundle,
            "BENCH_MEMORY": memory, "XDG_RUNTIME_DIR": run,
            "SANDBOXES_LIBEXEC": make_libexec(base),
            "BENCH_SANDBOXES": os.path.join(BUILD, "src/cli/sandboxes")}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("size", nargs="?", choices=SIZES, default="full")
    parser.add_argument("groups", nargs="*", help="first process exec 'at once' living row throughput guest fill")
    parser.add_argument("--skip", default="", help="names of cases, with commas between")
    options = parser.parse_args()
    sizes = SIZES[options.size]
    unknown = [name for name in options.groups if name not in sizes]
    if unknown:
        parser.error(f"'{options.size}' measures no {', '.join(unknown)}; there are: {', '.join(sizes)}")
    base = tempfile.mkdtemp(prefix="sandboxes-bench-")
    memory = tempfile.mkdtemp(prefix="sandboxes-bench-", dir="/dev/shm")
    living = None
    try:
        root = make_root(base)
        env = environment(base, memory, root)
        living = Living(make_bundle(base, "living", root, ["/bin/sleep", "3600"]), env)
        env.update(living.environment, BENCH_SKIP=options.skip)
        rows = measure(sizes, options.groups or [name for name in sizes if name != ALONE], env)
    finally:
        if living:
            living.end()
        shutil.rmtree(memory, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)
    found = summary(rows)
    show(found)
    verdicts = judge(found)
    with open(os.path.join(HERE, "results.json"), "w", encoding="ascii") as file:
        json.dump({"machine": {"kernel": platform.release(), "processors": os.cpu_count(),
                               "load": os.getloadavg()},
                   "size": options.size, "promises": verdicts, "rows": rows}, file, indent=1)
        file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
