# SPDX-License-Identifier: Apache-2.0
import json
import os
import sys
import time

from metaflow import (FlowSpec, IncludeFile, Parameter, card, catch, current, environment, resources, retry,
                      sandbox, secrets, step, timeout)


# An ordinary user may have no cgroup, and what is asked for and can't be held is an error.
LIMITS = {"cpu": 2, "memory": 512} if os.geteuid() == 0 else {}
RESOURCES = {"cpu": 1, "memory": 600} if os.geteuid() == 0 else {"cpu": 1, "memory": 1024}


class Features(FlowSpec):
    alpha = Parameter("alpha", default=3)
    text = IncludeFile("text", default="note.txt")

    @sandbox(**LIMITS, env={"FROM_DECORATOR": "it's \"quoted\"\n$HOME"})
    @step
    def start(self):
        self.home = os.path.expanduser("~")
        self.user = current.username
        self.seen = dict(os.environ)
        self.items = [1, 2, 3]
        self.uploaded = None
        if os.path.exists("/tmp/uploaded"):
            with open("/tmp/uploaded/note") as file:
                self.uploaded = [file.read(), oct(os.fstat(file.fileno()).st_mode)]
        print("out of start")
        print("err of start", file=sys.stderr)
        sys.stdout.write("no newline")
        self.next(self.each, foreach="items")

    @environment(vars={"FROM_ENVIRONMENT": "yes"})
    @resources(**RESOURCES)
    @sandbox
    @step
    def each(self):
        self.twice = self.input * 2
        self.variable = os.environ["FROM_ENVIRONMENT"]
        with open("/sys/fs/cgroup/memory.max" if os.path.exists("/sys/fs/cgroup/memory.max")
                  else "/proc/self/status") as file:
            self.limit = file.read()
        self.next(self.joined)

    @sandbox
    @step
    def joined(self, inputs):
        self.total = sum(one.twice for one in inputs)
        self.merge_artifacts(inputs, include=["variable", "seen"])
        self.next(self.split)

    @step
    def split(self):
        self.next(self.fails, self.shows)

    @retry(times=2, minutes_between_retries=0)
    @catch(var="failure")
    @sandbox
    @step
    def fails(self):
        self.attempt = current.retry_count
        print("attempt", current.retry_count)
        if current.retry_count < 1:
            raise ValueError("first attempt fails")
        if self.alpha & 4:
            os._exit(9)
        self.next(self.both)

    @secrets(sources=[{"type": "inline", "id": "one", "options": {"env_vars": {"FROM_SECRET": "told"}}}])
    @card(type="default")
    @timeout(seconds=60)
    @sandbox
    @step
    def shows(self):
        from metaflow import Run, Task, namespace
        namespace(None)
        self.secret = os.environ["FROM_SECRET"]
        if self.alpha & 16:
            self.before = None
        else:
            run = f"{current.flow_name}/{current.run_id}"
            self.before = Task(f"{run}/joined/{Run(run)['joined'].task.id}")["total"].data
        self.next(self.both)

    @catch(var="slow")
    @sandbox(timeout=6)
    @step
    def both(self, inputs):
        if self.alpha & 8:
            time.sleep(60)
        self.merge_artifacts(inputs, exclude=["before", "attempt", "failure", "secret"])
        self.failure = str(inputs.fails.failure)
        self.before = inputs.shows.before
        self.next(self.end)

    @step
    def end(self):
        print("total is", getattr(self, "total", None))
        with open("seen.json", "w") as file:
            json.dump(getattr(self, "seen", None), file)


if __name__ == "__main__":
    Features()
