# SPDX-License-Identifier: Apache-2.0
"""Variables that go into a sandbox: what a step needs, by name, and nothing else of the user's.

Layer: environment. May import settings, Metaflow.
"""
import ipaddress
import os
import socket
from urllib.parse import urlsplit, urlunsplit

from . import settings

# Of Metaflow's configuration, wherever it was set. Not the service's: metadata is relayed, and its key
# stays here.
FORWARDED = ("METAFLOW_DATASTORE_SYSROOT_", "METAFLOW_DATATOOLS_", "METAFLOW_S3", "METAFLOW_CARD_S3",
             "METAFLOW_CARD_GS", "METAFLOW_CARD_AZURE", "METAFLOW_CONDA", "METAFLOW_AZURE_STORAGE_BLOB_")
# Only where the step itself must reach a cloud: its datastore, or @secrets.
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION",
               "AWS_REGION", "AWS_ENDPOINT_URL_S3", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG",
               "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY")
# Variables that hold addresses of storage servers.
ENDPOINTS = ("METAFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
             "METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT", "STORAGE_EMULATOR_HOST")
CREDENTIALS_INSIDE = "/tmp/.credentials"
GOOGLE_LOGIN = "application_default_credentials.json"  # google.auth's name for it, in CLOUDSDK_CONFIG
MACHINE = "10.0.2.2"  # this machine's loopback, inside: docs/network.md
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PASSED = ("METAFLOW_RUN_ID", "PYTHONUNBUFFERED")  # set by Metaflow for each task


def configured():
    """Metaflow's settings that are forwarded."""
    from metaflow.metaflow_config_funcs import config_values

    return {name: str(value) for name, value in config_values() if name.startswith(FORWARDED)}


def credentials(environ=os.environ):
    found = {name: environ[name] for name in CREDENTIALS if environ.get(name)}
    if is_r2(environ) and not settings.truth(
            environ.get("METAFLOW_SANDBOX_FORWARD_AWS_SESSION_TOKEN", "")):
        found.pop("AWS_SESSION_TOKEN", None)  # R2 refuses tokens that are not its own
    return found


def is_r2(environ=os.environ):
    """Cloudflare's storage, by its name."""
    from metaflow.metaflow_config import S3_ENDPOINT_URL

    url = environ.get("METAFLOW_S3_ENDPOINT_URL") or S3_ENDPOINT_URL or environ.get("AWS_ENDPOINT_URL_S3") or ""
    return f".{urlsplit(url).hostname or ''}".endswith(".cloudflarestorage.com")


def workers(environ=os.environ):
    """R2 stalls under Metaflow's default of parallel requests."""
    if is_r2(environ) and not environ.get("METAFLOW_S3_WORKER_COUNT"):
        return {"METAFLOW_S3_WORKER_COUNT": environ.get("METAFLOW_SANDBOX_R2_WORKER_COUNT", "8")}
    return {}


def credential_files(values):
    """Files that variables name, as (path here, path inside); changes `values` to what they are inside."""
    key = values.get("GOOGLE_APPLICATION_CREDENTIALS")
    if key and os.path.isfile(key):
        values["GOOGLE_APPLICATION_CREDENTIALS"] = f"{CREDENTIALS_INSIDE}/key.json"
        yield os.path.abspath(key), values["GOOGLE_APPLICATION_CREDENTIALS"]
    login = os.path.join(values.get("CLOUDSDK_CONFIG") or "", GOOGLE_LOGIN)
    if os.path.isabs(login) and os.path.isfile(login):
        values["CLOUDSDK_CONFIG"] = CREDENTIALS_INSIDE
        yield login, f"{CREDENTIALS_INSIDE}/{GOOGLE_LOGIN}"


def endpoints(values):
    """What a sandbox of this machine must reach besides the internet, which is all it reaches otherwise:
    storage servers in this network or on this machine. Changes `values` where an address is another inside;
    returns rules for the launcher."""
    rules = []
    for name in ENDPOINTS:
        parts = urlsplit(values.get(name) or "")
        address = parts.hostname and _address(parts.hostname)
        if not address or ipaddress.ip_address(address).is_global and not _is_ours(address):
            continue
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if _is_ours(address):
            address = MACHINE
            values[name] = urlunsplit(parts._replace(netloc=f"{MACHINE}:{port}"))
        rules.append(f"{address}:{port}")
    return rules


def _address(host):
    try:
        return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except OSError:
        return None  # it may have a meaning inside


def _is_ours(address):
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def relay():
    """For the launcher alone: where the metadata service is, and the key for it."""
    from metaflow.metaflow_config import SERVICE_HEADERS, SERVICE_URL

    return {"METAFLOW_SANDBOX_RELAY_URL": SERVICE_URL or "",
            "METAFLOW_SANDBOX_RELAY_HEADERS": "\n".join(f"{k}: {v}" for k, v in SERVICE_HEADERS.items())}


def search_path(interpreter):
    """PATH inside: programs of the step's environment first, as when it is activated."""
    return os.pathsep.join([os.path.dirname(os.path.abspath(interpreter)), *SYSTEM_PATH])


def of_step(backend, datastore_type, reaches_cloud, flow_file):
    """Variables of every task of a step, without those of its decorators."""
    from metaflow.util import get_username

    found = configured()
    if reaches_cloud:
        found.update(credentials())
        found.update(workers())
    found.update({
        "METAFLOW_SANDBOX_WORKLOAD": "1",
        "METAFLOW_SANDBOX_BACKEND": backend,
        "METAFLOW_USER": get_username() or "",
        "METAFLOW_DEFAULT_DATASTORE": datastore_type,
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_FLOW_FILENAME": flow_file,
    })
    return found
