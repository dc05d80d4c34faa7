# SPDX-License-Identifier: Apache-2.0
"""Features of Metaflow in sandboxes of a service."""
import os
import sys

from metaflow import (FlowSpec, IncludeFile, Parameter, Task, card, catch, current, environment, resources, retry,
                      sandbox, step, timeout)

# The test's servers have another address inside.
INSIDE = {name[len("INSIDE_"):]: value for name, value in os.environ.items() if name.startswith("INSIDE_")}


class Elsewhere(FlowSpec):
    alpha = Parameter("alpha", default=3)
    text = IncludeFile("text", default="note.txt")

    @step
    def start(self):
        self.items = [1, 2] if os.environ.get("METAFLOW_SANDBOX_BACKEND") == "e2b" else [1]
        self.next(self.each, foreach="items")

    @card(type="default")
    @timeout(seconds=60)
    @environment(vars={"FROM_ENVIRONMENT": "yes"})
    @retry(times=1, minutes_between_retries=0)
    @catch(var="failure")
    @resources(cpu=1, memory=1024)
    @sandbox(env={**INSIDE, "FROM_DECORATOR": "it's \"quoted\"\n$HOME"})
    @step
    def each(self):
        print("out of", self.input, current.retry_count)
        print("err of", self.input, file=sys.stderr)
        if self.input == 2:
            os.kill(os.getpid(), 11)
        self.number = self.input * 2 * self.alpha
        self.seen = dict(os.environ)
        self.own = Task(current.pathspec).id == current.task_id
        with open("/tmp/uploaded/note") as file:
            self.uploaded = file.read()
        self.where, self.note = os.getcwd(), self.text
        self.next(self.joined)

    @step
    def joined(self, inputs):
        self.numbers = [getattr(one, "number", None) for one in inputs]
        self.failures = [str(one.failure) for one in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Elsewhere()
