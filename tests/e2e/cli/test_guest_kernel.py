# SPDX-License-Identifier: Apache-2.0
"""`sandboxes microvm setup` around the compiler: what goes on where, told how, and what stays whole. The
sources are a handful of files, and make a script; ./dev test builds the real ones."""
import os
import shutil
import signal
import sys
import tarfile

import sandboxcase

MAKE = """#!/bin/sh
echo "$*" >>"$CALLS"
case " $* " in
*' vmlinux '*)
    echo '  CC      part.o'
    [ -z "${BROKEN:-}" ] || { echo 'part.c: error: this is broken' >&2; exit 2; }
    if [ ! -e part.o ]; then
        : >part.o
        [ -z "${STOPS:-}" ] || { : >"$STOPS"; exec sleep 60; }
    fi
    cat name >vmlinux ;;
*) : >.config ;;
esac
"""


class GuestKernel(sandboxcase.SandboxCase):
    def setUp(self):
        super().setUp()
        self.kernels = os.path.join(self.work, "cache/kernel")
        self.calls = os.path.join(self.work, "calls")
        tools = os.path.join(self.work, "tools")
        os.makedirs(tools)
        for name in ("make", "gcc", "flex", "bison", "bc", "strip"):
            with open(os.path.join(tools, name), "w", encoding="ascii") as file:
                file.write({"make": MAKE, "strip": '#!/bin/sh\ncp "$3" "$2"\n'}.get(name, "#!/bin/sh\nexit 1\n"))
            os.chmod(os.path.join(tools, name), 0o755)
        self.env.update(SANDBOXES_CACHE_DIR=os.path.join(self.work, "cache"), CALLS=self.calls,
                        PATH=tools + ":" + os.environ["PATH"])

    def source(self, name):
        folder = os.path.join(self.work, name)
        os.makedirs(folder + "/scripts/kconfig")
        with open(folder + "/name", "w", encoding="ascii") as file:
            file.write(name)
        merge = folder + "/scripts/kconfig/merge_config.sh"
        with open(merge, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n")
        os.chmod(merge, 0o755)
        with tarfile.open(folder + ".tar", "w") as tar:
            tar.add(folder, "linux")
        return folder + ".tar"

    def setup(self, *words, status=0, **env):
        found, _, err = self.sandboxes("microvm", "setup", *words, check=False, env={**self.env, **env})
        self.assertEqual(status, found, err)
        return err

    def kernel(self):
        with open(self.kernels + "/vmlinux", encoding="ascii") as file:
            return file.read()

    def test_goes_on_where_it_was(self):
        source, stops = self.source("one"), os.path.join(self.work, "stops")
        process = self.start("microvm", "setup", "--source", source, env={**self.env, "STOPS": stops},
                             start_new_session=True)
        self.wait_for(lambda: os.path.exists(stops), "the compiler")
        os.killpg(process.pid, signal.SIGINT)
        err = process.communicate(timeout=30)[1].decode()
        self.assertIn(process.returncode, (-signal.SIGINT, 128 + signal.SIGINT))
        self.assertIn("stopped; started again, it goes on from here\n", err)
        self.assertFalse(os.path.lexists(self.kernels + "/vmlinux"))
        err = self.setup("--source", source)
        self.assertIn("going on in", err)
        self.assertNotIn("unpacking", err)
        self.assertEqual("one", self.kernel())
        self.assertFalse(os.path.exists(self.kernels + "/build"))
        with open(self.calls, encoding="ascii") as file:
            calls = file.read()
        self.assertEqual(1, calls.count("tinyconfig"))
        self.setup("--source", source)  # it is there
        with open(self.calls, encoding="ascii") as file:
            self.assertEqual(calls, file.read())

    def test_failures_leave_the_old_one(self):
        self.setup("--source", self.source("old"))
        err = self.setup("--source", self.source("broken"), status=1, BROKEN="1")
        self.assertIn("this is broken", err)
        self.assertIn("\n  try: ", err)
        self.assertEqual("old", self.kernel())
        for path in ("/nowhere.tar", self.work):
            err = self.setup("--source", path, status=1)
            self.assertIn("no file", err)
            self.assertIn("\n  try: ", err)
        with open(self.work + "/text", "w", encoding="ascii") as file:
            file.write("no archive")
        self.assertIn("is no whole archive", self.setup("--source", self.work + "/text", status=1))
        self.assertEqual("old", self.kernel())
        self.setup("--source", self.source("new"))
        self.assertEqual("new", self.kernel())


if __name__ == "__main__":
    sandboxcase.require_command()
    missing = [name for name in ("flock", "xz") if not shutil.which(name)]
    if missing or not os.path.exists("/usr/include/libelf.h") or os.uname().machine != "x86_64":
        print("1..0 # SKIP", *missing, "or libelf.h is not there, or guests are not for this machine")
        sys.exit(77)
    sandboxcase.main()
