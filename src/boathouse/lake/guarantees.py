"""What the Delta log tells of each data file's rows, as Arrow expressions, so that a scan opens only files it needs.

Loading this costs a second, since Arrow's datasets load pandas: import it where such rows are, not before.
"""

import functools
import operator
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from boathouse.lake.listing import Listing

_MOST_COLUMNS = 32
_ROUNDED_DOWN = timedelta(milliseconds=1)  # how writers keep the latest time


def guarantees(table: DeltaTable, files: Listing) -> list[ds.Expression | None]:
    """For each file of a listing, what holds for all of its rows; None where nothing is known.

    The rules are those of conditions: no bounds on floating-point columns, whose NaN they leave out, and none on decimals.
    """
    actions = pa.table(table.get_add_actions(flatten=True))
    kinds = {f.name: f.type for f in files.schema if f.name not in files.partitions and _is_ordered(f.type)}
    told = [f"{what}.{name}" for name in list(kinds)[:_MOST_COLUMNS] for what in ("min", "max", "null_count")]
    known = actions.select([name for name in ("path", "num_records", *told) if name in actions.column_names])
    bounds = {unquote(row["path"]): row for row in known.to_pylist()}
    return [_told(files, number, kinds, bounds.get(name, {})) for number, name in enumerate(files.names)]


def _told(files: Listing, number: int, kinds: Mapping[str, pa.DataType], row: Mapping[str, Any]) -> ds.Expression | None:
    parts = [
        ds.field(p).is_null() if value is None else ds.field(p) == pa.scalar(value, files.schema.field(p).type)
        for p, value in zip(files.partitions, files.values[number] if files.values else (), strict=True)
    ]
    for name, kind in kinds.items():
        least, most, nulls = (row.get(f"{what}.{name}") for what in ("min", "max", "null_count"))
        if least is None or most is None or nulls is None:
            continue
        most = most + _ROUNDED_DOWN if pa.types.is_timestamp(kind) else most
        for bound in (ds.field(name) >= pa.scalar(least, kind), ds.field(name) <= pa.scalar(most, kind)):
            parts.append(bound if nulls == 0 else bound | ds.field(name).is_null())
    return functools.reduce(operator.and_, parts) if parts else None


def _is_ordered(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_date32(kind) or pa.types.is_timestamp(kind))
