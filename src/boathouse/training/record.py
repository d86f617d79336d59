"""The record of a training run: code, environment, data. What it takes to make the model again."""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from boathouse.context import Context

_PREFIX = "boathouse."


@dataclass(frozen=True)
class TrainingRecord:
    """Where a model version came from."""

    environment: str
    commit: str | None
    dirty: bool
    lock_hash: str | None
    project: str | None
    job_run: str | None
    tables: Mapping[str, int]
    query: str | None
    python: str


def record_of(context: Context, tables: Mapping[str, int], query: str | None) -> TrainingRecord:
    """The record of what this process is doing."""
    run = context.run
    return TrainingRecord(
        context.environment, run.commit, run.dirty, run.lock_hash, run.project, run.run_id, dict(tables), query,
        platform.python_version(),
    )  # fmt: skip


def tags(record: TrainingRecord) -> dict[str, str]:
    """The record as tags of an MLflow run. MLflow cuts long values, so the query is kept as an artifact instead."""
    values: dict[str, Any] = {
        "git_commit": record.commit, "git_dirty": str(record.dirty).lower(),
        "lock_hash": record.lock_hash, "project": record.project, "job_run": record.job_run,
        "tables": json.dumps(dict(record.tables), sort_keys=True), "python": record.python,
    }  # fmt: skip
    return {_PREFIX + k: str(v) for k, v in values.items() if v is not None}


def pip_requirements(packages: Iterable[str]) -> list[str]:
    """Packages at the versions that are installed; explicit requirements spare MLflow minutes of guessing."""
    found = []
    for package in packages:
        try:
            found.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return found
