# SPDX-License-Identifier: Apache-2.0
from metaflow import FlowSpec, sandbox, step


class Demo(FlowSpec):
    @step
    def start(self):
        self.msg = "hello"
        self.next(self.remote)

    @sandbox
    @step
    def remote(self):
        self.msg += " from a sandbox"
        self.next(self.end)

    @step
    def end(self):
        print(self.msg)


if __name__ == "__main__":
    Demo()
