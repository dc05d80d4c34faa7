# SPDX-License-Identifier: Apache-2.0
"""Artifacts of sandboxes with Google's storage, for which the test's server stands; it tells who asks, too."""
import os

from metaflow import FlowSpec, sandbox, step

SERVER = os.environ["STORAGE_EMULATOR_HOST"]
PORT = SERVER.rsplit(":", 1)[1]


class Bucket(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @sandbox(env={"STORAGE_EMULATOR_HOST": SERVER, "GCE_METADATA_HOST": f"10.0.2.2:{PORT}",
              "GCE_METADATA_IP": f"10.0.2.2:{PORT}"})
    @step
    def each(self):
        self.double = 2 * self.input
        self.key = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        print("out of", self.input)
        self.next(self.joined)

    @step
    def joined(self, inputs):
        self.total = sum(one.double for one in inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Bucket()
