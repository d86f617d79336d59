"""Exactly one Production version, on SQLite and PostgreSQL: killed between any two steps, and with two who promote at once.

BOATHOUSE_CRASHES (10 where it is not set) says how many random moves are killed on each database, each way.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from orders import Ordered

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.events import Outbox
from boathouse.registry import Registry, mlflow_stores, prepare_mlflow

MODEL = "dev.flights.delay"
REPEATS = int(os.environ.get("BOATHOUSE_CRASHES", "10"))
STAGES = "SELECT version, current_stage FROM model_versions ORDER BY version"
ALIASES = "SELECT alias, version FROM registered_model_aliases"


@dataclass
class Mover(Ordered):
    """A process that moves the model's pointers, and what its database holds."""

    folder: Path

    def check(self) -> None:
        """Stages, aliases and our pointer agree, and events, history and audit told exactly what is there."""
        stages, aliases = dict(self.rows(STAGES)), dict(self.rows(ALIASES))
        champion = [version for version, stage in stages.items() if stage == "Production"]
        assert champion == [v for a, v in aliases.items() if a == "champion"]
        assert [(v,) for v in champion] == self.rows("SELECT version FROM bh_production")
        assert len(champion) <= 1
        staged = {v for v, stage in stages.items() if stage == "Staging"}
        assert {v for a, v in aliases.items() if a == "challenger"} <= staged
        told = dict.fromkeys(stages, "None")
        named: dict[str, int] = {}
        for event in Outbox(self.database).after(0, 100_000):
            if event.kind == "model_version.transitioned":
                assert told[event.data["version"]] == event.data["from_stage"]
                told[event.data["version"]] = event.data["to_stage"]
            elif event.kind == "model_version.alias_set":
                named[event.data["alias"]] = event.data["version"]
            elif event.kind == "model_version.alias_deleted":
                del named[event.data["alias"]]
        assert (told, named) == (stages, aliases)
        history = dict(self.rows("SELECT version, to_stage FROM bh_model_stage_history ORDER BY id"))
        assert {v: stage for v, stage in stages.items() if stage != "None" or v in history} == history
        assert Audit(self.database, self.folder / "audit.key", self.folder / "audit.head").verify() is None


def _started(database: Database, folder: Path) -> Iterator[Mover]:
    prepare_mlflow(database.url, str(folder / "artifacts"))
    registry = Registry(database, lambda *_: None, lambda *_: None)
    mlflow_stores(registry)[1]._dispose_engine()
    with database.writing() as connection:
        connection.execute(sa.text("INSERT INTO registered_models (workspace, name, creation_time) VALUES ('default', :name, 1)"),
                           {"name": MODEL})  # fmt: skip
        row = "INSERT INTO model_versions (workspace, name, version, current_stage, status, creation_time, last_updated_time)"
        for version in range(1, 5):
            values = {"name": MODEL, "version": version}
            connection.execute(sa.text(f"{row} VALUES ('default', :name, :version, 'None', 'READY', 1, 1)"), values)
    words = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("moving.py")), database.url, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield Mover(database, process, folder)
        assert process.stdin
        process.stdin.close()


@pytest.fixture(params=["sqlite", "postgres"])
def mover(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mover]:
    if request.param == "postgres":
        yield from _started(request.getfixturevalue("database"), tmp_path)
        return
    database = Database(f"sqlite:///{tmp_path / 'boathouse.db'}")
    database.create_tables()
    yield from _started(database, tmp_path)
    database.close()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_whatever_moment_a_move_is_killed_at_it_happened_as_a_whole_or_not_at_all(mover: Mover) -> None:
    for seed in (0, 2):  # a promotion and one more, or a rollback: killed before its every statement
        number, answer = 1, "killed"
        while answer == "killed":
            answer = mover.tell(seed, number)
            number += 1
        assert (answer, number > 5) == ("done", True)
        mover.check()
    drawn = random.Random(7)
    answers = [mover.tell(drawn.randrange(1000), drawn.randint(1, 30), "mlflow" * (i % 2)) for i in range(2 * REPEATS)]
    assert set(answers) <= {"killed", "done"}
    mover.check()


@pytest.mark.filterwarnings("ignore")
def test_two_who_promote_at_once_leave_one_production(mover: Mover) -> None:
    query = (
        "SELECT (SELECT count(*) FROM model_versions WHERE current_stage = 'Production'), "
        "(SELECT max(version) FROM model_versions WHERE current_stage = 'Production'), "
        "(SELECT max(version) FROM registered_model_aliases WHERE alias = 'champion'), (SELECT max(version) FROM bh_production)"
    )

    with ThreadPoolExecutor(1) as pool:
        answer, looked = pool.submit(mover.tell, "race", 3 * REPEATS), 0
        while not answer.done():
            count, stage, alias, ours = mover.rows(query)[0]
            assert (count <= 1, stage == alias == ours) == (True, True)
            looked += count
        assert (answer.result(), looked > 0) == ("done", True)
    mover.check()
