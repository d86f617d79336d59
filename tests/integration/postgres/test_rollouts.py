"""Rollouts on PostgreSQL: one a model at most, whoever begins another at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.delivery import Health, Reading, RolloutAsked, Rollouts, bin_of
from boathouse.errors import Conflict
from boathouse.registry import ARCHIVED, PRODUCTION, Registry, prepare_mlflow

MODEL = "dev.flights.delay"


@pytest.mark.filterwarnings("ignore")
def test_one_rollout_a_model_whoever_begins_it_and_it_finishes_once(database: Database, tmp_path: Path) -> None:
    prepare_mlflow(database.url, str(tmp_path / "artifacts"))
    registry = Registry(database, lambda *_: None, lambda *_: None)
    registry.install()
    with database.writing() as connection:
        row = f"INSERT INTO registered_models (workspace, name, creation_time) VALUES ('default', '{MODEL}', 1)"
        connection.execute(sa.text(row))
        for version in (1, 2):
            connection.execute(sa.text(
                "INSERT INTO model_versions (workspace, name, version, current_stage, status, creation_time, last_updated_time) "
                f"VALUES ('default', '{MODEL}', {version}, 'None', 'READY', 1, 1)"
            ))  # fmt: skip
    registry.promote(MODEL, 1, principal="ada")
    rollouts = Rollouts(registry, lambda *_: None)

    def begin(_: int) -> str:
        try:
            rollouts.begin(MODEL, 2, 1, RolloutAsked(seconds=0, min_requests=1), principal="ada", why="better")
        except Conflict:
            return "refused"
        return "begun"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(begin, range(4))) == ["begun", "refused", "refused", "refused"]
    rollouts.note([Reading("dev", "delay", MODEL, 2, "canary", clock.millis() + 1, Health(9, 0, {bin_of(3): 9}))])
    with ThreadPoolExecutor(4) as pool:
        assert sum(map(len, pool.map(lambda _: rollouts.step(), range(4)))) == 1
    assert {v.version: v.stage for v in registry.versions(MODEL)} == {1: ARCHIVED, 2: PRODUCTION}
    [promoted] = [h for h in registry.history(MODEL) if (h.version, h.to_stage) == (2, PRODUCTION)]
    assert promoted.reason.startswith("better; rolled out: 9 requests")
