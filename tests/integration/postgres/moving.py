"""Moves a model's pointers and is killed while doing so: `python moving.py URL FOLDER`, one order a line on standard input.

    SEED KILL       a move of each kind, drawn by SEED, by our own registry; killed before its statement number KILL
    SEED KILL mlflow    the same through the store behind MLflow, which its clients reach
    race ROUNDS     two processes at once, one of each kind

Each order runs in a fork, so that what takes seconds to import is imported once. Answers `killed` or `done`.
"""

import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from killed import die_at, ended, forked

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.errors import Conflict
from boathouse.events import Outbox
from boathouse.registry import Actor, Registry, mlflow_stores

MODEL = "dev.flights.delay"
VERSIONS = 4


def move(registry: Registry, models: Any, seed: int, through_mlflow: bool) -> None:
    """One step, drawn by the seed."""
    drawn = random.Random(seed)
    version, kind = drawn.randint(1, VERSIONS), seed % 4
    if through_mlflow:
        if kind < 2:
            models.transition_model_version_stage(MODEL, version, ("Production", "Staging")[kind], archive_existing_versions=True)
        elif kind == 2:
            models.set_registered_model_alias(MODEL, "champion", version)
        else:
            models.delete_registered_model_alias(MODEL, "champion")
    elif kind == 0:
        registry.promote(MODEL, version, principal="ann")
    elif kind == 1:
        registry.transition(MODEL, version, "Staging", principal="ann")
    elif kind == 2:
        try:
            registry.rollback(MODEL, principal="ann")
        except Conflict:
            registry.promote(MODEL, version, principal="ann")
    else:
        registry.set_alias(MODEL, "champion", version, principal="ann")


def main(url: str, folder: Path) -> None:
    database = Database(url)
    registry = Registry(database, Outbox(database).emit, Audit(database, folder / "audit.key", folder / "audit.head").write)
    _, models = mlflow_stores(registry, Actor("ann", lambda *_: True, "dev"))

    def close() -> None:
        database.engine.dispose()
        models.engine.dispose()

    def apart(act: Callable[[], None]) -> int:
        return forked(act, close)

    def killed_at(seed: int, number: int, through_mlflow: bool) -> None:
        die_at(database.engine, number)
        move(registry, models, seed, through_mlflow)

    def repeat(version: int, rounds: int, through_mlflow: bool) -> None:
        for _ in range(rounds):
            if through_mlflow:
                models.transition_model_version_stage(MODEL, version, "Production", archive_existing_versions=False)
            else:
                registry.promote(MODEL, version, principal="ann")

    print("ready", flush=True)
    for line in sys.stdin:
        first, second, *through = line.split()
        if first == "race":
            acts = [partial(repeat, 1, int(second), False), partial(repeat, 2, int(second), True)]
        else:
            acts = [partial(killed_at, int(first), int(second), "mlflow" in through)]
        print(ended(*[apart(act) for act in acts]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
