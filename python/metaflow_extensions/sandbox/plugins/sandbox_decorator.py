# SPDX-License-Identifier: Apache-2.0
"""@sandbox and its aliases: a step's command goes through the launcher.

Layer: decorators. May import everything below: backends, settings, environment, host_view, code, elsewhere,
micromamba, replay, program.
"""
import hashlib
import os
import shutil
import sys

from metaflow.decorators import StepDecorator
from metaflow.metadata_provider import MetaDatum
from metaflow.metaflow_config import DATASTORE_LOCAL_DIR
from metaflow.plugins.datastores.local_storage import LocalStorage

from . import backends, code, elsewhere, environment, host_view, micromamba, program, replay, settings
from .exceptions import SandboxException

INSIDE = "METAFLOW_SANDBOX_WORKLOAD"  # set in every sandbox
CODE_INSIDE = "/tmp/metaflow"  # src/metaflow/launcher/run.c
EXTRA_PATH = "METAFLOW_SANDBOX_EXTRA_PATH"  # from the process that runs the flow to `sandbox step`
CODE = "code"  # in the run's directory
SET_PREFIX = "METAFLOW_SANDBOX_SET_"  # values for inside alone, in the launcher's environment
DEPLOYERS = ("argo-workflows", "step-functions", "airflow")
NAMES = ("sandbox", "boxlite", "daytona", "e2b")


class SandboxDecorator(StepDecorator):
    """
    Runs this step in a sandbox of its own, on this machine or with a provider of sandboxes.

    Parameters
    ----------
    backend : str, optional, default None
        `local`, `boxlite`, `daytona` or `e2b`. Default: METAFLOW_SANDBOX_BACKEND.
    cpu : int, default 1
        Number of processors.
    memory : int, default 1024
        Memory in MB.
    gpu : str, optional, default None
        Kind of gpu, where the backend has them.
    image : str, optional, default None
        Image of the sandbox. On this machine the default is this machine's programs, with the interpreter
        and the environment that run the flow.
    timeout : int, default 600
        Seconds after which the step is ended.
    executable : str, optional, default None
        Interpreter of the step. Default: the one that runs the flow.
    env : Dict[str, str], default {}
        Variables for the step.
    """

    name = "sandbox"
    defaults = {"backend": None, "cpu": 1, "memory": 1024, "gpu": None, "image": None, "timeout": 600,
                "executable": None, "env": {}}
    supports_conda_environment = True
    target_platform = settings.target_platform()
    pinned = None  # backend of an alias
    _run = None  # what all steps of a run share

    def __init__(self, attributes=None, statically_defined=False, *args, **kwargs):
        self.given = set(attributes or ())
        super().__init__(attributes, statically_defined, *args, **kwargs)

    # In the process that runs the flow.

    def step_init(self, flow, graph, step, decos, environment, flow_datastore, logger):
        if os.environ.get(INSIDE):
            return
        _refuse_deployers(self.name)
        self.step, self.flow, self.decos, self.datastore = step, flow, decos, flow_datastore
        self.environment, self.relay, self.started = environment, None, []
        self.backend = backends.get(self.pinned or self.attributes["backend"] or backends.default_name())
        if self.pinned and self.attributes["backend"] not in (None, self.pinned):
            raise SandboxException(
                f"Step '{step}': @{self.name} can't have backend={self.attributes['backend']!r}. Write "
                "@sandbox(backend=...) instead")
        self._check_neighbours()
        wanted, self.asked = settings.merged(self.attributes, self.given, decos)
        self.cpu = settings.number("cpu", wanted["cpu"], step, 0.001)
        self.memory = settings.number("memory", wanted["memory"], step, 1, whole=True)
        self.timeout = settings.number("timeout", wanted["timeout"], step, 1, whole=True)
        self.gpu = wanted["gpu"]
        self.env = settings.variables(self.attributes["env"], step)
        self.infra_retries = settings.infra_retries()
        self.uploads = settings.uploads()
        backends.check_datastore(self.backend, flow_datastore.TYPE)
        if self.backend.local:
            settings.check_platform(step, decos)
        else:
            elsewhere.have_no_interpreter_here(environment, step)

    def _check_neighbours(self):
        others = [deco.name for deco in self.decos if deco is not self]
        if "parallel" in others:
            raise SandboxException(
                f"Step '{self.step}': @parallel needs tasks that reach each other, and sandboxes don't. "
                f"Remove @parallel or @{self.name}")
        for other in others:
            if other in NAMES or other in ("batch", "kubernetes"):
                raise SandboxException(
                    f"Step '{self.step}' has both @{self.name} and @{other}. Keep one of them")

    def runtime_init(self, flow, graph, package, run_id):
        backends.check_key(self.backend)
        self.launcher = program.find()
        cls = SandboxDecorator
        if cls._run is None:
            cls._run = Run(package, self.datastore)
        if not self.backend.local and elsewhere.makes_environment(self.environment, flow, self.step):
            found = micromamba.staged(self.target_platform)
            self.uploads += [(found, micromamba.INSIDE, 0o755)] if found else []

    def runtime_step_cli(self, cli_args, retry_count, max_user_code_retries, ubf_context):
        # What @catch runs after the last attempt is Metaflow's own.
        if retry_count > max_user_code_retries:
            return
        if cli_args.top_level_options["metadata"] == "service":
            self.relay = environment.relay()
        if not self.backend.local:
            self.started.append((self._task(cli_args), cli_args.command_options["retry-count"]))
        if settings.by_command():
            self._start_by_command(cli_args)
        else:
            self._start_launcher(cli_args)

    def _start_launcher(self, cli_args):
        cli_args.env.update(self.relay or {})
        cli_args.top_level_options["metadata"] = "local"  # the launcher passes it on
        cli_args.entrypoint = program.Entrypoint(
            cli_args.entrypoint, lambda words: self._command(words, cli_args))
        cli_args.env.update(self._task_env(cli_args))

    def _start_by_command(self, cli_args):
        """sandbox_cli.py comes to _start_launcher in its own process."""
        def words(found):
            # Names: values are in its environment.
            cli_args.command_options["env-var"] = [name for name in cli_args.env if name != EXTRA_PATH]
            if self.backend.local:
                cli_args.command_options["executable"] = self.attributes["executable"] or found[0]
            return [sys.executable, *found[1:]]

        cli_args.env[EXTRA_PATH] = os.pathsep.join(_extra_path())  # @conda has a PYTHONPATH of its own
        cli_args.commands = ["sandbox", "step"]
        cli_args.command_args += self._run.delivered(self.backend.local)
        cli_args.command_options["code-package-local-path"] = self._run.directory
        cli_args.entrypoint = program.Entrypoint(cli_args.entrypoint, words)

    def _task(self, cli_args):
        task = cli_args.command_options
        return "/".join([self.flow.name, task["run-id"], cli_args.command_args[0], task["task-id"]])

    def _task_env(self, cli_args):
        """Values for the launcher's environment: never on a command line, which all can read."""
        secrets = any(deco.name == "secrets" for deco in self.decos)
        reaches_cloud = secrets or self.datastore.TYPE != "local"
        found = environment.of_step(self.backend.name, self.datastore.TYPE, reaches_cloud,
                                    os.path.basename(cli_args.entrypoint[1]))
        uses_google = secrets or self.datastore.TYPE == "gs"
        self.carried = list(environment.credential_files(found)) if uses_google else []
        if self.backend.local:
            found["METAFLOW_DATASTORE_SYSROOT_LOCAL"] = os.path.dirname(self._root())
            found["PYTHONPATH"] = os.pathsep.join(_extra_path())
            found["PATH"] = environment.search_path(self.attributes["executable"] or cli_args.entrypoint[0])
        else:
            found.update(self._run.variables())
        found.update(self.env)
        self.reached = environment.endpoints(found) if reaches_cloud and self.backend.local else ()
        return {SET_PREFIX + name: value for name, value in found.items()}

    def _command(self, words, cli_args):
        """The launcher, its options, and the step's command as it is inside. All decorators have spoken."""
        interpreter = self.attributes["executable"] or words[0]
        inside = [os.path.basename(words[1]), *words[2:]]
        yield self.launcher
        yield from self._options(cli_args)
        if self.backend.local:
            yield from ("--code", self._run.code, *self._view(interpreter, cli_args))
        else:
            yield from ("--package", self._run.archive)
        for name in _inside(cli_args.env):
            if self.backend.local or name != "PYTHONPATH":  # @conda's, of this machine
                yield from ("--env", name)
        if self.backend.local:
            yield from ("--", interpreter, *inside)
        else:
            yield from ("--", *elsewhere.command(self._run.package, self.environment, self.step, self.datastore.TYPE,
                                                 self.attributes["executable"], inside))

    def runtime_finished(self, exception):
        send = self.relay and ([os.path.join(os.path.dirname(self.launcher), "sandboxes-metadata")], self.relay)
        if self.started:
            replay.complete(self.datastore, self._root(), self.started, send)

    def _options(self, cli_args):
        task = cli_args.command_options
        options = {
            "provider": self.backend.provider, "instead": self.backend.instead, "image": self.attributes["image"], "gpu": self.gpu,
            "cpu": self.cpu, "memory": f"{self.memory}m", "timeout": f"{self.timeout}s",
            "task": self._task(cli_args), "attempt": task["retry-count"], "infra-retries": self.infra_retries,
            "debug": settings.debug_directory(), "datastore": self._root(),
            "cards": _cards_root(self._root()),
        }
        for name, value in options.items():
            if value is not None:
                yield from (f"--{name}", str(value))
        for local, target, mode in self.uploads:
            yield from ("--upload", self._run.with_mode(local, mode), "--upload-to", target)
        for local, target in self.carried:
            yield from ("--upload", local, "--upload-to", target)
        if not self.asked:
            yield "--soft-limits"
        if self.datastore.TYPE != "local":
            yield "--remote"
        if self.reached:
            yield from ("--network", "internet")
        for rule in self.reached:
            yield from ("--allow", rule)

    def _view(self, interpreter, cli_args):
        """What of this machine is seen inside, and where Python looks for modules."""
        # @conda and @pypi have a copy of Metaflow for their interpreter.
        extra = [*_extra_path(), *filter(None, cli_args.env.get("PYTHONPATH", "").split(os.pathsep))]
        paths = host_view.mounts(
            [*host_view.prefixes(interpreter), *host_view.prefixes(sys.executable), *extra])
        config = cli_args.top_level_options.get("local-config-file")
        if config:
            paths.append(config)
        home = host_view.root_home(self._run.root_home, [*paths, self._root()])
        if home:
            yield from ("--root-home", home)
        for path in paths:
            yield from ("--mount", path)

    def _root(self):
        """Directory of the local datastore, or where the task's metadata passes through."""
        path = LocalStorage.get_datastore_root_from_config(lambda *_, **__: None, create_on_absent=False)
        if path is None:
            path = os.path.join(self._run.directory, DATASTORE_LOCAL_DIR)
        os.makedirs(path, exist_ok=True)
        return os.path.realpath(path)

    # In the process that runs the step.

    def task_pre_step(self, step_name, task_datastore, metadata, run_id, task_id, flow, graph, retry_count,
                      max_user_code_retries, ubf_context, inputs):
        if not os.environ.get(INSIDE):
            if retry_count > max_user_code_retries:
                return
            raise SandboxException(
                f"Step '{step_name}' has @{self.name} but was started outside of a sandbox, which the way "
                "this flow is run does not support. Run it with 'python FLOW.py run', or remove "
                f"@{self.name}")
        self.task_datastore = task_datastore
        tags = [f"attempt_id:{retry_count}"]
        facts = {"sandbox-backend": os.environ.get("METAFLOW_SANDBOX_BACKEND", ""),
                 "sandbox-id": os.environ.get("METAFLOW_SANDBOX_ID", "")}
        metadata.register_metadata(run_id, step_name, task_id, [
            MetaDatum(field=field, value=value, type=field, tags=tags) for field, value in facts.items()])


    def task_finished(self, step_name, flow, graph, is_task_ok, retry_count, max_user_code_retries):
        if os.environ.get("METAFLOW_SANDBOX_RECORDS"):
            replay.keep(self.task_datastore)


class BoxliteDecorator(SandboxDecorator):
    """Runs this step in a virtual machine on this machine: @sandbox(backend="boxlite")."""

    name = pinned = "boxlite"


class DaytonaDecorator(SandboxDecorator):
    """Runs this step in a Daytona sandbox: @sandbox(backend="daytona")."""

    name = pinned = "daytona"


class E2BDecorator(SandboxDecorator):
    """Runs this step in an E2B sandbox: @sandbox(backend="e2b")."""

    name = pinned = "e2b"


class Run:
    """What the steps of a run share, made for the first of them that runs in a sandbox."""

    def __init__(self, package, datastore, directory=None, stored=None):
        """`directory`: that of the process which runs the flow; `stored`: where in the datastore the package is."""
        self.package, self._datastore = package, datastore
        self._directory, self._stored, self._code, self._archive = directory, stored, None, None
        if directory:
            self._code, self._archive = os.path.join(directory, CODE), os.path.join(directory, elsewhere.PACKAGE)

    @property
    def directory(self):
        self._directory = self._directory or code.run_directory()
        return self._directory

    @property
    def code(self):
        self._code = self._code or code.lay_out(self.package, os.path.join(self.directory, CODE))
        return self._code

    @property
    def archive(self):
        """The package as a file, for sandboxes that can't see this machine's."""
        self._archive = self._archive or elsewhere.write_package(self.package, self.directory)
        return self._archive

    def variables(self):
        """For sandboxes elsewhere; the package is kept in the datastore, so that the run's code can be had."""
        if self._stored is None:
            with open(self.archive, "rb") as file:
                self._stored = self._datastore.save_data([file.read()], len_hint=1)[0]
        return elsewhere.variables(*self._stored, self.package, self._datastore.TYPE)

    def delivered(self, here):
        """Makes what `sandbox step` finds in the directory; its arguments for a package: metadata, SHA, URL."""
        if here:
            self.code  # noqa: B018 (laid out now)
            return []
        self.variables()
        return [getattr(self.package, "package_metadata", ""), self._stored[1], self._stored[0]]

    def with_mode(self, path, mode):
        """The file, or a copy of it with this mode."""
        if mode is None:
            return path
        copy = os.path.join(self.directory, f"{mode:o}-{hashlib.sha256(path.encode()).hexdigest()}")
        if not os.path.exists(copy):
            part = f"{copy}-{os.getpid()}"  # other tasks may be at it
            shutil.copyfile(path, part)
            os.chmod(part, mode)
            os.replace(part, copy)
        return copy

    @property
    def root_home(self):
        path = os.path.join(self.directory, "root")
        os.makedirs(path, exist_ok=True)
        return path


def _extra_path():
    if EXTRA_PATH in os.environ:
        return list(filter(None, os.environ[EXTRA_PATH].split(os.pathsep)))
    return list(host_view.extra_path({os.path.dirname(os.path.abspath(sys.argv[0])), os.getcwd()}))


def _inside(env):
    """NAME or NAME=VARIABLE for the launcher. What another decorator sets wins over what we do."""
    for name in env:
        plain = name[len(SET_PREFIX):]
        if name.startswith("METAFLOW_SANDBOX_RELAY_"):
            continue  # the launcher's own
        if not name.startswith(SET_PREFIX):
            yield name
        elif plain not in env:
            yield f"{plain}={name}"
    yield from environment.PASSED


def _cards_root(root):
    from metaflow.plugins.cards.card_datastore import CardDatastore

    path = CardDatastore.get_storage_root("local") or os.path.join(root, "mf.cards")
    path = os.path.abspath(path)
    os.makedirs(path, exist_ok=True)
    return path


def _refuse_deployers(name):
    """Orchestrators start steps without asking us: they would run outside of their sandboxes."""
    used = [word for word in sys.argv[1:] if word in DEPLOYERS]
    if used and "create" in sys.argv:
        raise SandboxException(
            f"{used[0]} can't run steps with @{name} in sandboxes, and would run them without. Run the flow "
            f"with 'python FLOW.py run', or remove @{name} before 'create'")
