# SPDX-License-Identifier: Apache-2.0
"""Runs one fuzz target for SANDBOXES_FUZZ_SECONDS. usage: run_fuzz.py TARGET CORPUS"""
import os
import subprocess
import sys
import tempfile


def main():
    target, corpus = sys.argv[1:]
    seconds = os.environ.get("SANDBOXES_FUZZ_SECONDS", "10")
    seeds = [corpus] if os.path.isdir(corpus) else []
    # New finds go to a directory that is dropped: what is worth keeping is added to corpus/ by hand.
    with tempfile.TemporaryDirectory() as found:
        done = subprocess.run(
            [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
             "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/", found, *seeds],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode(errors="replace")
        print("\n".join(text.splitlines()[-40:]))
        for name in os.listdir(found):
            if done.returncode != 0 and name.startswith(("crash-", "leak-", "oom-", "timeout-")):
                with open(os.path.join(found, name), "rb") as file:
                    print(f"input of the failure ({name}): {file.read(4096).hex()}")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
