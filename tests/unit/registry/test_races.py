"""However many promote at once, a model has one Production version, and its two names agree."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.registry import Actor, Registry, mlflow_stores

MODEL = "dev.flights.delay"
ROUNDS = 60
PROMOTER = """
import sys
from boathouse.database import Database
from boathouse.registry import Actor, Registry, mlflow_stores
registry = Registry(Database(sys.argv[1]), lambda *_: None, lambda *_: None)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    registry.promote("dev.flights.delay", int(sys.argv[2]), principal="p" + sys.argv[2])
"""


def pointers(database: Database) -> tuple[list[int], list[int], list[int]]:
    """The versions in Production, under champion and in our table, in one snapshot."""
    with database.reading() as connection:
        statements = (
            "SELECT version FROM model_versions WHERE current_stage = 'Production'",
            "SELECT version FROM registered_model_aliases WHERE alias = 'champion'",
            "SELECT version FROM bh_production",
        )
        one, two, three = (list(connection.execute(sa.text(s)).scalars()) for s in statements)
        return one, two, three


def agree(database: Database) -> bool:
    stage, alias, ours = pointers(database)
    return len(stage) == 1 and stage == alias == ours


def test_two_threads_promoting_leave_one_production(
    registry: Registry, database: Database, register: Callable[..., None]
) -> None:
    register(MODEL, 2)
    for _ in range(ROUNDS):
        barrier = threading.Barrier(2)

        def promote(version: int, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            registry.promote(MODEL, version, principal="ada")

        threads = [threading.Thread(target=promote, args=(version,)) for version in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert agree(database)
    assert len([s for s in registry.history(MODEL) if s.action == "promote"]) >= ROUNDS


def test_two_processes_promoting_leave_one_production(
    registry: Registry, database: Database, register: Callable[..., None]
) -> None:
    register(MODEL, 2)
    registry.promote(MODEL, 1, principal="ada")
    command = [sys.executable, "-c", PROMOTER, database.url]
    both = [
        subprocess.Popen([*command, version, str(ROUNDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for version in ("1", "2")
    ]
    assert [process.stdout.readline() for process in both if process.stdout] == ["ready\n"] * 2
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
    looked = 0
    while any(process.poll() is None for process in both):
        assert agree(database)
        looked += 1
    for process in both:
        assert process.stdout is not None
        process.stdout.close()
    assert [process.returncode for process in both] == [0, 0]
    assert looked > 0
    assert agree(database)


def test_metrics_and_promotions_written_at_once_never_find_the_database_locked(
    registry: Registry, database: Database, register: Callable[..., None]
) -> None:
    register(MODEL, 2)
    actor = Actor("ada", lambda *_: True, "dev")
    tracking, _ = mlflow_stores(registry, actor)
    from mlflow.entities import Metric

    runs = [tracking.create_run("0", "ada", 0, [], None).info.run_id for _ in range(3)]
    work = [
        *(lambda i, run=run: tracking.log_batch(run, [Metric("auc", i, i, i)], [], []) for run in runs),
        lambda i: registry.promote(MODEL, 1 + i % 2, principal="ada"),
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(lambda task=task: [task(i) for i in range(30)]) for task in work]:
            done.result()
    assert [tracking.get_run(run).data.metrics["auc"] for run in runs] == [29, 29, 29]
    assert agree(database)
