# SPDX-License-Identifier: Apache-2.0
"""Ticks off the public methods of an official client: which there are, and which a test has called.

What is wanted of a client's blocking and of its asynchronous form is written once, as a coroutine that
says `await form.do(call)`."""
import asyncio
import contextvars
import functools
import inspect
import time

inside = contextvars.ContextVar("inside", default=False)  # a call of the client's own


class Ticked:
    """Stands where a method of a class was, and notes when it was called to its end."""

    def __init__(self, inner, tick):
        self.inner, self.tick = inner, tick

    def __get__(self, instance, owner=None):
        method = self.inner.__get__(instance, owner)
        if inside.get():
            return method
        return functools.wraps(method)(lambda *words, **named: self.call(method, words, named))

    def call(self, method, words, named):
        token = inside.set(True)
        try:
            result = method(*words, **named)
        finally:
            inside.reset(token)
        if inspect.iscoroutine(result):
            return self.wait(result)
        self.tick()
        return result

    async def wait(self, result):
        token = inside.set(True)
        try:
            value = await result
        finally:
            inside.reset(token)
        self.tick()
        return value


def ticked_property(inner, tick):
    def get(self):
        value = inner.fget(self)
        if not inside.get():
            tick()
        return value
    return property(get, inner.fset, inner.fdel)


class Ticks:
    """Methods are named as Class.method, without the Async that the asynchronous form's classes have."""

    def __init__(self):
        self.there, self.called = set(), set()

    def watch(self, *classes):
        for cls in classes:
            package = cls.__module__.split(".")[0]
            for base in cls.__mro__:
                if base.__module__.split(".")[0] == package:
                    self.watch_names(cls, base)

    def watch_names(self, cls, base):
        for name, inner in list(vars(base).items()):
            form = "asynchronous" if "_async" in cls.__module__ else "blocking"
            label = (f"{cls.__name__.removeprefix('Async')}.{name}", form)
            if name.startswith(("_", "model_")) or not hasattr(inner, "__get__") or label in self.there:
                continue
            self.there.add(label)
            make = ticked_property if isinstance(inner, property) else Ticked
            setattr(cls, name, make(inner, functools.partial(self.called.add, label)))


class Form:
    """One of the two forms of a client."""

    def __init__(self, blocking):
        self.blocking = blocking

    async def do(self, result):
        if not inspect.isawaitable(result):
            return result
        return asyncio.run(result) if self.blocking else await result  # a few are never blocking

    async def list(self, items):
        items = await self.do(items)
        return [item async for item in items] if hasattr(items, "__aiter__") else list(items)

    async def until(self, condition):
        for _ in range(500):
            if value := await self.do(condition()):
                return value
            if self.blocking:
                time.sleep(0.02)
            else:
                await asyncio.sleep(0.02)
        raise AssertionError("it never came")

    def run(self, story):
        """A story of the blocking form never waits, so that it needs no loop."""
        if not self.blocking:
            return asyncio.run(story)
        try:
            story.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("the blocking form waits for a loop")


class EveryCase:
    """Mixed into a ServeCase with `ticks`, `out` (names of methods that are not called, with the reason)
    and `tell(form, story)`."""
    complete = True

    def both(self, story):
        for blocking in (True, False):
            form = Form(blocking)
            try:
                form.run(self.tell(form, story))
            except BaseException:
                type(self).complete = False
                raise

    def test_zz_nothing_is_forgotten(self):
        if not self.complete:
            self.skipTest("not everything could be called")
        left = sorted(label for label in self.ticks.there - self.ticks.called
                      if label[0] not in self.out and label[0].split(".")[0] not in self.out)
        self.assertEqual([], left, "methods of the client that no test calls")
        self.assertEqual([], sorted(label for label in self.ticks.called if label[0] in self.out),
                         "are called: no exceptions any more")
