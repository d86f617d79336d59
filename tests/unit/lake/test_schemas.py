"""Schemas by name: DDL text, dictionaries, Spark's types."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.lake import normalised, schema_named, sql_type, type_named

TIME = pa.timestamp("us", tz="UTC")
PLAIN = st.sampled_from([
    pa.string(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32(), TIME,
    pa.binary(), pa.decimal128(12, 3),
])  # fmt: skip
TYPES = st.recursive(PLAIN, lambda kinds: st.one_of(
    kinds.map(pa.list_), st.tuples(PLAIN, kinds).map(lambda sides: pa.map_(*sides)),
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}_", fullmatch=True), kinds, min_size=1, max_size=3).map(
        lambda fields: pa.struct(list(fields.items()))),
), max_leaves=5)  # fmt: skip


@given(TYPES)
def test_a_type_is_found_by_the_name_it_is_shown_by(kind: pa.DataType) -> None:
    assert type_named(sql_type(kind)) == kind


def test_ddl_names_columns_and_types() -> None:
    text = "`my place` STRING NOT NULL COMMENT 'town, too', tax DECIMAL(10, 2), n LONG, at TIMESTAMP_NTZ, w ARRAY<STRING>"
    assert schema_named(text) == pa.schema([
        ("my place", pa.string()), ("tax", pa.decimal128(10, 2)), ("n", pa.int64()), ("at", TIME), ("w", pa.list_(pa.string())),
    ])  # fmt: skip


def test_sparks_types_are_taken(spark_client: None) -> None:
    from pyspark.sql import types

    given = types.StructType([types.StructField("id", types.LongType()), types.StructField("at", types.TimestampType())])
    assert schema_named(given) == pa.schema([("id", pa.int64()), ("at", TIME)])


def test_the_schema_of_a_polars_frame_is_taken() -> None:
    polars = pytest.importorskip("polars")
    given = polars.DataFrame(schema={"id": polars.Int64, "shares": polars.List(polars.Float64)}).schema
    assert normalised(schema_named(given)) == pa.schema([("id", pa.int64()), ("shares", pa.list_(pa.float64()))])


@pytest.mark.parametrize("text", ["", "place", "place WOMBAT", "SELECT 1", "n DECIMAL(99, 2)"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        schema_named(text)


def test_a_frame_is_no_name() -> None:
    assert schema_named({"n": [1, 2]}) is None
    assert schema_named(pa.table({"n": [1]})) is None
