"""Column lineage over a walk: from one column to the columns that it is made of, or that are made of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boathouse.catalog.lineage.columns import ALL_COLUMNS, TRANSFORMATION
from boathouse.catalog.lineage.node import kind_of
from boathouse.catalog.lineage.walk import Walk

Mappings = Mapping[tuple[str, str], list[dict[str, Any] | None]]
"""(source, target) -> the mappings of their edges, None where nothing is known of columns."""


@dataclass(frozen=True)
class ColumnEdge:
    """A column goes into another; `*` stands for all columns of a node, as source where no more is known.

    `how` is IDENTITY, TRANSFORMATION or AGGREGATION; CONDITIONAL, FILTER or WINDOW where the source decides
    which value it is. Where the target is `*` and `how` is FILTER, JOIN, GROUP_BY or SORT, the source decides
    which rows there are; such edges are not followed further.
    """

    source: str
    source_column: str
    target: str
    target_column: str
    how: tuple[str, ...]

    @property
    def decides_rows(self) -> bool:
        """Whether the source decides which rows there are, rather than what stands in them."""
        return bool(_ROWS & set(self.how)) and self.target_column == ALL_COLUMNS


_ROWS = {"FILTER", "JOIN", "GROUP_BY", "SORT"}


def column_edges(walk: Walk, mappings: Mappings, column: str = ALL_COLUMNS) -> list[ColumnEdge]:
    """The steps from a column of the walk's start; from all its columns with `*`."""
    near: dict[str, list[tuple[str, str]]] = {}
    for edge in walk.edges:
        near.setdefault(edge.target if walk.direction == "up" else edge.source, []).append((edge.source, edge.target))
    found: dict[tuple[str, str, str, str], set[str]] = {}
    up = walk.direction == "up"
    waiting, seen = [(walk.start, column)], {(walk.start, column.lower())}
    while waiting:
        node, wanted = waiting.pop()
        pairs = {pair: mappings.get(pair) or [None] for pair in near.get(node, ())}
        inner = _inside(node, wanted, up, pairs.values())
        for pair, known in pairs.items():
            for step in _steps(pair, known, inner, up, wanted):
                found.setdefault((step.source, step.source_column, step.target, step.target_column), set()).update(step.how)
                far = (step.source, step.source_column) if up else (step.target, step.target_column)
                key = (far[0], far[1].lower())
                if not step.decides_rows and key not in seen:
                    seen.add(key)
                    waiting.append(far)
    return sorted((ColumnEdge(*key, tuple(sorted(how))) for key, how in found.items()),
                  key=lambda e: (e.target, e.target_column, e.source, e.source_column))  # fmt: skip


def _inside(node: str, column: str, up: bool, mappings: Iterable[list[dict[str, Any] | None]]) -> str:
    """Inside a model every input goes into its predictions, which no mapping names."""
    if kind_of(node) != "model":
        return column
    inputs = {made.lower() for some in mappings for mapping in some for made in (mapping or {"columns": {}})["columns"]}
    return column if up and column.lower() in inputs else ALL_COLUMNS


def _steps(pair: tuple[str, str], mappings: Iterable[dict[str, Any] | None], column: str, up: bool,
           shown: str) -> Iterator[ColumnEdge]:  # fmt: skip
    """The edges of a pair that concern `column` of the near side; a model's prediction keeps its name, `shown`."""
    source, target = pair
    for mapping in mappings:
        for made, of, how in _values(mapping, column, up):
            if up and column == ALL_COLUMNS != shown:
                yield ColumnEdge(source, of, target, shown, (TRANSFORMATION,))
            else:
                yield ColumnEdge(source, of, target, made, (how,))
        for of, ways in (mapping or {"rows": {}})["rows"].items():
            if up or _same(column, of):
                yield ColumnEdge(source, of, target, ALL_COLUMNS, tuple(ways))


def _values(mapping: dict[str, Any] | None, column: str, up: bool) -> Iterator[tuple[str, str, str]]:
    """(column of the target, column of the source, how) that concern a column of the near side."""
    if mapping is None:
        yield (column, ALL_COLUMNS, TRANSFORMATION) if up else (ALL_COLUMNS, column, TRANSFORMATION)
        return
    for made, parts in mapping["columns"].items():
        for of, how in parts.items():
            if _same(column, made if up else of):
                yield made, of, how


def _same(one: str, other: str) -> bool:
    return ALL_COLUMNS in (one, other) or one.lower() == other.lower()
