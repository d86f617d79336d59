"""Rows as they were found in files: columns of text, or of the file's own types, not yet those of a table."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from boathouse.lake import literals

Kind = Literal["text", "string", "nested", "native"]
"""`text` may mean any type, `string` is known to be no number, `nested` is JSON, `native` has a type of its own."""

Place = tuple[str, int, int]
"""(file, offset, length) of a row in its file's text."""


@dataclass(frozen=True)
class FoundColumn:
    """A column of the input: its clean name, what the files call it, and SQL of its values in the view."""

    name: str
    header: str
    sql: str
    kind: Kind = "text"
    type: pa.DataType | None = None
    structure: Any = None


@dataclass(frozen=True)
class FoundRows:
    """Rows in a view of the staging engine, beside `_file`, `_line`, `_offset` and `_length`.

    `raw` is SQL of a row's raw text; where it is null, `raws` gives it for places that come in order.
    """

    view: str
    columns: tuple[FoundColumn, ...]
    raw: str = "NULL"
    raws: Callable[[Iterable[Place]], Iterator[str]] | None = None
    notes: tuple[str, ...] = ()


def sql_list(texts: Iterable[object]) -> str:
    """Texts as an SQL list."""
    return "[" + ", ".join(literals.text(str(text)) for text in texts) + "]"
