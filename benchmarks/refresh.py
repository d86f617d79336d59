"""Refreshing materialized features: the same batch of new rows on a source, and on one ten times as long.

    python benchmarks/refresh.py [--rows 100000] [--batch 2000] [--repeats 9]

The source gets a day of rows in each append, as such tables grow; the features are a sum over the last hour, a sliding
mean and a tumbling maximum. Printed: seconds of the first, full refresh, the median of incremental ones after the same
batches (late rows among them), and the ratios of the long source to the short one: on the clock and of the processor,
which is what counts where other work shares the machine.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

import boathouse
from boathouse.client import Lake
from boathouse.feature_engineering import (
    AggregationFunction,
    Avg,
    DeltaTableSource,
    Feature,
    Max,
    RollingWindow,
    SlidingWindow,
    Sum,
    TumblingWindow,
)
from boathouse.features.declared import Refreshed, create, refresh

END = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
A_DAY = 10_000
ENTITIES = 1_000


def day(rng: random.Random, first: datetime, rows: int, hours: float = 24) -> pa.Table:
    """Rows of one day."""
    at = [first + timedelta(seconds=rng.randrange(int(hours * 3600))) for _ in range(rows)]
    return pa.table({
        "user": pa.array([rng.randrange(ENTITIES) for _ in at]), "at": pa.array(sorted(at), pa.timestamp("us", "UTC")),
        "amount": pa.array([rng.random() for _ in at]),
    })  # fmt: skip


def features(table: str) -> list[Feature]:
    """Three, of three windows."""
    source = DeltaTableSource(schema_name="raw", table_name=table)
    windows = {
        "spent": (Sum("amount"), RollingWindow(window_duration=HOUR)),
        "mean": (Avg("amount"), SlidingWindow(window_duration=6 * HOUR, slide_duration=HOUR)),
        "most": (Max("amount"), TumblingWindow(window_duration=6 * HOUR)),
    }
    return [
        Feature(source=source, entity="user", timeseries_column="at", name=name, function=AggregationFunction(*of))
        for name, of in windows.items()
    ]


class Spent(NamedTuple):
    """Seconds on the clock and of the processor."""

    clock: float
    cpu: float


def spent(work: Callable[[], Refreshed]) -> tuple[Refreshed, Spent]:
    """What some work gave, and what it took."""
    start, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, Spent(time.perf_counter() - start, time.process_time() - cpu)


def measured(lake: Lake, name: str, rows: int, batch: int, repeats: int) -> tuple[Spent, Spent]:
    """What the full refresh took, and the median of the incremental ones."""
    rng, days = random.Random(1), rows // A_DAY
    lake.create_table(f"raw.{name}", {"user": "bigint", "at": "timestamp", "amount": "double"})
    source = lake.table(f"raw.{name}")
    for number in range(days):
        source.append(day(rng, END - timedelta(days=days - number), A_DAY))
    declared = features(name)
    create(lake, f"features.{name}", declared, {})
    _, full = spent(lambda: refresh(lake, f"features.{name}", declared, END))
    each = []
    for number in range(repeats):
        source.append(day(rng, END + (number - 2) * HOUR, batch, hours=1))  # the first ones come late
        done, took = spent(lambda until=END + number * HOUR: refresh(lake, f"features.{name}", declared, until))
        each.append(took)
        assert done.kind == "incremental"
    return full, Spent(*(statistics.median(column) for column in zip(*each, strict=True)))


def main() -> None:
    """Print both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, boathouse.connect(home=home) as lake:
        found = {}
        for times in (1, 10):
            found[times] = measured(lake, f"events_{times}", given.rows * times, given.batch, given.repeats)
            full, each = found[times]
            print(
                f"{given.rows * times:>9,} rows: full {full.clock:6.2f} s ({full.cpu:6.2f} CPU s), "
                f"{given.batch:,} new rows {each.clock:6.3f} s ({each.cpu:6.3f} CPU s)", flush=True,
            )  # fmt: skip
        (full, few), (larger, more) = found[1], found[10]
        print(f"ten times the table, the same batch: {more.clock / few.clock:.2f}x the time, {more.cpu / few.cpu:.2f}x the CPU "
              "(goal: at most 1.2)")  # fmt: skip
        print(f"and a full refresh: {larger.clock / full.clock:.1f}x the time, {larger.cpu / full.cpu:.1f}x the CPU")


if __name__ == "__main__":
    main()
