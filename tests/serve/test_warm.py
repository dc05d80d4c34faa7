#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes made ahead: handed out as if made for the client, unseen before, gone with the server."""
import json
import re
import signal
import unittest

import servecase

servecase.require()


class Warm(servecase.ServeCase):
    options = ("--warm", "2", "--max-sandboxes", "2")

    def setUp(self):
        self.head = {"X-API-Key": self.key}

    def tearDown(self):
        for box in self.ask("GET", "/v2/sandboxes"):
            self.ask("DELETE", f"/sandboxes/{box['sandboxID']}")

    def ask(self, method, path, body=None, raw=False):
        return self.server.ask(method, path, body, self.head, raw)[2]

    def create(self, **body):
        return self.ask("POST", "/v2/sandboxes", {"templateID": "base", **body})

    def numbers(self):
        text = self.ask("GET", "/metrics", raw=True).decode()
        return {name: int(value) for name, value in re.findall(r"^sandboxes_(\w+) (\d+)$", text, re.M)}

    def warmed(self):
        """Whether a first sandbox has led to two that wait."""
        if not self.numbers()["warm"]:
            box = self.create()
            self.assertIn("sandboxID", box)
            self.ask("DELETE", f"/sandboxes/{box['sandboxID']}")
        self.assertTrue(self.wait_for(lambda: self.numbers()["warm"] == 2))
        return self.numbers()

    def local(self):
        listed = json.loads(self.server.command("list", "--json").stdout or b"[]")
        listed = listed["sandboxes"] if isinstance(listed, dict) else listed
        return [box for box in listed if box["labels"].get("sandboxes.warm")]

    def run_line(self, box, line, **envs):
        message = json.dumps({"process": {"cmd": "/bin/sh", "args": ["-c", line], "envs": envs},
                              "stdin": False}).encode()
        head = {"Content-Type": "application/connect+json", "E2b-Sandbox-Id": box["sandboxID"],
                "X-Access-Token": box["envdAccessToken"]}
        return self.server.ask("POST", "/process.Process/Start",
                               b"\0" + len(message).to_bytes(4, "big") + message, head, True)[2]

    def output(self, box, line, **envs):
        import base64
        return b"".join(base64.b64decode(data) for data in
                        re.findall(rb'"stdout":"([^"]*)"', self.run_line(box, line, **envs)))

    def test_hands_out_what_waits(self):
        before = self.warmed()
        box = self.create(metadata={"a": "b"}, envVars={"ONE": "1", "TWO": "2"})
        self.assertEqual(self.numbers()["warm_hits_total"], before["warm_hits_total"] + 1)
        self.assertEqual(self.output(box, "echo $ONE $TWO", TWO="two"), b"1 two\n")
        shown = self.ask("GET", f"/sandboxes/{box['sandboxID']}")
        self.assertEqual(shown["metadata"], {"a": "b"})

    def test_waiting_ones_are_nobodys(self):
        self.warmed()
        self.assertEqual(self.ask("GET", "/v2/sandboxes"), [])
        for box in self.local():
            self.assertEqual(self.server.ask("GET", f"/sandboxes/{box['id']}", None, self.head)[0], 404)
        for _ in range(2):
            self.assertIn("sandboxID", self.create())
        self.assertEqual(self.create()["code"], 429)

    def test_life_begins_when_handed_out(self):
        self.warmed()
        box = self.create(timeout=1)
        path = f"/sandboxes/{box['sandboxID']}"
        self.assertTrue(self.wait_for(lambda: "timeout" in self.ask("GET", path).get("message", "")))

    def test_what_differs_is_made(self):
        before = self.warmed()
        self.create(network={"allowOut": ["example.com"]})
        self.assertEqual(self.numbers()["warm_hits_total"], before["warm_hits_total"])

    def test_a_dead_one_is_not_handed_out(self):
        self.warmed()
        for box in self.local():
            self.server.command("destroy", box["id"])
        box = self.create()
        self.assertEqual(self.output(box, "echo alive"), b"alive\n")

    def test_end_with_the_server(self):
        self.warmed()
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.local(), [])
        self.server.start()

    def test_end_after_a_kill(self):
        self.warmed()
        kept = self.create()
        self.assertTrue(self.wait_for(lambda: self.numbers()["warm"] == 2))
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.communicate()
        self.server.process = None
        self.assertEqual(len(self.local()), 3)
        self.server.start()
        self.assertEqual([box["id"] for box in self.local()], [kept["sandboxID"]])
        self.assertEqual(self.output(kept, "echo here"), b"here\n")


if __name__ == "__main__":
    unittest.main()
