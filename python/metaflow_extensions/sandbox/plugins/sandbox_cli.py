# SPDX-License-Identifier: Apache-2.0
"""`python FLOW.py sandbox step NAME ...`: an interpreter that becomes the launcher. It asks the decorator's hooks, as
Metaflow's runtime does, for one task; used where METAFLOW_SANDBOX_STEP_COMMAND says so, and by hand.

Layer: commands. May import sandbox_decorator and what is below.
"""
import os
import signal
import sys

from metaflow._vendor import click
from metaflow.exception import METAFLOW_EXIT_DISALLOW_RETRY, CommandException, MetaflowException
from metaflow.package import MetaflowPackage
from metaflow.runtime import CLIArgs

from . import code, sandbox_decorator
from .exceptions import SandboxException

PASSED_ON = "Passed to 'step'."
ASKED = ("backend", "executable", "image", "cpu", "memory", "gpu", "timeout")


@click.group()
def cli():
    pass


@cli.group(help="Steps in sandboxes.")
def sandbox():
    pass


@sandbox.command(help="Run one task in a sandbox. Without a code package, the flow's directory is packaged. Options take "
                      "the place of the decorator's.")
@click.argument("step-name")
@click.argument("code-package-metadata", default="")
@click.argument("code-package-sha", default="")
@click.argument("code-package-url", default="")
@click.option("--backend", help="local, boxlite, daytona, e2b.")
@click.option("--executable", help="Interpreter of the step.")
@click.option("--image", help="Image of the sandbox.")
@click.option("--cpu", help="Number of processors.")
@click.option("--memory", help="Memory in MB.")
@click.option("--gpu", help="Kind of gpu.")
@click.option("--timeout", help="Seconds after which the step is ended.")
@click.option("--env-var", multiple=True, metavar="NAME[=VALUE]",
              help="Variable of the step; without a value, as it is here.")
@click.option("--code-package-local-path", help="The code package as a file, or the directory of a run in progress.")
@click.option("--run-id", required=True, help=PASSED_ON)
@click.option("--task-id", required=True, help=PASSED_ON)
@click.option("--input-paths", help=PASSED_ON)
@click.option("--split-index", help=PASSED_ON)
@click.option("--clone-path", help=PASSED_ON)
@click.option("--clone-run-id", help=PASSED_ON)
@click.option("--tag", multiple=True, help=PASSED_ON)
@click.option("--namespace", help=PASSED_ON)
@click.option("--retry-count", default=0, help=PASSED_ON)
@click.option("--max-user-code-retries", default=0, help=PASSED_ON)
@click.option("--ubf-context", type=click.Choice(["none", "ubf_control", "ubf_task"]), help=PASSED_ON)
@click.pass_context
def step(ctx, step_name, code_package_metadata, code_package_sha, code_package_url, code_package_local_path, env_var,
         **options):
    try:
        deco = _decorator(ctx.obj, step_name, {name: options.pop(name) for name in ASKED})
        args = _arguments(ctx, step_name, deco, options)
        args.env.update(_variables(env_var, deco))
        package = (code_package_metadata, code_package_sha, code_package_url)
        _become(deco, args, options, _run(ctx.obj, package, code_package_local_path))
    except MetaflowException as error:
        ctx.obj.echo_always(f"{error.headline}: {error.message}", err=True)
        sys.exit(METAFLOW_EXIT_DISALLOW_RETRY)


def _decorator(state, step_name, asked):
    if step_name not in state.graph:
        raise CommandException(f"Step *{step_name}* doesn't exist.")
    decos = getattr(state.flow, step_name).decorators
    deco = next((one for one in decos if one.name in sandbox_decorator.NAMES), None)
    if deco is None:
        raise SandboxException(
            f"Step '{step_name}' has no @sandbox above it. Write one there, or before 'sandbox step': --with sandbox")
    given = {name: value for name, value in asked.items() if value is not None}
    if given:
        deco.attributes.update(given)
        deco.given |= set(given)
        deco.step_init(state.flow, state.graph, step_name, decos, state.environment, state.flow_datastore, state.logger)
    return deco


def _arguments(ctx, step_name, deco, options):
    """The command line that Metaflow's runtime would have handed to the decorators."""
    args = CLIArgs.__new__(CLIArgs)
    args.entrypoint = [deco.attributes["executable"] or sys.executable, sys.argv[0]]
    top = {name.replace("_", "-"): value for name, value in ctx.parent.parent.params.items()}
    configs = {**(top.pop("config", None) or {}), **(top.pop("config-value", None) or {})}
    top["config-value"] = [(name, f"kv.{name}") for name in configs]
    args.top_level_options = {**top, "quiet": True, "pylint": False, "metadata": ctx.obj.metadata.TYPE}
    args.commands, args.command_args = ["step"], [step_name]
    args.command_options = {name.replace("_", "-"): value for name, value in options.items()}
    args.env = {}
    return args


def _variables(words, deco):
    for other in deco.decos:
        if other.name == "environment":
            yield from other.attributes["vars"].items()
    for word in words:
        name, separator, value = word.partition("=")
        if not separator and name not in os.environ:
            raise SandboxException(f"--env-var {name}: there is no such variable here. Write {name}=VALUE, or set it")
        yield name, value if separator else os.environ[name]


def _run(state, package, local_path):
    metadata, sha, url = package
    directory, store = None, state.flow_datastore
    if local_path and os.path.isdir(local_path):
        directory, package = os.path.abspath(local_path), code.Delivered(metadata, None)
    elif local_path:
        package = code.Delivered(metadata, lambda: _read(local_path))
    elif sha:
        package = code.Delivered(metadata, lambda: _load(store, sha))
    else:
        package = MetaflowPackage(state.flow, state.environment, state.echo, suffixes=state.package_suffixes)
    return sandbox_decorator.Run(package, store, directory, (url, sha) if sha else None)


def _load(store, sha):
    try:
        return next(iter(store.load_data([sha], force_raw=True)))[1]
    except Exception as error:  # each datastore has its own
        why = f" ({error})" if isinstance(error, MetaflowException) else ""
        raise SandboxException(
            f"The code package {sha} is not in the datastore{why}. Correct its SHA, or write none to package "
            "the flow's directory") from None


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SandboxException(
            f"--code-package-local-path {path} can't be read ({error.strerror}). Write the path of a code package"
        ) from None


def _become(deco, args, options, run):
    sandbox_decorator.SandboxDecorator._run = run
    deco.runtime_init(deco.flow, None, run.package, options["run_id"])
    os.environ.pop("METAFLOW_SANDBOX_STEP_COMMAND", None)  # this time the launcher itself
    deco.runtime_step_cli(args, options["retry_count"], options["max_user_code_retries"], options["ubf_context"])
    words = args.get_args()
    task_env = {"METAFLOW_RUN_ID": options["run_id"], "PYTHONUNBUFFERED": "x"}
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and that would be inherited
        signal.signal(ignored, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(words[0], words, {**os.environ, **args.env, **task_env})
    except OSError as error:
        raise SandboxException(
            f"The launcher '{words[0]}' can't be started ({error.strerror}). Set METAFLOW_SANDBOX_LAUNCHER to its path"
        ) from None
