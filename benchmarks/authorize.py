"""`authorize` and lists of tables with 100,000 securables and 10,000 grants, on SQLite.

    python benchmarks/authorize.py [--tables 100_000] [--grants 10_000] [--questions 50_000]

Questions are asked one after another by a member of five groups, each about a table drawn at random. `warm`: what
is known of the table is in memory, and the question still reads whether anything changed since. `cold`: it is
read first. `after a revoke`: the first question after another process took a grant away. `floor`: the one read
that every question makes. Pages hold 100 tables; the second column is the ratio to the first page.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boathouse import clock
from boathouse.catalog import AccessControl, Audit, Catalog, Lineage
from boathouse.catalog.store import grants, securables
from boathouse.database import Database
from boathouse.events import Outbox
from boathouse.identity import Identity

GROUPS = [f"group{i}" for i in range(200)]
ANN = Identity("ann", frozenset(GROUPS[:5]))
SPARSE = Identity("sue", frozenset({"group150"}))
COLUMNS = [{"name": f"c{i}", "type": "bigint", "comment": ""} for i in range(10)]


def fill(database: Database, tables: int, granted: int) -> list[str]:
    """Three catalogs of schemas with 1,000 tables each; grants on catalogs, schemas and single tables."""
    names = [f"{('dev', 'staging', 'prod')[i % 3]}.s{i // 3 // 1000}.t{i // 3 % 1000:04}" for i in range(tables)]
    schemas = sorted({n.rpartition(".")[0] for n in names})
    properties = {"location": "file:///nowhere", "columns": COLUMNS, "primary_keys": [], "event_time": None,
                  "known_time": None, "partition_by": [], "tags": {}}  # fmt: skip
    made = {"owner": "olga", "comment": "", "created_at": clock.now(), "created_by": "olga"}
    rows = [{"kind": "catalog", "name": c, "parent": "", "properties": {}, **made} for c in ("dev", "staging", "prod")]
    rows += [{"kind": "schema", "name": s, "parent": s.split(".")[0], "properties": {}, **made} for s in schemas]
    rows += [{"kind": "table", "name": n, "parent": n.rpartition(".")[0], "properties": properties, **made} for n in names]
    given = {("group0", p, "catalog", "dev") for p in ("USE CATALOG", "USE SCHEMA", "SELECT")}
    given |= {(g, "USE CATALOG", "catalog", "staging") for g in GROUPS}
    staging = [s for s in schemas if s.startswith("staging.")]
    given |= {(g, p, "schema", s) for s in staging for g in GROUPS[1:3] for p in ("USE SCHEMA", "SELECT")}
    given |= {("group150", "USE SCHEMA", "schema", s) for s in staging}
    drawn = random.Random(7)
    while len(given) < granted:
        given.add((drawn.choice(GROUPS), "SELECT", "table", drawn.choice(names)))
    with database.writing() as connection:
        for start in range(0, len(rows), 10_000):
            connection.execute(securables.insert(), rows[start : start + 10_000])
        columns = ("principal", "privilege", "kind", "securable")
        connection.execute(grants.insert(), [dict(zip(columns, g, strict=True)) for g in given])
    return names


def measured(act: Callable[[Any], Any], arguments: list[Any]) -> list[float]:
    """Microseconds of each call, sorted."""
    taken = []
    for argument in arguments:
        begin = time.perf_counter_ns()
        act(argument)
        taken.append((time.perf_counter_ns() - begin) / 1000)
    return sorted(taken)


def shown(what: str, taken: list[float]) -> None:
    """One line."""
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99)]
    print(f"{what:<44} p50 {p50:9.1f} µs   p99 {p99:9.1f} µs   ({len(taken):,} calls)")


def questions(database: Database, other: Database, folder: Path, names: list[str], count: int) -> Catalog:
    """Ask."""
    audits = [Audit(d, folder / "audit.key", folder / "audit.head") for d in (database, other)]
    access, elsewhere = AccessControl(database, audits[0]), AccessControl(other, audits[1])
    drawn = random.Random(1)
    asked = [drawn.choice(names) for _ in range(count)]

    def ask(name: str) -> bool:
        return access.allows(ANN, "SELECT", "table", name)

    ask(names[0])
    shown("floor: is there news?", measured(lambda _: access._held._news.rows(0), asked[:20_000]))
    shown("cold", measured(ask, sorted(set(asked))[:2_000]))
    for name in set(asked):
        ask(name)
    yes = sum(ask(name) for name in asked[:1000]) / 10
    shown(f"warm, {yes:.0f} % allowed", measured(ask, asked))
    ask_sight = measured(lambda name: access.sees(ANN, "table", name), asked)
    shown("warm, may it be seen?", ask_sight)
    after = []
    for name in asked[:300]:
        elsewhere.grant("root", ["group9"], ["SELECT"], "table", name)
        elsewhere.revoke("root", "group9", "SELECT", "table", name)
        after += measured(ask, [name])
    shown("the first after a revoke elsewhere", sorted(after))
    return Catalog(database, access, audits[0], Lineage(database), Outbox(database), folder.as_uri())


def pages(catalog: Catalog, tables: int) -> None:
    """List."""
    for who, title in ((Identity("olga"), "who sees all"), (ANN, "who sees two thirds"), (SPARSE, "who sees single tables")):
        marks: list[str | None] = [None]
        count = 0
        while page := catalog.tables(who, limit=100, after=marks[-1]):
            marks.append(page[-1].name)
            count += len(page)
        last = len(marks) - 2
        first_page = measured(lambda _, w=who: catalog.tables(w, limit=100), [0] * 50)
        late_page = measured(lambda _, w=who, m=marks[last]: catalog.tables(w, limit=100, after=m), [0] * 50)
        shown(f"{title}: page 1 of {last + 1:,}", first_page)
        shown(f"{title}: page {last + 1:,} of {count:,} tables", late_page)
        print(f"{'':<44} ratio {statistics.median(late_page) / statistics.median(first_page):.2f}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=100_000)
    parser.add_argument("--grants", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=50_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        databases = [Database(f"sqlite:///{folder}/metadata.db") for _ in range(2)]
        databases[0].create_tables()
        names = fill(databases[0], given.tables, given.grants)
        print(f"{given.tables:,} tables, {given.grants:,} grants")
        catalog = questions(*databases, Path(folder), names, given.questions)
        pages(catalog, given.tables)
        for database in databases:
            database.close()


if __name__ == "__main__":
    main()
