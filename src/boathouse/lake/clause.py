"""One clause of a MERGE, in the words of the engine that commits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from boathouse.lake.literals import quoted

SOURCE, TARGET = "source", "target"
"""What expressions call the two sides."""


@dataclass(frozen=True)
class Clause:
    """One WHEN: on rows that are `matched`, `not_matched` by the target, or `not_matched_by_source`.

    `values` are column -> expression for update and insert.
    """

    on: Literal["matched", "not_matched", "not_matched_by_source"]
    action: Literal["update", "delete", "insert"]
    condition: str | None = None
    values: Mapping[str, str] | None = None


def same(keys: Iterable[str]) -> str:
    """SQL: whether rows of source and target have equal keys."""
    return " AND ".join(f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(key)}" for key in keys)


def as_given(columns: Iterable[str]) -> dict[str, str]:
    """Columns of the target, each set to the source's."""
    return {quoted(column): f"{SOURCE}.{quoted(column)}" for column in columns}
