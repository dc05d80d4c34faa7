#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As much of micromamba as Metaflow asks for: environments are virtual ones of the interpreter STANDIN_PYTHON
below STANDIN_ROOT, and each one made is a line of STANDIN_ROOT/made. Packages NAME==1.0 of its channel are a module
NAME each."""
import json
import os
import subprocess
import sys

ROOT, PYTHON = os.environ["STANDIN_ROOT"], os.environ["STANDIN_PYTHON"]
URL = "https://channel.invalid/linux-64/{}-0.tar.bz2"
MARK = "conda-meta"


def answer(value):
    print(json.dumps(value))


def environments():
    for folder, names, _ in os.walk(os.path.join(ROOT, "envs")):
        if MARK in names:
            names.clear()
            yield folder


def solve(words):
    named = [word.replace("==", "-") for word in words if word.endswith("==1.0")]
    answer({"actions": {"LINK": [{"url": URL.format(name)} for name in ["python-3", *named]]}})


def download(words):
    os.makedirs(os.path.join(ROOT, "pkgs"), exist_ok=True)
    for url in words:
        open(os.path.join(ROOT, "pkgs", os.path.basename(url)), "wb").close()


def install(prefix, urls):
    subprocess.run([PYTHON, "-m", "venv", prefix], check=True)
    os.makedirs(os.path.join(prefix, MARK))
    site, own = (subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                                capture_output=True, text=True).stdout.strip() for python in (PYTHON, f"{prefix}/bin/python"))
    with open(os.path.join(own, "standin.pth"), "w", encoding="utf-8") as file:
        file.write(site)
    for name in (os.path.basename(url).split("-")[0] for url in urls):
        if name != "python":
            with open(os.path.join(own, f"{name}.py"), "w", encoding="utf-8") as file:
                file.write("NAME = 'from the channel'\n")
    with open(os.path.join(ROOT, "made"), "a", encoding="utf-8") as file:
        file.write(prefix + "\n")


def create(words):
    urls = [word for word in words if word.startswith("https:")]
    if "--dry-run" in words:
        solve(words)
    elif "--download-only" in words:
        download(urls)
    else:
        install(words[words.index("--prefix") + 1], urls)


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
