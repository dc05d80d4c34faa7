# SPDX-License-Identifier: Apache-2.0
from metaflow import FlowSpec, step, boxlite

class Demo(FlowSpec):
    @step
    def start(self):
        self.msg = "hello"
        self.next(self.remote)

    @boxlite
    @step
    def remote(self):
        self.msg += " from a local VM"
        self.next(self.end)

    @step
    def end(self):
        print(self.msg)

if __name__ == "__main__":
    Demo()
