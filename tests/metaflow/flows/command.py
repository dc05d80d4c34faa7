# SPDX-License-Identifier: Apache-2.0
"""A step whose first attempt fails, and that keeps what it was handed."""
import os

from metaflow import FlowSpec, current, environment, retry, sandbox, step


class Command(FlowSpec):
    @environment(vars={"FROM_ENVIRONMENT": "two words"})
    @retry(times=1, minutes_between_retries=0)
    @sandbox(env={"FROM_DECORATOR": "$HOME"})
    @step
    def start(self):
        print("attempt", current.retry_count)
        if current.retry_count == 0:
            os._exit(9)
        self.handed = [os.environ.get(name) for name in ("FROM_ENVIRONMENT", "FROM_DECORATOR", "HANDED")]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Command()
