"""Column types cross between Arrow, SQL text and Spark's JSON without loss."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.catalog import Column, TableInfo
from boathouse.errors import InvalidInput
from boathouse.lake import column_types
from boathouse.server.unity.columns import arrow_schema, arrow_type, column_infos, partition_columns, spark_type, type_text

SIMPLE = (pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32(), pa.string(),
          pa.binary(), pa.timestamp("us", tz="UTC"), pa.decimal128(12, 3), pa.decimal128(38, 0))  # fmt: skip
TYPES = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        st.builds(pa.map_, st.sampled_from(SIMPLE), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda ts: pa.struct([(f"f{i}", t) for i, t in enumerate(ts)])),
    ),
    max_leaves=6,
)


def table(schema: pa.Schema, **more: Any) -> TableInfo:
    return TableInfo("dev.a.b", "file:///x", tuple(Column(n, t) for n, t in column_types(schema)), "ann", **more)


@given(TYPES)
def test_a_type_comes_back_from_its_json_and_from_its_text(kind: pa.DataType) -> None:
    [info] = column_infos(table(pa.schema([("c", kind)])))
    as_json = {"name": "c", "type_json": info["type_json"]}
    as_text = {"name": "c", "type_text": info["type_text"]}
    assert arrow_schema([as_json]).field("c").type == kind
    assert arrow_schema([as_text]).field("c").type == kind


def test_a_column_is_told_in_all_three_spellings() -> None:
    schema = pa.schema([("id", pa.int64()), ("price", pa.decimal128(8, 2)), ("tags", pa.list_(pa.string()))])
    first, second, third = column_infos(table(schema, primary_keys=("id",), partition_by=("price",)))
    assert (first["type_text"], first["type_name"], first["nullable"]) == ("bigint", "LONG", False)
    assert json.loads(first["type_json"]) == {"name": "id", "type": "long", "nullable": False, "metadata": {}}
    assert (second["type_precision"], second["type_scale"], second["partition_index"]) == (8, 2, 0)
    assert json.loads(third["type_json"])["type"] == {"type": "array", "elementType": "string", "containsNull": True}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("BIGINT", pa.int64()), ("long", pa.int64()), ("integer", pa.int32()), ("varchar(20)", pa.string()),
     ("DECIMAL(10, 2)", pa.decimal128(10, 2)), ("decimal", pa.decimal128(10, 0)), ("timestamp_ntz", pa.timestamp("us")),
     ("struct<a: int, `b`: array<string>>", pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])),
     ("map<string, decimal(4,1)>", pa.map_(pa.string(), pa.decimal128(4, 1)))],
)  # fmt: skip
def test_clients_write_types_in_many_ways(text: str, kind: pa.DataType) -> None:
    assert arrow_type(spark_type(text)) == kind


@pytest.mark.parametrize("text", ["", "geometry", "array<", "array<int", "map<int>", "struct<a>", "decimal(99,2)", "int<int>"])
def test_what_is_no_type_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"no column type|no type"):
        arrow_type(spark_type(text))


def test_columns_need_a_type_that_can_be_read() -> None:
    with pytest.raises(InvalidInput, match="'c'"):
        arrow_schema([{"name": "c", "type_name": "STRUCT"}])
    with pytest.raises(InvalidInput, match="no JSON"):
        arrow_schema([{"name": "c", "type_json": "{"}])


def test_order_and_partitions_follow_the_positions() -> None:
    columns = [{"name": "b", "type_text": "int", "position": 1, "partition_index": 1},
               {"name": "a", "type_text": "int", "position": 0, "partition_index": 0}]  # fmt: skip
    assert arrow_schema(columns).names == ["a", "b"]
    assert partition_columns(columns) == ("a", "b")
    assert type_text({"type": "array", "elementType": "long", "containsNull": True}) == "array<bigint>"
