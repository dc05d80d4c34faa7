# SPDX-License-Identifier: Apache-2.0
import os
from metaflow import FlowSpec, boxlite, step


class Guest(FlowSpec):
    @boxlite
    @step
    def start(self):
        self.kernel = os.uname().release
        print("printed under", self.kernel)
        self.next(self.end)

    @step
    def end(self):
        print("ran under", self.kernel)


if __name__ == "__main__":
    Guest()
