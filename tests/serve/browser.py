# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven through its debugging pipe."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"]


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page. Exceptions in it and refused loads are kept in `problems`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sbx-browser-")
        here_in, there_out = os.pipe()
        there_in, here_out = os.pipe()
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec 3<&{there_in} 4>&{there_out}; exec \"$@\"", "sh", find(), *FLAGS,
             f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(there_in, there_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self.profile, "TMPDIR": self.profile})
        os.close(there_in)
        os.close(there_out)
        self.output, self.input = here_out, os.fdopen(here_in, "rb")
        self.number, self.answers, self.problems = 0, {}, []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        target = next(t for t in self.call("Target.getTargets", session=None)["targetInfos"]
                      if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", session=None, targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def read(self):
        data = b""
        while chunk := self.input.read1(65536):
            *messages, data = (data + chunk).split(b"\0")
            for text in messages:
                self.take(json.loads(text))
        with self.changed:
            self.answers = None
            self.changed.notify_all()

    def take(self, message):
        with self.changed:
            if "id" in message:
                self.answers[message["id"]] = message
                self.changed.notify_all()
            elif message["method"] == "Runtime.exceptionThrown":
                self.problems.append(message["params"]["exceptionDetails"])
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"])

    def call(self, method, session=True, **params):
        with self.changed:
            self.number += 1
            number = self.number
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        with self.changed:
            if not self.changed.wait_for(lambda: self.answers is None or number in self.answers, 30):
                raise AssertionError(f"the browser does not answer {method}")
            if self.answers is None:
                raise AssertionError("the browser has ended")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script, patience=15):
        end = time.monotonic() + patience
        while not self.run(f"Boolean({script})"):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {script}\n{self.run('document.body.innerText')}\n{self.problems}")
            time.sleep(0.02)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                      text="\r" if key == "Enter" and kind == "keyDown" else "")

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.output)
        self.remove_profile()

    def remove_profile(self):
        """Its other processes, which are not ours to wait for, may write there until they are gone."""
        for _ in range(200):
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                return
            time.sleep(0.05)
