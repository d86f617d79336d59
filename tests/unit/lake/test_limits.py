"""Rows beyond memory: they spill, they stream, and what runs out is named."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boathouse.client.engines import engine_within
from boathouse.errors import InvalidInput, LimitExceeded
from boathouse.lake import Engine, Relation, spooled, spooling
from boathouse.settings import load

SORTED = "SELECT i, hash(i) AS h FROM range(5_000_000) r(i) ORDER BY h"


def test_a_query_beyond_the_memory_limit_spills_to_a_folder_that_goes_with_the_engine(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "own", "60MB")
    reader = engine.relation(SORTED).to_reader()
    first = reader.read_next_batch()
    assert list((tmp_path / "own").iterdir())
    assert first.num_rows + sum(batch.num_rows for batch in reader) == 5_000_000
    engine.connection.close()
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("compute", ["to_arrow", "to_pandas", "to_dicts", "to_reader", "to_parquet", "count"])
def test_too_little_memory_is_an_error_that_names_the_setting(tmp_path: Path, compute: str) -> None:
    engine = Engine(memory="60MB")
    engine.connection.execute("SET temp_directory=''")
    ways: dict[str, Callable[[Relation], object]] = {
        "to_reader": lambda rows: rows.to_reader().read_all(),
        "to_parquet": lambda rows: rows.to_parquet(tmp_path / "rows.parquet"),
        "count": lambda rows: rows.filter("n > 0").count(),
    }
    way = ways.get(compute, lambda rows: getattr(rows, compute)())
    with pytest.raises(LimitExceeded, match="memory_limit"):
        way(engine.relation("SELECT i, count(*) AS n FROM range(5_000_000) r(i) GROUP BY i, hash(i)"))


def test_too_little_disk_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "own", "60MB")
    engine.connection.execute("SET max_temp_directory_size='10MB'")
    with pytest.raises(LimitExceeded, match="temp_directory"):
        engine.relation(SORTED).to_arrow()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="temp_directory"):
        Engine(tmp_path / "none" / "such", "60MB").relation(SORTED).to_arrow()


def test_the_settings_bound_the_engine(tmp_path: Path) -> None:
    given = load({"BOATHOUSE_MEMORY_LIMIT": "512MB", "BOATHOUSE_TEMP_DIRECTORY": str(tmp_path / "spill")}, home=str(tmp_path))
    engine = engine_within(given)
    [(limit, folder)] = engine.connection.sql(
        "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
    ).fetchall()
    assert (limit, Path(folder).parent) == ("512.0 MiB", tmp_path / "spill")
    with pytest.raises(InvalidInput, match="memory_limit"):
        engine_within(load({"BOATHOUSE_MEMORY_LIMIT": "much"}, home=str(tmp_path)))


def test_a_relation_goes_into_a_parquet_file_in_its_order(tmp_path: Path) -> None:
    written = Engine().relation("SELECT i FROM range(300_000) r(i) ORDER BY i DESC").to_parquet(tmp_path / "rows.parquet")
    rows = pq.read_table(tmp_path / "rows.parquet")["i"].to_pylist()
    assert (written, rows) == (300_000, list(range(299_999, -1, -1)))


def test_many_rows_that_come_only_once_are_spooled_in_order_and_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_HELD_BYTES", 1 << 20)
    rows = pa.table({"i": pa.array(range(1_000_000), pa.uint32()), "s": ["x", None] * 500_000})
    engine = Engine(tmp_path / "own")
    scan = spooled(engine, pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(10_000)))
    assert engine.relation(f"SELECT * FROM {scan}").types == {"i": "BIGINT", "s": "VARCHAR"}
    moved = engine.relation(f"SELECT count(*) FILTER (WHERE n <> i + 1) AS n FROM (SELECT row_number() OVER () n, i FROM {scan})")
    assert moved.to_dicts() == [{"n": 0}]
    assert list(tmp_path.glob("spool-*/*.parquet"))
    del engine, moved
    assert not list(tmp_path.glob("spool-*"))
