"""One task as a process: what is executed, and what of the server it is given."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boathouse.processes import process_started

TASK_MODULE = "boathouse.client.task"
"""The module that every task's process starts with; it connects, then runs the user's code."""

_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "OPENBLAS_CORETYPE",
           "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH",
           "BOATHOUSE_MEMORY_LIMIT", "BOATHOUSE_TEMP_DIRECTORY")  # fmt: skip


@dataclass(frozen=True)
class TaskIdentity:
    """How a task reaches the platform: address, run-scoped token and what it shall know of itself."""

    url: str
    token: str
    environment: str
    facts: Mapping[str, str]
    others: Sequence[str] = ()
    """Where other servers answer, should that one end."""
    python: str = sys.executable
    """The interpreter of the Python environment that it runs in."""
    prepare: Sequence[str] = ()
    """What is executed first, where that environment is still to be built; its words go into the task's log."""
    packages: Sequence[str] = ()
    """What the project asks for, where the server's own environment holds all of it."""
    listed: str = ""
    """Where the pinned packages of an environment of its own are listed, once it is built."""


def inherited() -> dict[str, str]:
    """What a process that runs users' code gets of the server's environment variables: no key and no secret.

    Threads of OpenMP sleep while they wait for each other, unless the server's own variables say otherwise: on cores that
    several processes share, spinning ones keep the others from what they wait for.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} | {k: v for k, v in os.environ.items() if k in _PASSED}


def command(kind: str, body: Mapping[str, Any], python: str = sys.executable) -> list[str]:
    """What to execute."""
    return [python, "-P", "-m", TASK_MODULE, *arguments(kind, body)]


def building() -> dict[str, str]:
    """What a process that builds a Python environment gets of the server's environment variables: uv's and proxies' too."""
    return inherited() | {k: v for k, v in os.environ.items() if k.startswith("UV_") or k.upper().endswith("_PROXY")}


def environment(identity: TaskIdentity) -> dict[str, str]:
    """A task's environment variables; its token is not among them."""
    return inherited() | told(identity)


def told(identity: TaskIdentity) -> dict[str, str]:
    """What a task knows of itself, wherever it runs."""
    return {
        "BOATHOUSE_URL": identity.url, "BOATHOUSE_OTHER_URLS": " ".join(identity.others),
        "BOATHOUSE_ENV": identity.environment, "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": identity.facts.get("seed", "random"),
    } | {f"BOATHOUSE_{k.upper()}": v for k, v in identity.facts.items()}  # fmt: skip


def arguments(kind: str, body: Mapping[str, Any]) -> Sequence[str]:
    """The words after the module: what to run, then the user's own arguments."""
    if kind == "spark_python_task":
        return ["file", str(body["python_file"]), *map(str, body.get("parameters") or ())]
    if kind == "notebook_task":
        parameters = (f"--{k}={v}" for k, v in (body.get("base_parameters") or {}).items())
        return ["notebook", str(body["notebook_path"]), *parameters]
    if kind == "python_wheel_task":
        named = (f"--{k}={v}" for k, v in (body.get("named_parameters") or {}).items())
        return ["entry", f"{body['package_name']}:{body['entry_point']}", *map(str, body.get("parameters") or ()), *named]
    if kind == "sql_task":
        parameters = (f"--{k}={v}" for k, v in (body.get("parameters") or {}).items())
        return ["sql", str(body["file"]["path"] if "file" in body else body["query"]), *parameters]
    return ["builtin", str(body["name"]), *map(str, body.get("parameters") or ())]


def end(pid: int, started: str | None = None) -> bool:
    """Kill a task's whole process group, unless the number has passed to another process; whether it was there."""
    if started is not None and process_started(pid) != started:
        return False
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}"


