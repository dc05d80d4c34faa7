#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the test suites of the build directories that ./dev has made, and sums them up.

Prints a line per suite and, last, `N passed, N failed, N skipped` over all test programs with their
subtests. Fails when a test failed or something stayed behind.
"""
import argparse
import collections
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "tests", "lib"))
import leaks  # noqa: E402

USER_ID = 65533
AGAIN_MAX = 12  # failed programs that are given a second try; more is no bad luck
VALGRIND = ("valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "
            "--child-silent-after-fork=yes --trace-children=no")
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:die_after_fork=0",
}

Run = collections.namedtuple("Run", "name about build arguments env user")


def plan(root):
    """Every run there is, in order; `only` chooses."""
    memory = ["--suite", "unit", "--suite", "contract"]
    who = "as root" if root else "as this user"
    runs = [
        Run("main", who, "build", ["--no-suite", "slow"], {}, False),
        Run("user", "as an ordinary user", "build",
            ["--no-suite", "slow", "--no-suite", "unit", "--no-suite", "arch", "--no-suite", "root"],
            {}, True),
        Run("asan", "address and undefined behaviour sanitizers", "build-asan", memory,
            SANITIZER_ENV, False),
        Run("tsan", "thread sanitizer", "build-tsan", memory, SANITIZER_ENV, False),
        Run("valgrind", "under valgrind", "build",
            [*memory, "--no-suite", "newcalls", "--timeout-multiplier", "20", "--wrap", VALGRIND],
            {}, False),
        Run("fuzz", "fuzz targets", "build-fuzz", ["--suite", "fuzz", "--timeout-multiplier", "0"],
            SANITIZER_ENV, False),
        Run("slow", "slow suites, " + who, "build", ["--suite", "slow"], {}, False),
    ]
    return [run for run in runs if root or not run.user]


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def count_tap(text):
    count = Count()
    for line in text.splitlines():
        found = re.match(r"(not )?ok\b(?!:)[ \d]*[^#]*(# *(skip|todo))?", line, re.IGNORECASE)
        if not found:
            continue
        if found.group(3):
            count.skipped += 1
        elif found.group(1):
            count.failed += 1
        else:
            count.passed += 1
    return count


def count_unittest(text):
    """unittest's and pytest's closing lines."""
    count = Count()
    ran = number(r"(?m)^Ran (\d+) tests? in", text)
    if ran:
        closing = text[text.rindex("Ran "):]
        count.failed = sum(number(rf"\b{word}=(\d+)", closing) for word in ("failures", "errors"))
        count.skipped = number(r"skipped=(\d+)", closing)
        count.passed = max(0, ran - count.failed - count.skipped)
    else:
        lines = [line for line in text.splitlines() if re.match(r"=+ .*\d+ \w+.* in [\d.]+", line)]
        if lines:
            count.failed = number(r"(\d+) failed", lines[-1]) + number(r"(\d+) error", lines[-1])
            count.skipped = number(r"(\d+) skipped", lines[-1])
            count.passed = number(r"(\d+) passed", lines[-1])
    return count


def count_program(test):
    """Subtests of one test program; the program itself where it tells of none."""
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    count = count_tap(test.get("stdout", ""))
    if not (count.passed or count.failed or count.skipped):
        count = count_unittest(text)
    # cmocka says "not ok N # SKIP", which meson takes for a failure although the program exits with 0.
    only_skipped = test["returncode"] == 0 and count.skipped and not count.failed
    good = test["result"] in ("OK", "EXPECTEDFAIL") or only_skipped
    if test["result"] == "SKIP":
        if not count.skipped:
            count.skipped = 1
    elif good and not (count.passed or count.skipped):
        count.passed = 1
    elif not good and not count.failed:
        count.failed = 1
    return count


def suite_of(name):
    """`project:quick+unit / buf` names the suite unit, program buf."""
    suites, _, program = name.partition(" / ")
    labels = [s for s in suites.rpartition(":")[2].split("+") if s not in ("quick", "full", "slow", "root", "newcalls")]
    return (labels[0] if labels else "other"), program or name


def guest_kernel():
    """The kernel for guests that tools/guest-kernel made for this user, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.environ.get("SANDBOXES_CACHE_DIR") or os.path.join(cache, "sandboxes")
    path = os.environ.get("SANDBOXES_MICROVM_KERNEL") or os.path.join(cache, "kernel", "vmlinux")
    return path if os.access(path, os.R_OK) else None


class Private:
    """Directories of one run's own: home, state, cache, temporary files, and the kernel for guests, which
    this user's cache may hide from another."""

    def __init__(self, user):
        self.base = tempfile.mkdtemp(prefix="sandboxes-test-")
        os.chmod(self.base, 0o755)
        self.kernel = guest_kernel()
        if self.kernel:
            self.kernel = shutil.copy(self.kernel, os.path.join(self.base, "vmlinux"))
            os.chmod(self.kernel, 0o644)
        self.paths = {}
        for name, mode in (("home", 0o700), ("run", 0o700), ("cache", 0o700), ("tmp", 0o700)):
            path = self.paths[name] = os.path.join(self.base, name)
            os.mkdir(path, mode)
            if user:
                os.chown(path, USER_ID, USER_ID)

    def environment(self):
        drop = ("SANDBOXES_", "XDG_", "MESON_", "PYTEST_", "LD_PRELOAD")
        env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        env.update(HOME=self.paths["home"], XDG_RUNTIME_DIR=self.paths["run"],
                   XDG_CACHE_HOME=self.paths["cache"], TMPDIR=self.paths["tmp"],
                   XDG_CONFIG_HOME=os.path.join(self.paths["home"], ".config"),
                   SANDBOXES_TEST_UID=str(USER_ID), PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1")
        if self.kernel:
            env["SANDBOXES_MICROVM_KERNEL"] = self.kernel
        return env

    def watched(self):
        return [os.path.join(self.paths["run"], "sandboxes"), self.paths["tmp"]]

    def remove(self):
        subprocess.run(["chmod", "-R", "u+rwX", self.base], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.base, ignore_errors=True)


def command_of(run, logbase, *more):
    command = ["meson", "test", "-C", run.build, "--no-rebuild", "--logbase", logbase,
               *run.arguments, *more]
    if run.user:
        as_user = os.path.join(TREE, "tools/dev/as-user")
        command = [as_user, "--reach", TREE, *command, "--wrap", as_user]
    return command


def show_failure(test):
    print(f"---- {test['name']}: {test['result']}, exit status {test.get('returncode')}")
    text = (test.get("stdout", "") + "\n" + test.get("stderr", "")).strip()
    for line in text.splitlines()[-60:]:
        print("     " + line)
    print("----", flush=True)


def read_tests(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [json.loads(line) for line in file if line.strip()]
    except OSError:
        return []


def run_meson(run, env, logbase, *more):
    """Results of meson's tests, its exit status and what it printed."""
    log = os.path.join(TREE, run.build, "meson-logs", logbase)
    for path in glob.glob(log + "[.-]*"):
        os.unlink(path)
    with open(log + ".out", "wb") as out:
        done = subprocess.run(command_of(run, logbase, *more), cwd=TREE, env=env,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                              check=False)
    with open(log + ".out", encoding="utf-8", errors="replace") as out:
        text = out.read().strip()
    # meson adds the wrapper's name
    return read_tests(next(iter(glob.glob(log + "[.-]*json")), log)), done.returncode, text


def run_again(run, env, tests):
    """What failed beside other programs may have been starved by them: it runs once more, alone. Both
    outcomes are told; the second one counts."""
    failed = [test for test in tests if count_program(test).failed]
    if not 0 < len(failed) <= AGAIN_MAX:
        return tests
    names = [suite_of(test["name"])[1] for test in failed]
    again = run_meson(run, env, f"dev-{run.name}_again", "--num-processes", "1", *names)[0]
    second = {test["name"]: test for test in again}
    for test in failed:
        if test["name"] in second and not count_program(second[test["name"]]).failed:
            show_failure(test)
            print(f"     {test['name']}: passed when it ran again, alone")
    return [second.get(test["name"], test) if test in failed else test for test in tests]


def do_run(run, fuzz_seconds):
    """One run of meson's tests: a line per suite. Returns its Count."""
    print(f"==> {run.name}: {run.about}", flush=True)
    private = Private(run.user)
    env = {**private.environment(), **run.env, "SANDBOXES_FUZZ_SECONDS": str(fuzz_seconds)}
    watch = leaks.Watch(private.watched())
    tests, status, text = run_meson(run, env, f"dev-{run.name}")
    total = sum_suites(run_again(run, env, tests))
    if not tests and "No suitable tests" not in text and "No tests defined" not in text:
        print(f"    meson could not run them (status {status}):\n{text}")
        total.failed += 1
    elif not tests:
        print("    none")
    total.failed += check_leftovers(watch)
    private.remove()
    return total


def sum_suites(tests):
    suites = collections.OrderedDict()
    total = Count()
    for test in tests:
        suite, _ = suite_of(test["name"])
        entry = suites.setdefault(suite, [Count(), 0, 0.0])
        count = count_program(test)
        entry[0].add(count)
        entry[1] += 1
        entry[2] += test.get("duration", 0)
        total.add(count)
        if count.failed:
            show_failure(test)
    for suite, (count, programs, seconds) in sorted(suites.items()):
        print(f"    {suite:<10} {programs:3} programs  {count}  {seconds:.1f} s")
    sys.stdout.flush()
    return total


def check_leftovers(watch):
    left = watch.leftovers()
    if not left:
        return 0
    print("    LEFT BEHIND by these suites:")
    for line in left:
        print("      " + line)
    leaks.kill_descendants()
    return 1


def parse():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--all", action="store_true", help="the slow suites too")
    parser.add_argument("--only", help="names of runs, with commas between")
    parser.add_argument("--begin", type=float, default=time.time(), help=argparse.SUPPRESS)
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup(1)
    for interrupt in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(interrupt, signal.default_int_handler)  # tests send them; a caller may ignore them
    root = os.geteuid() == 0
    chosen = ["main", "user", "asan", "tsan"]
    if options.only:
        chosen = options.only.split(",")
    elif options.all:
        chosen = [run.name for run in plan(root)]
    leaks.adopt_orphans()
    total = Count()
    for run in plan(root):
        if run.name in chosen and os.path.exists(os.path.join(TREE, run.build, "build.ninja")):
            total.add(do_run(run, options.fuzz_seconds))
    print(f"==> {time.time() - options.begin:.0f} s in all")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
