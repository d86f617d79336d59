"""Walking lineage with 100,000 edges, on SQLite.

    python benchmarks/lineage.py [--edges 100_000]

Three graphs of the same number of edges: `deep`, 2,000 tables in 20 layers, each written 17 times from three tables of
the layer before, a tenth of the writes overwriting; `busy`, 50 tables in 5 layers written 1,000 times each, the more
common shape; `wide`, one table that 10,000 others were made of. `pairs` is what a walk shows. `naive` is a breadth-first
search that asks for the edges of one node at a time and knows no versions. Milliseconds of CPU time.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Lineage
from boathouse.catalog.lineage.store import reads, writes
from boathouse.database import Database

Write = tuple[str, int, bool, list[tuple[str, int]]]
"""(target, version, whether it replaces all, [(source, version)])."""


def layered(layers: int, width: int, versions: int, replaced: float, drawn: random.Random) -> Iterator[Write]:
    """Every table of a layer reads three of the layer before, at the version that they have by then."""
    for version in range(1, versions + 1):
        for layer in range(1, layers):
            for i in range(width):
                sources = [(f"prod.l{layer - 1}.t{(i * 3 + k) % width}", version) for k in range(3)]
                yield f"prod.l{layer}.t{i}", version, drawn.random() < replaced, sources


def star(targets: int, versions: int) -> Iterator[Write]:
    """One table goes into all others."""
    for version in range(1, versions + 1):
        for i in range(targets):
            yield f"prod.wide.t{i}", version, False, [("prod.l0.t0", version)]


def fill(database: Database, plan: Iterator[Write], edges: int) -> int:
    """Rows as `Lineage.record` leaves them; how many edges."""
    at, written, read = clock.now(), [], []
    for number, (target, version, replaces, sources) in enumerate(plan, 1):
        if len(read) >= edges:
            break
        written.append({"id": number, "target": target, "version": str(version), "number": version, "operation": "WRITE",
                        "replaces": replaces, "principal": "prod-jobs", "at": at})  # fmt: skip
        read += [{"write_id": number, "source": s, "version": str(v), "number": v, "target": target,
                  "target_number": version, "how": "derived"} for s, v in sources]  # fmt: skip
    with database.writing() as connection:
        connection.execute(writes.insert(), written)
        connection.execute(reads.insert(), read)
    return len(read)


def milliseconds(act: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """Median CPU time of a few calls, and the last answer."""
    found = []
    for _ in range(times):
        start = time.process_time()
        answer = act()
        found.append((time.process_time() - start) * 1e3)
    return statistics.median(found), answer


def naive(database: Database, name: str, here: str, there: str) -> set[tuple[str, str]]:
    """Edges by name alone, one question a node."""
    pairs: set[tuple[str, str]] = set()
    waiting, seen = [name], {name}
    with database.reading() as connection:
        while waiting:
            node = waiting.pop()
            for row in connection.execute(sa.select(reads.c.source, reads.c.target).where(reads.c[here] == node)):
                pairs.add((row.source, row.target))
                if (far := getattr(row, there)) not in seen:
                    seen.add(far)
                    waiting.append(far)
    return pairs


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=100_000)
    edges, drawn = parser.parse_args().edges, random.Random(7)
    graphs: dict[str, tuple[Iterator[Write], str, int]] = {
        "deep": (layered(20, 100, 18, 0.1, drawn), "prod.l19.t0", 17),
        "busy": (layered(5, 10, 1_000, 0.0, drawn), "prod.l4.t0", 800),
        "wide": (star(10_000, 10), "prod.wide.t9", 9),
    }
    print(f"{'graph':<6} {'walk':<28} {'pairs':>7} {'ms':>8} {'naive ms':>9} {'ratio':>6}")
    for graph, (plan, end, version) in graphs.items():
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{Path(folder) / 'metadata.db'}")
            database.create_tables()
            fill(database, plan, edges)
            lineage = Lineage(database)
            walks: list[tuple[str, str, Any, int | None]] = [
                ("up from the newest", end, "up", None), (f"up from version {version}", end, "up", version),
                ("down from all", "prod.l0.t0", "down", None), ("down from version 2", "prod.l0.t0", "down", 2),
            ]  # fmt: skip
            for what, start, way, at in walks:
                spent, walk = milliseconds(partial(lineage.walk, start, way, at))
                sides = ("target", "source") if way == "up" else ("source", "target")
                plain, _ = milliseconds(partial(naive, database, start, *sides))
                print(f"{graph:<6} {what:<28} {len(walk.edges):>7,} {spent:>8.1f} {plain:>9.1f} {spent / plain:>6.2f}")
            started = time.process_time()
            for number in range(200):
                lineage.record([("prod.l0.t0", str(number))], ("prod.extra.t", str(number)), "prod-jobs", None)
            print(f"{graph:<6} {'record one write':<28} {'':>7} {(time.process_time() - started) * 5:>8.2f}")
            database.close()


if __name__ == "__main__":
    main()
