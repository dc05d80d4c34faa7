# SPDX-License-Identifier: Apache-2.0
"""The command as a click group, for programs that embed or test it. Needs click, which nothing else
of this package does; the command itself is a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from .base import SandboxProvider
from .providers import get_provider as _class_of
from .providers import list_available_providers

try:
    import click
except ImportError as error:  # pragma: no cover
    raise ImportError("sandboxes.cli needs click: pip install click") from error

__all__ = ["cli", "command_path", "get_provider"]

_COMMANDS = (
    ("run", "Run code or a command in a sandbox."),
    ("list", "Show living sandboxes."),
    ("exec", "Run a command in a living sandbox."),
    ("destroy", "End sandboxes."),
    ("providers", "Show the providers and whether they can be used."),
    ("test", "Try providers: make a sandbox, run a command, end it."),
    ("create", "Make a sandbox that stays."),
    ("shell", "A terminal in a sandbox."),
    ("cp", "Copy files into a sandbox or out of it."),
    ("doctor", "Tell what this machine can do."),
)


def get_provider(name: str) -> SandboxProvider:
    """A provider by name; ends the program with a message if there is none."""
    kind = _class_of(name)
    if kind is None:
        click.echo(f"❌ Unknown provider: {name}", err=True)
        click.echo(f"Available providers: {', '.join(list_available_providers())}", err=True)
        raise SystemExit(1)
    try:
        return kind()
    except Exception as error:
        click.echo(f"❌ Failed to initialize {name}: {error}", err=True)
        raise SystemExit(1) from None


def command_path() -> str:
    """Path of the command that was installed with this package, else of the first in PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "sandboxes")
    named = os.environ.get("SANDBOXES_COMMAND")
    if named:
        return named
    if os.access(beside, os.X_OK):
        return beside
    from shutil import which

    found = which("sandboxes")
    if not found:
        raise click.ClickException("the command 'sandboxes' is not installed: pip install sandboxes")
    return found


def _call(arguments: list[str]) -> int:
    """Runs the command; its output goes through click, so that a CliRunner sees it."""
    piped = not (_is_real(sys.stdout, 1) and _is_real(sys.stderr, 2))
    if not piped:
        return subprocess.run([command_path(), *arguments], check=False).returncode
    stdin: Any = sys.stdin
    given: bytes | None = None if stdin is sys.__stdin__ else stdin.buffer.read()
    done = subprocess.run([command_path(), *arguments], input=given, capture_output=True, check=False)
    for name, data in (("stdout", done.stdout), ("stderr", done.stderr)):
        stream: Any = getattr(sys, name)
        stream.buffer.write(data)
        stream.flush()
    return done.returncode


def _is_real(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except (AttributeError, OSError, ValueError):
        return False


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sandboxes", prog_name="sandboxes")
def cli() -> None:
    """Sandboxes for programs that nobody vouches for."""


def _add(name: str, text: str) -> None:
    @cli.command(
        name,
        help=text,
        short_help=text,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def command(context: click.Context, arguments: tuple[str, ...]) -> None:
        context.exit(_call([name, *arguments]))

    del command


for _name, _text in _COMMANDS:
    _add(_name, _text)
