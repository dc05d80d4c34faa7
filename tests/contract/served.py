# SPDX-License-Identifier: Apache-2.0
"""The contract with a provider of a service, which `sandboxes serve` plays here: served.py PROGRAM PROVIDER [CASE...]

Everything the server and its sandboxes need is in a directory of the test's own."""
import os
import re
import signal
import subprocess
import sys
import tempfile

SKIP = 77
BUILD = os.environ["BUILD"]
SERVE = os.path.join(BUILD, "src/serve/sandboxes-serve")
MODULE = os.path.join(BUILD, "src/sandboxes-cloud.so")


def run_contract(program, provider, cases, url, key, env):
    names = {"daytona": {"DAYTONA_API_KEY": key, "DAYTONA_API_URL": url + "/api"},
             "e2b": {"E2B_API_KEY": key, "E2B_API_URL": url, "E2B_SANDBOX_URL": url, "SANDBOXES_E2B_TIED_LIFE": "3"}}
    return subprocess.run([program, provider, *cases], env={**env, **names[provider]}, check=False).returncode


def serve(program, provider, cases, work):
    env = {**os.environ, "XDG_RUNTIME_DIR": work, "NO_PROXY": "*", "no_proxy": "*"}
    state = os.path.join(work, "state")
    os.mkdir(state, 0o700)
    key = subprocess.run([SERVE, "--state", state, "key", "create", "contract"], env=env, check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode().strip()
    with open(os.path.join(work, "log"), "w+b") as log:
        server = subprocess.Popen([SERVE, "--state", state, "--port", "0", "-p", "local"], env=env,
                                  stdout=subprocess.PIPE, stderr=log)
        try:
            line = server.stdout.readline().decode()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if not found:
                log.seek(0)
                print(f"the server did not start: {line}{log.read().decode()}")
                return 1
            return run_contract(program, provider, cases, found.group(), key, env)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            server.stdout.close()


def main():
    if not os.path.exists(SERVE) or not os.path.exists(MODULE):
        print("1..0 # SKIP built without the server or the module of services")
        return SKIP
    doctor = subprocess.run([os.path.join(BUILD, "src/cli/sandboxes"), "doctor"], check=False,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if doctor.returncode != 0:
        print("1..0 # SKIP no sandbox can be made on this machine")
        return SKIP
    with tempfile.TemporaryDirectory(prefix="sbx-") as work:
        return serve(sys.argv[1], sys.argv[2], sys.argv[3:], work)


if __name__ == "__main__":
    sys.exit(main())
