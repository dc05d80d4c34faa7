# SPDX-License-Identifier: Apache-2.0
"""A package of @pypi, or of @conda with --environment conda, in an environment that all sandboxes of this machine share;
either order of decorators."""
import sys

from metaflow import FlowSpec, conda, pypi, sandbox, step

PACKAGES = {"standinpackage": "1.0"}
decorator, packages = (conda, {"libraries": PACKAGES}) if "conda" in sys.argv else (pypi, {"packages": PACKAGES})


def attempt(path):
    try:
        with open(path, "a"):
            return "written"
    except OSError as error:
        return type(error).__name__


class Depends(FlowSpec):
    @decorator(disabled=True)
    @step
    def start(self):
        self.next(self.above, self.below)

    @sandbox
    @decorator(**packages)
    @step
    def above(self):
        import standinpackage
        self.found = [standinpackage.NAME, sys.prefix, attempt(standinpackage.__file__)]
        self.next(self.joined)

    @decorator(**packages)
    @sandbox
    @step
    def below(self):
        import standinpackage
        self.found = [standinpackage.NAME, sys.prefix, attempt(standinpackage.__file__)]
        self.next(self.joined)

    @decorator(disabled=True)
    @step
    def joined(self, inputs):
        self.all = [one.found for one in inputs]
        self.next(self.end)

    @decorator(disabled=True)
    @step
    def end(self):
        print(self.all)


if __name__ == "__main__":
    Depends()
