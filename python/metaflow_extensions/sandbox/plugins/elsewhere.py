# SPDX-License-Identifier: Apache-2.0
"""A step in a sandbox that shares no files with this machine: what goes there, and the command that puts an
interpreter, Metaflow and the flow in place before the step starts.

Layer: elsewhere. May import exceptions, Metaflow.
"""
import os
import shlex

from .exceptions import SandboxException

DIRECTORY = "/tmp/metaflow"  # src/metaflow/launcher/run.c
PACKAGE = "package"
RECORDS = DIRECTORY + "/.records"  # src/metaflow/launcher/records.h

# What Metaflow needs of the image's Python, by datastore: packages of pip, and modules that show them.
NEEDED = {
    "s3": (["boto3", "requests"], ["boto3", "requests"]),
    "azure": (["azure-identity", "azure-storage-blob", "azure-keyvault-secrets", "simple-azure-blob-downloader",
               "requests"], ["azure.identity", "azure.storage.blob", "azure.keyvault.secrets", "requests"]),
    "gs": (["google-cloud-storage", "google-auth", "simple-gcp-object-downloader", "google-cloud-secret-manager",
            "packaging", "requests"], ["google.cloud.storage", "google.auth", "google.cloud.secretmanager", "packaging",
                                       "requests"]),
}

# $1: interpreter, $2: packages, $3: modules. 202: trying again can't help.
SETUP = r"""
fail() { echo "Sandbox error: $1" >&2; echo "  try: $2" >&2; exit 202; }
mflog() { echo "$1"; }
flush_mflogs() { :; }
python=$(command -v "$1" || command -v python3 || command -v python) ||
    fail "the image has no Python" "name an image that has one: @sandbox(image='python:3.11-slim')"
mkdir -p .bin && ln -sf "$python" .bin/python || exit 1
export PATH="$PWD/.bin:$PATH"
tar -xzf package 2>/dev/null || python -m tarfile -e package . ||
    fail "the flow's package can't be unpacked in the sandbox" "look at the free space of its disk"
rm -f package
has() { python -c 'import sys; from importlib.util import find_spec as f; sys.exit(not all(map(f, sys.argv[1:])))' "$@" 2>/dev/null; }
if [ -z "$METAFLOW_SKIP_INSTALL_DEPENDENCIES" ] && ! has $3; then
    python -m pip install -qqq --no-compile --no-cache-dir --disable-pip-version-check --root-user-action=ignore --target .packages $2 ||
        fail "what Metaflow needs ($2) can't be installed in the sandbox" "name an image that has it, or a package index with @sandbox(env={'PIP_INDEX_URL': ...})"
    export PYTHONPATH="$PWD/.packages${PYTHONPATH:+:$PYTHONPATH}"
fi
shift 3
"""


def makes_environment(environment, flow, step):
    """Whether @conda or @pypi have something to put up for this step."""
    disabled = getattr(environment, "is_disabled", None)
    return disabled is not None and not disabled(next(one for one in flow if one.name == step))


def have_no_interpreter_here(environment, step):
    """Metaflow starts steps of @conda with an interpreter of this machine, and fails where the environment is for
    another platform; the sandbox has its own."""
    if hasattr(environment, "interpreter"):
        here = environment.interpreter
        environment.interpreter = lambda name: None if name == step else here(name)


def _exports(package):
    """Where the package's contents are looked for; before Metaflow 2.16 they lay in the directory itself."""
    found = {"PYTHONPATH": "$PWD"}
    if hasattr(package, "get_post_extract_env_vars"):
        found = package.get_post_extract_env_vars(package.package_metadata, dest_dir="$PWD")
    for name, value in found.items():
        if name.endswith(":"):
            yield f'export {name[:-1]}="{value}"'
        else:
            yield f'export {name}="{value}${{{name}:+:${name}}}"'


def command(package, environment, step, datastore_type, executable, words):
    """The command of the sandbox for the step's own words: flow, options."""
    if datastore_type not in NEEDED:
        raise SandboxException(
            f"Steps in sandboxes elsewhere can't use the datastore '{datastore_type}'. Set METAFLOW_DEFAULT_DATASTORE "
            f"to one of {', '.join(NEEDED)}")
    packages, modules = NEEDED[datastore_type]
    interpreter = executable or "python"
    lines = [SETUP, *_exports(package)]
    if not executable:
        # @conda and @pypi make their environment there, and its path has variables that they set.
        lines.append(" && ".join([*environment.bootstrap_commands(step, datastore_type), "true"]) + " || exit 1")
        interpreter = environment.executable(step, "python")
    else:
        interpreter = shlex.quote(executable)
    lines.append(f'exec {interpreter} -u "$@"')
    return ["/bin/sh", "-c", "\n".join(lines), "step", executable or "python3", " ".join(packages), " ".join(modules),
            *_inside(words)]


def _inside(words):
    """Without what names files of this machine: configurations are in the package."""
    words = iter(words)
    for word in words:
        if word == "--local-config-file":
            next(words, None)
        else:
            yield word


def variables(package_url, package_sha, package, datastore_type):
    """What a step elsewhere knows of the package, as Metaflow's own remote steps do."""
    found = {"METAFLOW_CODE_URL": package_url, "METAFLOW_CODE_SHA": package_sha, "METAFLOW_CODE_DS": datastore_type,
             "METAFLOW_DATASTORE_SYSROOT_LOCAL": DIRECTORY, "METAFLOW_SANDBOX_RECORDS": RECORDS}
    if hasattr(package, "package_metadata"):
        found["METAFLOW_CODE_METADATA"] = package.package_metadata
    return found


def write_package(package, directory):
    path = os.path.join(directory, PACKAGE)
    data = package.blob
    with open(path, "wb") as file:
        file.write(data.getvalue() if hasattr(data, "getvalue") else bytes(data))
    return path
