"""Files are left out only when no row in them can meet the condition."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boathouse.lake import DeltaFolder, Engine
from boathouse.lake.snapshot import data_files

START = datetime(2020, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema([
    ("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("t", pa.timestamp("us", "UTC")), ("d", pa.date32()),
    ("m", pa.decimal128(30, 3)), ("p", pa.string()), ("late", pa.int32()),
])  # fmt: skip
NUMBERS = st.sampled_from([None, -3, 0, 1, 2, 7, 2**40])


def row(n: int | None, f: float | None, p: str | None) -> dict[str, Any]:
    return {
        "i": n, "f": f, "s": None if n is None else f"{n:03}" + "x" * 70, "p": p, "late": n and n % 100,
        "t": None if n is None else START + timedelta(microseconds=n), "d": None if n is None else date(2020, 1, 1 + n % 28),
        "m": None if n is None else Decimal(n) * 10**12 + Decimal("0.001"),
    }  # fmt: skip


ROWS = st.builds(
    row, NUMBERS, st.sampled_from([None, 0.5, 2.0, float("nan"), float("inf")]), st.sampled_from([None, "a", "b/c", "%20"])
)
COMPARED = st.sampled_from(["=", "<", "<=", ">", ">=", "!=", "is distinct from"])
ATOMS = st.one_of(
    st.builds("i {} {}".format, COMPARED, st.sampled_from([0, 1, "-3", "1.5", "'7'", "7 + 1", 2**40])),
    st.builds("{1} {0} F".format, COMPARED, st.sampled_from(["2.0", "0.5", "'nan'::double", "1e400"])),
    st.builds("s {} '{}'".format, COMPARED, st.sampled_from(["001", "002" + "x" * 70, "007" + "x" * 64, "zzz"])),
    st.builds("t {} {}".format, COMPARED, st.sampled_from(
        ["'2020-01-01 00:00:00.000001'", "timestamptz '2020-01-01 00:00:00.000002+00'", "date '2020-01-02'"])),
    st.builds("d {} {}".format, COMPARED, st.sampled_from(["'2020-01-03'", "date '2020-01-08'", "timestamp '2020-01-02 12:00'"])),
    st.builds("p {} '{}'".format, COMPARED, st.sampled_from(["a", "b/c", "b", "%20"])),
    st.sampled_from([
        "i is null", "i is not null", "not s is null", "p is null", "p like 'b%'", "p in ('a', 'x')", "i in (1, 7)",
        "i between 0 and 2", "f between 0.5 and 3", "f between 3 and 'nan'::double", "i not in (1)", "length(s) = 73",
        "late = 7", "m > 1000000000000", "m = 1000000000000.001", "i % 2 = 1", "upper(p) = 'A'", "p = s", "true", "null",
        "p || 'x' = 'ax'", "coalesce(p, 'none') = 'none'",
        "p || random() is null", "case p when 'a' then i = 1 end", "p not in ('a')", "p ~ 'b.*'",
        "case p when 'a' then true end",
        "i = any([1, 2])", "(select max(i) from range(1) r(i)) = 0",
    ]),
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner), st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DeltaFolder:
    made = DeltaFolder((tmp_path_factory.mktemp("pruned") / "t").as_uri(), "dev.raw.t")
    made.create(pa.schema([f for f in SCHEMA if f.name != "late"]), partition_by=["p"])
    return made


FILES = st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=3)


@given(files=FILES, conditions=st.lists(CONDITIONS, max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_row_that_meets_a_condition_is_lost(
    folder: DeltaFolder, files: list[list[dict[str, Any]]], conditions: list[str]
) -> None:
    folder.delete()
    for rows in files:
        folder.append(pa.Table.from_pylist(rows, SCHEMA), evolve=True)
    engine, table = Engine(), folder.table()
    for condition in conditions:
        query = f"SELECT * FROM {{}} WHERE {condition} ORDER BY ALL"
        assert str(engine.relation(query.format(engine.scan(table, condition))).to_dicts()) == str(
            engine.relation(query.format(engine.scan(table))).to_dicts()
        )


def opened(folder: DeltaFolder, where: str) -> int:
    files = data_files(folder.table(), where)
    assert files is not None
    return len(files.names)


@pytest.mark.parametrize(
    ("where", "files"),
    [
        ("n = 5", 1), ("n < 10", 1), ("n >= 25 AND other = 3", 1), ("n BETWEEN 12 AND 21", 2), ("n IN (1, 29)", 2),
        ("N = 5 OR n = 15", 2), ("n = 5 OR other = 3", 3), ("5 = n", 1), ("n > 30", 0), ("n IS NULL", 0),
        ("t < '2020-01-02'", 1), ("day = DATE '2020-01-03'", 1), ("month(day) = 2", 0), ("n + 0 = 5", 3),
        ("n = 5; SELECT 1", 3), ("nonsense", 3), ("n = 5 LIMIT 1", 3),
    ],
)  # fmt: skip
def test_only_the_files_that_may_hold_wanted_rows_are_opened(tmp_path: Path, where: str, files: int) -> None:
    folder = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    schema = pa.schema([("n", pa.int64()), ("other", pa.int64()), ("t", pa.timestamp("us", "UTC")), ("day", pa.date32())])
    folder.create(schema, partition_by=["day"])
    for day in range(3):
        at = START + timedelta(days=day)
        folder.append({"n": [day * 10 + n for n in range(10)], "other": range(10), "t": [at] * 10, "day": [at.date()] * 10})
    assert opened(folder, where) == files
