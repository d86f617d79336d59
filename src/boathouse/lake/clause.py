"""One clause of a MERGE, in the words of the engine that commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
