"""A registry of many versions, half of them in one model, beside plain MLflow on the same rows; SQLite and PostgreSQL.

    python benchmarks/registry.py [--versions 20_000] [--models 2_000] [--databases sqlite,postgres]

`--versions 1_000_000 --models 100_000` is the size that is aimed at; most of its time is
MLflow's. Plain MLflow is asked first, on its own tables as it makes them; then our indexes, triggers and tables are
added, and the store that stands behind the guard is asked the same. Milliseconds of single calls of the stores, without
HTTP: p50 and p99 on the clock, and the mean of this process's processor, which says more on a busy machine (PostgreSQL's
own is not in it); the ratios are of the medians and of the means. Creation and promotion write, with us, outbox and audit
as well.
PostgreSQL is started for the occasion, if its programs are there. The floor is what any question costs at least.
"""

import argparse
import os
import pwd
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.events import Outbox
from boathouse.registry import Actor, Registry, mlflow_stores, prepare_mlflow, quietly
from boathouse.server.serve import free_port

DEEP = "dev.deep.model"
BUDGET = 3.0
"""So many seconds one question is asked again; once at least."""
Call = Callable[[], Any]

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
NAME = "CASE WHEN i = 0 THEN '" + DEEP + "' ELSE 'dev.s' || (i / 1000) || '.m' || i END"


def fill(engine: sa.Engine, versions: int, models: int) -> None:
    """Models with an owner, an alias and a Production version each; versions with two tags."""
    half, others = versions // 2, models - 1
    spread = (f"SELECT i, 'dev.s' || ((1 + i % {others}) / 1000) || '.m' || (1 + i % {others}) AS name, "
              f"1 + i / {others} AS version FROM n")  # fmt: skip
    deep = f"SELECT i + {half} AS i, '{DEEP}' AS name, i + 1 AS version FROM n"
    stage = f"CASE WHEN version = 1 AND name <> '{DEEP}' OR version = {half} THEN 'Production' ELSE 'None' END"
    made = ("INSERT INTO model_versions "
            "(workspace, name, version, creation_time, last_updated_time, current_stage, source, status, run_id)")  # fmt: skip
    tagged = "INSERT INTO model_version_tags (workspace, name, version, key, value)"
    steps = [
        f"INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) {NUMBERS.format(last=others)} "
        f"SELECT 'default', {NAME}, 1700000000000 + i, 1700000000000 + i FROM n",
        f"INSERT INTO registered_model_tags (workspace, name, key, value) {NUMBERS.format(last=others)} "
        f"SELECT 'default', {NAME}, 'owner', 'owner-' || (i % 1000) FROM n",
    ]
    for rows in (spread, deep):
        numbers = NUMBERS.format(last=half - 1)
        steps.append(f"{made} {numbers} SELECT 'default', name, version, 1700000000000 + i, 1700000000000 + i, {stage}, "
                     f"'mlflow-artifacts:/1/models/m-1/artifacts', 'READY', 'run-' || i FROM ({rows}) r")  # fmt: skip
        for key, distinct in (("team", 1000), ("kind", 10)):
            value = f"'{key}-' || (i % {distinct})"
            steps.append(f"{tagged} {numbers} SELECT 'default', name, version, '{key}', {value} FROM ({rows}) r")
    steps.append("INSERT INTO registered_model_aliases (workspace, name, alias, version) "
                 "SELECT workspace, name, 'champion', version FROM model_versions "
                 "WHERE current_stage = 'Production'")  # fmt: skip
    for step in steps:
        with engine.begin() as connection:
            connection.exec_driver_sql(step.replace("%", "%%") if engine.dialect.name == "postgresql" else step)


@dataclass(frozen=True)
class Asked:
    """Milliseconds of each call on the clock, sorted, and of this process's processor in the mean."""

    taken: list[float]
    cpu: float

    @property
    def p50(self) -> float:
        return statistics.median(self.taken)

    @property
    def p99(self) -> float:
        return self.taken[min(len(self.taken) - 1, int(len(self.taken) * 0.99))]


def asked(call: Call, most: int = 200) -> Asked:
    """Ask again and again, as long as the budget lasts; the first call counts only where it takes more than that."""
    taken: list[float] = []
    began, cpu = time.monotonic(), time.process_time()
    call()
    if (first := time.monotonic() - began) > BUDGET:
        return Asked([first * 1000], (time.process_time() - cpu) * 1000)
    end, cpu = time.monotonic() + BUDGET, time.process_time()
    while len(taken) < most and (not taken or time.monotonic() < end):
        before = time.perf_counter()
        call()
        taken.append((time.perf_counter() - before) * 1000)
    return Asked(sorted(taken), (time.process_time() - cpu) / len(taken) * 1000)


def questions(store: Any, models: int, size: dict[str, int], page: Callable[..., Any]) -> dict[str, Call]:
    """What is asked of a store; `page(versions, filter)` gives the token of page 1,000, or of the last there is."""
    name = f"dev.s{models // 2 // 1000}.m{models // 2}"
    search_models, search_versions, n = store.search_registered_models, store.search_model_versions, size
    late_models, late_versions = page(False), page(True)
    return {
        "version by alias": lambda: store.get_model_version_by_alias(name, "champion"),
        "version by alias, deep": lambda: store.get_model_version_by_alias(DEEP, "champion"),
        "version by number": lambda: store.get_model_version(name, 1),
        "latest versions": lambda: store.get_latest_versions(name),
        "latest versions, deep": lambda: store.get_latest_versions(DEEP),
        "model, deep": lambda: store.get_registered_model(DEEP),
        "models, page 1": lambda: search_models(max_results=n["models"]),
        "models, page 1,000": lambda: search_models(max_results=n["models"], page_token=late_models),
        "models by name": lambda: search_models(f"name = '{name}'", n["models"]),
        "models by part of a name": lambda: search_models("name LIKE 'dev.s1.%'", n["models"]),
        "models by an inner part": lambda: search_models(f"name ILIKE '%{name[-3:]}%'", n["models"]),
        "models by a rare inner part": lambda: search_models(f"name ILIKE '%{name[5:]}%'", n["models"]),
        "models by tag": lambda: search_models("tags.owner = 'owner-7'", n["models"]),
        "versions, page 1": lambda: search_versions(max_results=n["versions"]),
        "versions, page 1,000": lambda: search_versions(max_results=n["versions"], page_token=late_versions),
        "versions of a model": lambda: search_versions(f"name = '{name}'", n["versions"]),
        "versions of a model, deep": lambda: search_versions(f"name = '{DEEP}'", n["versions"]),
        "versions by a rare tag": lambda: search_versions("tags.team = 'team-7'", n["versions"]),
        "versions by a common tag": lambda: search_versions("tags.kind = 'kind-7'", n["versions"]),
        "versions by run": lambda: search_versions("run_id = 'run-77'", n["versions"]),
    }


def changes(store: Any, models: int) -> dict[str, Call]:
    """What is changed in a store."""
    turn, made = count(), count(1)
    name = f"dev.s{models // 2 // 1000}.m{models // 2}"
    return {
        "promote": lambda: store.transition_model_version_stage(name, 1 + next(turn) % 2, "Production", True),
        "promote, deep": lambda: store.transition_model_version_stage(DEEP, 1 + next(turn) % 2, "Production", True),
        "create a version": lambda: store.create_model_version(
            f"dev.s0.m{next(made) % 900 + 1}", "mlflow-artifacts:/1/models/m-1/artifacts"
        ),
    }


def compared(url: str, folder: Path, versions: int, models: int) -> None:
    """Fill a database, ask both, print."""
    began = time.monotonic()
    prepare_mlflow(url, str(folder / "artifacts"))
    with quietly():
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
        from mlflow.utils.search_utils import SearchUtils
    plain = SqlAlchemyStore(url)
    fill(plain.engine, versions, models)
    print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
    size = {"models": min(25, models // 1000), "versions": min(25, versions // 1000)}
    _analyse(plain.engine)
    late = {False: 999 * size["models"], True: 999 * size["versions"]}
    theirs = {
        what: asked(call)
        for what, call in {
            **questions(plain, models, size, lambda kind: SearchUtils.create_page_token(late[kind])), **changes(plain, models)
        }.items()
    }  # fmt: skip
    began = time.monotonic()
    database = Database(url)
    database.create_tables()
    events, audit = Outbox(database), Audit(database, folder / "audit.key", folder / "audit.head")
    registry = Registry(database, events.emit, audit.write)
    _, store = mlflow_stores(registry, Actor("ann", lambda *_: True, "dev"))
    _analyse(database.engine)
    print(f"our indexes and projection in {time.monotonic() - began:.0f} s", flush=True)

    def page(kind: bool) -> Any:
        from boathouse.registry import mlflow_entities

        by = mlflow_entities.order(None, kind)
        table, order = ("model_versions", "last_updated_time DESC, name, version DESC") if kind else ("registered_models", "name")
        with database.reading() as connection:
            query = sa.text(f"SELECT * FROM {table} ORDER BY {order} LIMIT 1 OFFSET {late[kind] - 1}")
            return mlflow_entities.token(connection.execute(query).mappings().one(), by)

    ours = {what: asked(call) for what, call in (questions(store, models, size, page) | changes(store, models)).items()}
    rows = registry.models

    def floor() -> None:
        with database.reading() as connection:
            connection.execute(sa.select(sa.literal(1))).scalar_one()

    ours["floor: one SELECT 1"] = asked(floor)
    ours["our list, page 1"] = asked(lambda: rows("dev", limit=size["models"]))
    ours["our list, page 1,000"] = asked(lambda: rows("dev", after=f"dev.s{models // 4000}.m{models // 4}", limit=size["models"]))
    print(f"{'':28}{'Boathouse p50':>14}{'p99':>9}{'CPU':>8}{'MLflow p50':>12}{'p99':>10}{'CPU':>10}{'ratio':>9}{'of CPU':>9}")
    for what, mine in ours.items():
        line = f"{what:28}{mine.p50:14.2f}{mine.p99:9.2f}{mine.cpu:8.2f}"
        if other := theirs.get(what):
            line += f"{other.p50:12.2f}{other.p99:10.2f}{other.cpu:10.2f}{other.p50 / mine.p50:8.1f}x{other.cpu / mine.cpu:8.1f}x"
        print(line)
    database.close()
    plain._dispose_engine()


def _analyse(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE")


@contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """The address of an empty database on a server of its own, or None without PostgreSQL's programs."""
    programs = {p: shutil.which(p) or next(iter(glob(f"/usr/lib/postgresql/*/bin/{p}")), None) for p in ("initdb", "pg_ctl")}
    if not all(programs.values()):
        yield None
        return
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # which it refuses to run as
        user["user"] = pwd.getpwnam("postgres").pw_uid
        os.chown(folder, user["user"], -1)
        os.chmod(folder.parent, 0o755)
    port = free_port()

    def run(program: str, *words: str) -> None:
        command = [str(programs[program]), "-D", str(folder / "data"), *words]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)

    run("initdb", "-A", "trust", "-U", "boathouse")
    run("pg_ctl", "-w", "-o", f"-p {port} -k {folder} -c shared_buffers=512MB", "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql+psycopg://boathouse@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-m", "fast", "stop")


def main() -> None:
    """Read the flags, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=20_000)
    parser.add_argument("--models", type=int, default=2_000)
    parser.add_argument("--databases", default="sqlite,postgres")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for kind in given.databases.split(","):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "database"
            folder.mkdir()
            print(f"-- {kind}: {given.versions:,} versions of {given.models:,} models", flush=True)
            if kind == "sqlite":
                compared(f"sqlite:///{folder / 'boathouse.db'}", folder, given.versions, given.models)
                continue
            with postgres(folder) as url:
                if url:
                    compared(url, Path(name), given.versions, given.models)
                else:
                    print("PostgreSQL is not installed")


if __name__ == "__main__":
    main()
