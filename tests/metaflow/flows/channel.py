# SPDX-License-Identifier: Apache-2.0
"""A package of @conda, in an environment that sandboxes of this machine share; either order of decorators."""
import sys

from metaflow import FlowSpec, conda, sandbox, step

LIBRARIES = {"standinpackage": "1.0"}


def attempt(path):
    try:
        with open(path, "a"):
            return "written"
    except OSError as error:
        return type(error).__name__


class Channel(FlowSpec):
    @conda(disabled=True)
    @step
    def start(self):
        self.next(self.above, self.below)

    @sandbox
    @conda(libraries=LIBRARIES)
    @step
    def above(self):
        import standinpackage
        self.found = [standinpackage.NAME, sys.prefix, attempt(standinpackage.__file__)]
        self.next(self.joined)

    @conda(libraries=LIBRARIES)
    @sandbox
    @step
    def below(self):
        import standinpackage
        self.found = [standinpackage.NAME, sys.prefix, attempt(standinpackage.__file__)]
        self.next(self.joined)

    @conda(disabled=True)
    @step
    def joined(self, inputs):
        self.all = [one.found for one in inputs]
        self.next(self.end)

    @conda(disabled=True)
    @step
    def end(self):
        print(self.all)


if __name__ == "__main__":
    Channel()
