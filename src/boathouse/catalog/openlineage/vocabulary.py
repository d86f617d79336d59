"""Names and columns in OpenLineage's words and in ours."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from boathouse.catalog.lineage.columns import ALL_COLUMNS
from boathouse.catalog.lineage.node import external, external_parts, kind_of

PRODUCER = f"urn:boathouse:{version('boathouse')}"
"""Who sends our events; what comes back from elsewhere under this name is our own."""

_OF_ROWS = ("JOIN", "GROUP_BY", "FILTER", "SORT")
_OF_VALUES = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")

Dataset = tuple[str, str]
"""(namespace, name)."""


class Vocabulary:
    """Translates. `namespace` is that of everything of ours."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def dataset(self, node: str) -> Dataset:
        """A node as (namespace, name)."""
        if kind_of(node) == "external":
            return external_parts(node)
        if kind_of(node) == "file":
            return _place(node.removeprefix("file:"))
        return self.namespace, node

    def node(self, namespace: str, name: str) -> str:
        """A dataset as a node."""
        return name if namespace == self.namespace else external(namespace, name)

    def fields(self, sources: Mapping[str, Mapping[str, Any] | None]) -> dict[str, list[tuple[Dataset, str, str, str]]]:
        """Column mappings of several sources -> output column: [(dataset, column, type, subtype)]; `""` for all rows.

        What is not known of columns stays out: OpenLineage has no word for it.
        """
        found: dict[str, list[tuple[Dataset, str, str, str]]] = {}
        for node, mapping in sources.items():
            dataset = self.dataset(node)
            for output, parts in (mapping or {}).get("columns", {}).items():
                for column, how in parts.items():
                    if ALL_COLUMNS not in (column, output):
                        found.setdefault(output, []).append((dataset, column, "DIRECT" if how in _OF_VALUES else "INDIRECT", how))
            for column, ways in (mapping or {}).get("rows", {}).items():
                if column != ALL_COLUMNS:
                    found.setdefault("", []).extend((dataset, column, "INDIRECT", how) for how in ways)
        return found

    def mapping(self, facet: Mapping[str, Any], dataset: Dataset) -> dict[str, Any] | None:
        """What a `columnLineage` facet says of one input; None where it says nothing."""
        columns: dict[str, dict[str, str]] = {}
        rows: dict[str, list[str]] = {}
        for output, field in (facet.get("fields") or {}).items():
            for given in field.get("inputFields") or ():
                if (given.get("namespace"), given.get("name")) == dataset:
                    for how in _ways(given) or [_old_way(field)]:
                        if how in _OF_ROWS:
                            rows.setdefault(given["field"], []).append(how)
                        else:
                            columns.setdefault(output, {})[given["field"]] = how
        for given in facet.get("dataset") or ():
            if (given.get("namespace"), given.get("name")) == dataset:
                rows.setdefault(given["field"], []).extend(w for w in _ways(given) if w in _OF_ROWS)
        return {"columns": columns, "rows": {c: sorted(set(w)) for c, w in rows.items() if w}} if columns or rows else None


def _ways(field: Mapping[str, Any]) -> list[str]:
    """The subtypes of an input field's transformations, in our words."""
    known = (*_OF_VALUES, *_OF_ROWS, "WINDOW", "CONDITIONAL")
    ways = [(t.get("type"), str(t.get("subtype") or "").upper()) for t in field.get("transformations") or ()]
    return [sub if sub in known else "TRANSFORMATION" if kind == "DIRECT" else "FILTER" for kind, sub in ways]


def _old_way(field: Mapping[str, Any]) -> str:
    return "IDENTITY" if field.get("transformationType") == "IDENTITY" else "TRANSFORMATION"


def _place(address: str) -> Dataset:
    """A file's address as namespace and name, as OpenLineage names files."""
    parts = urlsplit(address)
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")
    return "file", parts.path or address
