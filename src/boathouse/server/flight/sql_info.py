"""What this server can do, in the numbers that Flight SQL gives to such facts."""

import importlib.metadata
from collections.abc import Collection
from typing import Any

import pyarrow as pa

_VALUE = pa.dense_union([
    pa.field("string_value", pa.string()), pa.field("bool_value", pa.bool_()), pa.field("bigint_value", pa.int64()),
    pa.field("int32_bitmask", pa.int32()), pa.field("string_list", pa.list_(pa.string())),
    pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
])  # fmt: skip
SCHEMA = pa.schema([pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", _VALUE, nullable=False)])

_STRING, _BOOL, _NUMBER, _MASK = range(4)
_NO_TRANSACTIONS, _CASE_INSENSITIVE, _QUOTED_AS_WRITTEN = 0, 1, 3


def _facts() -> dict[int, tuple[int, Any]]:
    return {
        0: (_STRING, "Boathouse"), 1: (_STRING, importlib.metadata.version("boathouse")), 2: (_STRING, pa.__version__),
        3: (_BOOL, True),  # read only: tables are changed through our own API
        4: (_BOOL, True), 5: (_BOOL, False),  # SQL, no Substrait
        8: (_MASK, _NO_TRANSACTIONS), 9: (_BOOL, True),  # queries can be cancelled
        500: (_BOOL, False), 501: (_BOOL, False), 502: (_BOOL, False),  # no CREATE of catalogs, schemas, tables
        503: (_NUMBER, _CASE_INSENSITIVE), 504: (_STRING, '"'), 505: (_NUMBER, _QUOTED_AS_WRITTEN),
    }  # fmt: skip


def sql_info(wanted: Collection[int] = ()) -> pa.Table:
    """The facts with these numbers, or all."""
    facts = {number: fact for number, fact in _facts().items() if not wanted or number in wanted}
    children = [[v for _, (k, v) in facts.items() if k == kind] for kind in range(len(_VALUE))]
    places = [sum(1 for k, _ in list(facts.values())[:i] if k == kind) for i, (kind, _) in enumerate(facts.values())]
    value = pa.UnionArray.from_dense(
        pa.array([kind for kind, _ in facts.values()], pa.int8()), pa.array(places, pa.int32()),
        [pa.array(given, field.type) for given, field in zip(children, _VALUE, strict=True)], [f.name for f in _VALUE],
    )  # fmt: skip
    return pa.table([pa.array(list(facts), pa.uint32()), value], schema=SCHEMA)
