"""SQL that reads a column's text as a type: null, and thereby noticed, where a value does not fit."""

import pyarrow as pa

from boathouse.lake import literals
from boathouse.lake.files import nested
from boathouse.lake.files.dates import ISO, DateShapes
from boathouse.lake.literals import duckdb_type

NUMBER = r"-?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?|-?[iI]nf(inity)?|[nN]a[nN]"
"""A number that no zero leads, since that marks a code: a postcode, an account, a telephone's."""

_WHOLE = r"[+-]?\d+(\.0*)?"


def trimmed(text: str) -> str:
    """SQL of a text without the blanks around it; null where nothing is left."""
    return f"NULLIF(trim({text}), '')"


def trusted(text: str, kind: pa.DataType, dates: DateShapes) -> str:
    """SQL of a type out of an SQL text that is known to fit it."""
    if pa.types.is_integer(kind) or (dates == ISO and pa.types.is_temporal(kind)):
        return f"TRY_CAST({text} AS {duckdb_type(kind)})"
    if pa.types.is_date(kind):
        return f"CAST({dates.instant(text)} AS DATE)"
    return cast(text, kind, dates)


def cast(text: str, kind: pa.DataType, dates: DateShapes) -> str:  # noqa: PLR0911
    """SQL of a type out of an SQL text that is not null. Nothing is rounded to whole numbers or cut to days unseen."""
    if pa.types.is_string(kind):
        return text
    if pa.types.is_binary(kind):
        return f"encode({text})"
    if pa.types.is_integer(kind):
        return f"CASE WHEN regexp_full_match({text}, '{_WHOLE}') THEN TRY_CAST({text} AS {duckdb_type(kind)}) END"
    if pa.types.is_timestamp(kind):
        return dates.instant(text)
    if pa.types.is_date(kind):
        moment = dates.instant(text)
        return f"CASE WHEN date_trunc('day', {moment}) = {moment} THEN CAST({moment} AS DATE) END"
    if pa.types.is_nested(kind):
        return f"CASE WHEN json_valid({text}) THEN json_transform({text}, {literals.text(nested.json_type(kind))}) END"
    return f"TRY_CAST({text} AS {duckdb_type(kind)})"
