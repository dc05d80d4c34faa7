#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As much of micromamba as Metaflow asks for: environments are virtual ones of the interpreter STANDIN_PYTHON
below STANDIN_ROOT, and each one made is a line of STANDIN_ROOT/made."""
import json
import os
import subprocess
import sys

ROOT, PYTHON = os.environ["STANDIN_ROOT"], os.environ["STANDIN_PYTHON"]
PACKAGE = "https://channel.invalid/linux-64/python-3-0.tar.bz2"
MARK = "conda-meta"


def answer(value):
    print(json.dumps(value))


def environments():
    for folder, names, _ in os.walk(os.path.join(ROOT, "envs")):
        if MARK in names:
            names.clear()
            yield folder


def create(words):
    if "--dry-run" in words:
        answer({"actions": {"LINK": [{"url": PACKAGE}]}})
    elif "--download-only" in words:
        os.makedirs(os.path.join(ROOT, "pkgs"), exist_ok=True)
        open(os.path.join(ROOT, "pkgs", os.path.basename(PACKAGE)), "wb").close()
    else:
        prefix = words[words.index("--prefix") + 1]
        subprocess.run([PYTHON, "-m", "venv", prefix], check=True)
        os.makedirs(os.path.join(prefix, MARK))
        site, own = (subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                                    capture_output=True, text=True).stdout for python in (PYTHON, f"{prefix}/bin/python"))
        with open(os.path.join(own.strip(), "standin.pth"), "w", encoding="utf-8") as file:
            file.write(site)
        with open(os.path.join(ROOT, "made"), "a", encoding="utf-8") as file:
            file.write(prefix + "\n")


def main(words):
    if words[:2] == ["config", "list"]:
        answer({"channels": [], "envs_dirs": [os.path.join(ROOT, "envs")], "pkgs_dirs": [os.path.join(ROOT, "pkgs")],
                "platform": f"linux-{'aarch64' if os.uname().machine == 'aarch64' else '64'}"})
    elif words[:2] == ["env", "list"]:
        answer({"envs": list(environments())})
    elif words[0] == "list":
        answer([{"name": "python", "version": "%d.%d.%d" % sys.version_info[:3]}])
    elif words[0] == "create":
        create(words)
    elif words[0] == "run":
        os.execv(os.path.join(words[2], "bin", words[3]), words[3:])


main(sys.argv[1:])
