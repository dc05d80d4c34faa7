# SPDX-License-Identifier: Apache-2.0
"""Runs in a sandbox: pieces of Python, one after the other, with what they leave behind.

A line of JSON in asks: {"code", "envs", "results"}. Lines of JSON out tell what happens, in the form
that clients of both APIs read: stdout, stderr, result, error, end_of_execution. Programs that the code
starts write to the same streams.
"""
import array
import ast
import base64
import codecs
import fcntl
import json
import linecache
import os
import select
import signal
import sys
import termios
import threading
import time
import traceback

PIECE = 32768
TEXT_MAX = 1 << 20
SETTLE = 1.0  # s that what is still on its way gets at the end
REPRS = (("html", "_repr_html_"), ("markdown", "_repr_markdown_"), ("svg", "_repr_svg_"),
         ("png", "_repr_png_"), ("jpeg", "_repr_jpeg_"), ("latex", "_repr_latex_"),
         ("json", "_repr_json_"), ("javascript", "_repr_javascript_"))

requests = os.fdopen(os.dup(0), "rb")
answers = os.dup(1)
lock = threading.Lock()  # around reading a stream and telling it
busy = False
pipes = []


def tell(kind, **members):
    line = (json.dumps({"type": kind, **members}) + "\n").encode()
    while line:
        line = line[os.write(answers, line):]


def redirect():
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    for number in (1, 2):
        read, write = os.pipe()
        os.dup2(write, number)
        os.close(write)
        pipes.append(read)
    sys.stdout.reconfigure(line_buffering=True)


def carry():
    names = dict(zip(pipes, ("stdout", "stderr")))
    decoders = {pipe: codecs.getincrementaldecoder("utf-8")("replace") for pipe in pipes}
    while True:
        for pipe in select.select(pipes, [], [])[0]:
            with lock:
                text = decoders[pipe].decode(os.read(pipe, PIECE))
                if text:
                    tell(names[pipe], text=text, timestamp=time.time_ns() // 1000)


def waiting(pipe):
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


def settle():
    """All that was written before has been told after it."""
    end = time.monotonic() + SETTLE
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    while time.monotonic() < end:
        with lock:
            if not any(map(waiting, pipes)):
                return
        time.sleep(0.001)


def on_interrupt(number, frame):
    if busy:
        raise KeyboardInterrupt


def encoded(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def show(value, main):
    members = {"text": repr(value)[:TEXT_MAX], "is_main_result": main}
    for name, method in REPRS:
        function = getattr(type(value), method, None)
        if function:
            try:
                members[name] = encoded(function(value))
            except Exception:  # its own way to say that it has none
                continue
    tell("result", **{name: held for name, held in members.items() if held is not None})


def show_figures():
    plot = sys.modules.get("matplotlib.pyplot")
    for number in plot.get_fignums() if plot else ():
        import io
        data = io.BytesIO()
        figure = plot.figure(number)
        figure.savefig(data, format="png", bbox_inches="tight")
        plot.close(figure)
        tell("result", text=repr(figure), png=encoded(data.getvalue()), is_main_result=False)


def complain(error, name):
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    tell("error", name=type(error).__name__, value=str(error)[:TEXT_MAX],
         traceback="".join(lines)[-TEXT_MAX:])


def execute(code, name, scope, results):
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    tree = ast.parse(code, name)
    last = None
    if results and tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, name, "exec"), scope)
    value = eval(compile(last, name, "eval"), scope) if last else None
    if results:
        show_figures()
    if value is not None:
        scope["_"] = value
        settle()
        show(value, True)


def answer(ask, count, scope):
    global busy
    name = f"<cell {count}>"
    before = dict(os.environ)
    os.environ.update(ask.get("envs") or {})
    try:
        busy = True
        execute(ask["code"], name, scope, ask.get("results"))
        busy = False
    except BaseException as error:
        busy = False
        settle()
        complain(error, name)
    if ask.get("envs"):
        os.environ.clear()
        os.environ.update(before)
    settle()
    tell("number_of_executions", execution_count=count)
    tell("end_of_execution")


def main():
    redirect()
    signal.signal(signal.SIGINT, on_interrupt)
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.argv = [""]
    sys.path.insert(0, "")
    threading.Thread(target=carry, daemon=True).start()
    import types
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    scope = module.__dict__
    scope["__builtins__"] = __builtins__
    for count, line in enumerate(requests, 1):
        answer(json.loads(line), count, scope)


main()
