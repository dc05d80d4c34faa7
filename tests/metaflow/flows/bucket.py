# SPDX-License-Identifier: Apache-2.0
"""Artifacts of sandboxes with the storage of a cloud, for which the test's server stands. INSIDE: what they need for it."""
import json
import os

from metaflow import FlowSpec, sandbox, step

if os.environ["METAFLOW_DEFAULT_DATASTORE"] == "azure":
    import azure_login

    azure_login.install()


class Bucket(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @sandbox(env=json.loads(os.environ.get("INSIDE", "{}")))
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
