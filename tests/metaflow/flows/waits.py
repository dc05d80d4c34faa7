# SPDX-License-Identifier: Apache-2.0
"""A step that says that it runs and then waits, for as long as its mode says."""
import os
import signal
import time

from metaflow import FlowSpec, Parameter, current, retry, sandbox, step


# Where storage servers of a test have another address inside.
INSIDE = {name[len("INSIDE_"):]: value for name, value in os.environ.items() if name.startswith("INSIDE_")}


class Waits(FlowSpec):
    mode = Parameter("mode", default="wait")

    @retry(times=1, minutes_between_retries=0)
    @sandbox(env=INSIDE, timeout=int(os.environ.get("TIMEOUT", "600")))
    @step
    def start(self):
        print("RUNNING", os.environ["METAFLOW_SANDBOX_ID"], "attempt", current.retry_count, flush=True)
        if self.mode == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.mode == "no-retry":
            os._exit(202)
        if self.mode == "memory":
            held = bytearray(4 << 30)
            print(len(held))
        if current.retry_count == 0 and self.mode != "quick":
            time.sleep(60)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Waits()
