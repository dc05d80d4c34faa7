# SPDX-License-Identifier: Apache-2.0
"""A flow with parameters, a foreach, a branch, a retried attempt and joins."""
from metaflow import FlowSpec, Parameter, current, retry, step


class Wide(FlowSpec):
    alpha = Parameter("alpha", default=3)

    @step
    def start(self):
        self.items = list(range(self.alpha))
        self.next(self.work, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        self.double = self.input * 2
        if self.input == 1 and current.retry_count == 0:
            raise ValueError("the first attempt fails")
        print("input", self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(i.double for i in inputs)
        self.next(self.fork)

    @step
    def fork(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.side = "left"
        self.next(self.both)

    @step
    def right(self):
        self.side = "right"
        self.next(self.both)

    @step
    def both(self, inputs):
        self.sides = sorted(i.side for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        self.answer = 42


if __name__ == "__main__":
    Wide()
