# SPDX-License-Identifier: Apache-2.0
"""Artifacts, logs and metadata of sandboxes with a remote datastore; what of the network they reach."""
import os
import socket
import sys

from metaflow import FlowSpec, Parameter, current, sandbox, step


def reached(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        return type(error).__name__
    return "reached"


class Stored(FlowSpec):
    other = Parameter("other", default=1)

    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @sandbox
    @step
    def each(self):
        from metaflow import Run, namespace
        namespace(None)
        for number in range(12):  # as many as Metaflow sends with a program of its own
            setattr(self, f"made_{number}", number * self.input)
        server = os.environ["METAFLOW_S3_ENDPOINT_URL"].rsplit("/", 1)[1].split(":")
        self.server, self.neighbour = reached(*server), reached(server[0], self.other)
        self.before = Run(f"{current.flow_name}/{current.run_id}")["start"].task.data.items
        self.seen = sorted(os.environ)
        print("out of", self.input)
        print("err of", self.input, file=sys.stderr)
        self.next(self.joined)

    @step
    def joined(self, inputs):
        self.total = sum(one.made_11 for one in inputs)
        self.merge_artifacts(inputs, include=["server", "neighbour", "before", "seen"])
        self.next(self.end)

    @step
    def end(self):
        print("total is", self.total)


if __name__ == "__main__":
    Stored()
