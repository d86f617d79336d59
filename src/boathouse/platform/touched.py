"""From one version of a table forward: every version, model, endpoint and prediction that it went into."""

from collections.abc import Iterable
from typing import Any

from boathouse.catalog import NEWEST, Catalog, Lineage, Spans, SqlDesk, Walk, inside, kind_of, name_of, number_of
from boathouse.errors import InvalidInput
from boathouse.identity import Identity

_INFERENCE = "_inference"


class Touched:
    """Answers what a version of a table has touched."""

    def __init__(self, catalog: Catalog, lineage: Lineage, desk: SqlDesk) -> None:
        self._catalog = catalog
        self._lineage = lineage
        self._desk = desk

    def of(self, identity: Identity, table: str, version: int) -> dict[str, Any]:
        """Tables and models with their versions, endpoints, and the number of predictions, by inference table.

        A later version of a table counts while it still holds what the version held. `hidden` counts what the
        caller may not see. Raises InvalidInput for a version that is not there yet.
        """
        newest = self._catalog.folder(table).version()
        if version > newest:
            raise InvalidInput(f"{table} has no version {version}; its newest is {newest}")
        walk = self._lineage.walk(table, "down", version)
        seen = [node for node in walk.spans if node != table and self._catalog.sees(identity, node)]
        of_kind = {kind: [n for n in seen if kind_of(n) == kind] for kind in ("table", "model", "endpoint")}
        return {
            "table": table, "version": version, "newest": newest,
            "holding": _ranges(v for v in range(version, newest + 1) if inside(v, walk.spans[table])),
            "tables": {n: self._versions(walk, n) for n in of_kind["table"]},
            "models": {name_of(n): self._versions(walk, n) for n in of_kind["model"]},
            "endpoints": [name_of(n) for n in of_kind["endpoint"]],
            "predictions": self._predictions(identity, walk, of_kind["table"]),
            "hidden": len(walk.spans) - 1 - len(seen),
        }  # fmt: skip

    def _versions(self, walk: Walk, node: str) -> str:
        """The versions of a node that hold something of it, as ranges."""
        numbers = (number_of(v) for v in self._lineage.versions(node))
        return _ranges(n for n in numbers if n is not None and inside(n, walk.spans[node]))

    def _predictions(self, identity: Identity, walk: Walk, tables: Iterable[str]) -> dict[str, int]:
        """How many rows of each inference table were predicted by a touched model version or from a touched feature table."""
        found = {}
        for table in tables:
            if table.endswith(_INFERENCE) and self._catalog.access.allows(identity, "SELECT", "table", table):
                condition = " OR ".join(_conditions(walk, table)) or "false"
                query = f"SELECT count(*) AS n FROM {table} WHERE {condition}"
                with self._desk.run(identity, query, table.partition(".")[0]) as result:
                    found[table] = int(result.to_dicts()[0]["n"])
        return found


def _conditions(walk: Walk, table: str) -> Iterable[str]:
    model = f"model:{table.removesuffix(_INFERENCE)}"
    for first, last in walk.spans.get(model, ()):
        yield f"model_version::BIGINT BETWEEN {first} AND {last}"
    environment = table.partition(".")[0]
    for node, spans in walk.spans.items():
        if kind_of(node) == "table" and node.startswith(f"{environment}."):
            yield from (_served(written, spans) for written in (node, node.partition(".")[2]))


def _served(written: str, spans: Spans) -> str:
    """The prediction saw a table, as its spec writes the name, at one of these versions."""
    version = f"TRY_CAST(json_extract_string(feature_versions, '$.\"{written}\"') AS BIGINT)"
    return "(" + " OR ".join(f"{version} BETWEEN {first} AND {min(last, NEWEST)}" for first, last in spans) + ")"


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in order, runs of them as `first-last`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
