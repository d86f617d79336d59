"""The record of a training run: code, environment, data, seed, machine. What it takes to make the model again."""

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from boathouse.context import Context, RunFacts
from boathouse.environments import installed_packages, working_tree_facts
from boathouse.training.source import running_source

_PREFIX = "boathouse."
_HUSHED = re.compile(r"password|secret|api_?key|credential|(^|_)token$", re.IGNORECASE)
FOLDER = "record"
"""Where a run keeps the files of its record: `record.json`, `packages.txt`, the lock, and `changes.diff` of a dirty tree.

In `source` lies what was run by hand.
"""
DIFF, PACKAGES, SOURCE = "changes.diff", "packages.txt", "source"


@dataclass(frozen=True)
class TrainingRecord:
    """Where a model version came from. `tables` holds the version of each table that was read."""

    environment: str
    commit: str | None
    dirty: bool
    lock_hash: str | None
    lock_file: str | None
    python_environment: str | None
    project: str | None
    job: str | None
    task: str | None
    job_run: str | None
    tables: Mapping[str, int]
    query: str | None
    seed: int | None
    python: str
    hardware: Mapping[str, Any]


def record_of(context: Context, tables: Mapping[str, int], query: str | None) -> TrainingRecord:
    """The record of what this process is doing, with all that it has read so far."""
    run = context.run
    own = None if run.run_id or run.commit else running_source()
    commit, dirty = (own.commit, own.dirty) if own else (run.commit, run.dirty)
    return TrainingRecord(
        context.environment, commit, dirty, run.lock_hash, Path(run.lock_file).name if run.lock_file else None,
        run.python_environment, run.project, run.job, run.task, run.run_id, {**context.reads(), **tables}, query, run.seed,
        platform.python_version(), hardware(),
    )  # fmt: skip


def tags(record: TrainingRecord) -> dict[str, str]:
    """The record as tags of an MLflow run. MLflow cuts long values, so the query is kept as an artifact instead."""
    values: dict[str, Any] = {
        "git_commit": record.commit, "git_dirty": str(record.dirty).lower(),
        "lock_hash": record.lock_hash, "lock_file": record.lock_file, "python_environment": record.python_environment,
        "project": record.project, "job": record.job, "task": record.task, "job_run": record.job_run,
        "tables": json.dumps(dict(record.tables), sort_keys=True), "seed": record.seed, "python": record.python,
        "hardware": json.dumps(dict(record.hardware), sort_keys=True),
    }  # fmt: skip
    return {_PREFIX + k: str(v) for k, v in values.items() if v is not None}


def write_record(record: TrainingRecord, run: RunFacts, folder: Path) -> None:
    """The files of a record, into a folder: what was installed, the lock, and what differed from the commit.

    Outside a job that is the script or the notebook's cells alone: what else lies there changed is nobody's business.
    """
    (folder / "record.json").write_text(json.dumps(asdict(record), indent=2, sort_keys=True) + "\n")
    (folder / PACKAGES).write_text("".join(f"{name}=={number}\n" for name, number in installed_packages().items()))
    if run.lock_file and Path(run.lock_file).is_file():
        (folder / Path(run.lock_file).name).write_bytes(Path(run.lock_file).read_bytes())
    if run.dirty and run.commit and (diff := working_tree_facts(Path.cwd()).diff):
        (folder / DIFF).write_text(diff)
    if not run.run_id and (own := running_source()) and not own.kept_in_git:
        (folder / SOURCE).mkdir()
        (folder / SOURCE / own.name).write_text(own.text)


@cache
def hardware() -> dict[str, Any]:
    """This machine: processor, how many of them this process may use, bytes of memory, operating system."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": model, "cpus": allowed, "memory": memory, "machine": platform.machine(), "platform": platform.platform()}


def own_parameters(model: Any) -> dict[str, str]:
    """What a model says of its parameters, as `model.<name>`: numbers, texts and truth values, of nested ones too.

    What is named as a password, key or token is left out.
    """
    try:
        given = model.get_params() if hasattr(model, "get_params") else dict(getattr(model, "params", None) or {})
    except Exception:  # a model of the user's own, whose get_params is something else
        return {}
    plain = {k: v for k, v in given.items() if (isinstance(v, str | int | float | bool) or v is None) and not _HUSHED.search(k)}
    return {f"model.{name}": str(value)[:500] for name, value in plain.items()}


def pip_requirements(packages: Iterable[str]) -> list[str]:
    """Packages at the versions that are installed; explicit requirements spare MLflow minutes of guessing."""
    found = []
    for package in packages:
        try:
            found.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return found
