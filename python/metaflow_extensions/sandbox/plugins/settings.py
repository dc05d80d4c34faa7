# SPDX-License-Identifier: Apache-2.0
"""Values of decorators and environment variables, checked when the flow starts.

Layer: settings. May import exceptions.
"""
import json
import os

from .exceptions import SandboxException

DEBUG_DIRECTORY = "/tmp/metaflow-sandbox-debug"
TIMEOUT_GRACE = 60  # seconds that @timeout has to tell of itself before the sandbox ends


def number(name, value, step, low, whole=False):
    """A number of a decorator, which --with gives as text."""
    try:
        found = float(value)
        if found < low or (whole and found != int(found)):
            raise ValueError
    except (TypeError, ValueError):
        kind = "a whole number" if whole else "a number"
        raise SandboxException(
            f"Step '{step}': {name}={value!r} is not {kind} of at least {low:g}. Write "
            f"@sandbox({name}=...) with one") from None
    return int(found) if found == int(found) else found


def variables(value, step):
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise SandboxException(
            f"Step '{step}': env={value!r} is not a dictionary of variables. Write "
            "@sandbox(env={'NAME': 'value'})")
    for key in value:
        if not key or "=" in key or "\0" in key:
            raise SandboxException(f"Step '{step}': {key!r} in env can't be a variable's name. Rename it")
    return {key: str(text) for key, text in value.items()}


def truth(text):
    return str(text).strip().lower() in ("1", "true", "yes", "on")


def falsehood(text):
    return str(text).strip().lower() in ("", "0", "false", "no", "off")


def by_command(environ=os.environ):
    """METAFLOW_SANDBOX_STEP_COMMAND: whether tasks are started with `python FLOW.py sandbox step`."""
    return not falsehood(environ.get("METAFLOW_SANDBOX_STEP_COMMAND", ""))


def debug_directory(environ=os.environ):
    """METAFLOW_SANDBOX_DEBUG: a directory for the dumps, or None."""
    text = environ.get("METAFLOW_SANDBOX_DEBUG", "")
    if falsehood(text):
        return None
    return DEBUG_DIRECTORY if truth(text) else os.path.abspath(text)


def uploads(environ=os.environ):
    """METAFLOW_SANDBOX_UPLOADS: (file here, path inside, mode or None) of each row."""
    text = environ.get("METAFLOW_SANDBOX_UPLOADS") or "[]"
    try:
        rows = [_upload(row) for row in json.loads(text)]
    except (TypeError, ValueError, KeyError) as error:
        raise SandboxException(
            f"METAFLOW_SANDBOX_UPLOADS is not understood ({error}). Set it to a JSON list like "
            '[{"local": "data.bin", "remote": "/tmp/data.bin", "mode": "0644"}]') from None
    for local, _, _ in rows:
        if not os.path.isfile(local):
            raise SandboxException(
                f"METAFLOW_SANDBOX_UPLOADS names '{local}', which is no file. Correct its path, or unset the "
                "variable")
    return rows


def _upload(row):
    mode = int(str(row["mode"]), 8) if "mode" in row else None
    if set(row) - {"local", "remote", "mode"} or not 0 <= (mode or 0) <= 0o777:
        raise ValueError("a row has local, remote and perhaps mode, from 0000 to 0777")
    if not str(row["remote"]).startswith("/"):
        raise ValueError(f"remote {row['remote']!r} does not begin with /")
    return os.path.abspath(os.path.expanduser(row["local"])), str(row["remote"]), mode


def machine_platform():
    """This machine's, by conda's names."""
    return "linux-aarch64" if os.uname().machine in ("arm64", "aarch64") else "linux-64"


def target_platform(environ=os.environ):
    """What environments of @conda and @pypi are solved for."""
    return environ.get("METAFLOW_SANDBOX_TARGET_PLATFORM") or machine_platform()


def check_platform(step, decos):
    """For a sandbox of this machine: Metaflow makes no environments here for others."""
    if target_platform() != machine_platform() and any(deco.name in ("conda", "pypi") for deco in decos):
        raise SandboxException(
            f"Step '{step}' runs on this machine ({machine_platform()}), and METAFLOW_SANDBOX_TARGET_PLATFORM has "
            f"its environment solved for {target_platform()}. Unset the variable")


def infra_retries(environ=os.environ):
    text = environ.get("METAFLOW_SANDBOX_MAX_INFRA_RETRIES", "1")
    if not text.isdigit():
        raise SandboxException(
            f"METAFLOW_SANDBOX_MAX_INFRA_RETRIES={text!r} is not a number. Set it to 0 or more")
    return int(text)


def merged(attributes, given, decos):
    """cpu, memory, gpu and timeout with what @resources and @timeout say; the larger one counts, as with
    @batch. Second: whether someone asked for cpu or memory, so that doing without is no choice."""
    wanted = {name: attributes[name] for name in ("cpu", "memory", "gpu", "timeout")}
    asked = {"cpu", "memory"} & set(given)
    for deco in decos:
        if deco.name == "resources":
            for name in ("cpu", "memory"):
                value = deco.attributes.get(name)
                if value is not None and float(value) > float(wanted[name] or 0):
                    wanted[name] = value
                    asked.add(name)
            wanted["gpu"] = wanted["gpu"] or _gpu(deco.attributes.get("gpu"))
        elif deco.name == "timeout" and "timeout" not in given:
            wanted["timeout"] = deco.secs + TIMEOUT_GRACE
    return wanted, bool(asked)


def _gpu(value):
    return None if value in (None, "", 0, "0") else str(value)
