"""Lineage as a caller may see it: names found, walks made into graphs, what is hidden without a name."""

from collections.abc import Iterable
from typing import Literal

from boathouse import names
from boathouse.catalog import (
    ALL_COLUMNS,
    KINDS,
    Catalog,
    Direction,
    Lineage,
    LineageGraph,
    SecurableKind,
    graph_of,
    kind_of,
    name_of,
    number_of,
    veiled,
)
from boathouse.errors import InvalidInput, InvalidName, NotFound
from boathouse.identity import Identity
from boathouse.jobs import Runs

Ways = Literal["up", "down", "both"]
_DEPTH = 50
_SECURABLE: dict[str, SecurableKind] = {"table": "table", "model": "model", "volume": "volume"}


class SeenLineage:
    """Answers questions about lineage under the asker's grants."""

    def __init__(self, catalog: Catalog, lineage: Lineage, runs: Runs) -> None:
        self._catalog = catalog
        self._lineage = lineage
        self._runs = runs

    def find(self, identity: Identity, text: str, environment: str | None = None) -> tuple[str, str | None]:
        """(node, column) that a text names: `schema.table`, `environment.schema.table.column`, `model:…`, `file:…`.

        Two levels are completed by the environment; what was dropped is found while nothing new has its name.
        Raises NotFound, NotPermitted.
        """
        candidates = list(self._candidates(identity, text, environment))
        if not candidates:
            raise InvalidName(f"{text!r} is no name: write schema.object or environment.schema.object, and perhaps .column")
        for node, column in candidates:
            if self._lineage.knows(node) or self._exists(node):
                self._check(identity, node)
                return node, column
        for node, column in candidates:
            if dropped := self._lineage.dropped(node):
                self._check(identity, node)
                return dropped[-1], column
        self._check(identity, candidates[0][0])
        told = f"nothing is named {text}: no table, model, volume, endpoint or column, and no lineage is recorded of it"
        raise NotFound(told, kind="table", name=candidates[0][0])

    def graph(self, identity: Identity, node: str, ways: Ways = "up", *, version: str | None = None,
              depth: int | None = None, column: str | None = None, columns: bool = False) -> LineageGraph:  # fmt: skip
        """What leads to a node or from it. With a version, what that version holds or what holds it.

        With a column only what concerns it; `columns` adds the columns of every edge. Raises InvalidInput for a
        version that is no number.
        """
        number = None if version is None else number_of(version)
        if version is not None and number is None:
            raise InvalidInput(f"{version!r} is no version: versions are numbers")
        directions: tuple[Direction, ...] = ("up", "down") if ways == "both" else (ways,)
        walks = [self._lineage.walk(node, way, number, depth or _DEPTH) for way in directions]
        steps = [s for w in walks for s in self._lineage.columns(w, column or ALL_COLUMNS)] if columns or column else []
        edges = [edge for walk in walks for edge in walk.edges]
        newest = self._lineage.newest({node, *(end for e in edges for end in (e.source, e.target))})
        jobs = self._runs.jobs_of({e.run_id for e in edges if e.run_id})
        graph = graph_of(node, walks, newest, jobs, version=version, column=column, steps=steps)
        hidden = [n.key for n in sorted(graph.nodes, key=lambda n: abs(n.steps)) if not self._catalog.sees(identity, n.key)]
        return veiled(graph, {key: f"(hidden {i})" for i, key in enumerate(hidden, 1)})

    def _candidates(self, identity: Identity, text: str, environment: str | None) -> Iterable[tuple[str, str | None]]:
        kind, mark, rest = text.partition(":")
        if mark and kind not in KINDS:
            raise InvalidInput(f"{kind!r} is no kind of node; write a table's name, or one of {', '.join(KINDS)} and a name")
        if kind in ("file", "external") and mark:
            yield text, None
            return
        place = environment or identity.environment
        levels = (rest if mark else text).split(".")
        if mark and kind == "endpoint":
            yield f"endpoint:{rest if len(levels) > 1 or not place else f'{place}.{rest}'}", None
            return
        kinds = (kind,) if mark else ("table", "model", "volume")
        splits = [(levels, None), *([(levels[:-1], levels[-1])] if len(levels) > 2 else [])]
        for words, column in splits:
            try:
                full = str(names.parse(".".join(words), place, identity.scratch))
            except InvalidName:
                if words is levels and len(levels) < 4:
                    raise
                continue
            for each in kinds:
                yield (full if each == "table" else f"{each}:{full}"), column

    def _exists(self, node: str) -> bool:
        kind = kind_of(node)
        if kind not in _SECURABLE:
            return False
        try:
            self._catalog.require(_SECURABLE[kind], name_of(node))
        except NotFound:
            return False
        return True

    def _check(self, identity: Identity, node: str) -> None:
        if not self._catalog.sees(identity, node):
            kind, name = kind_of(node), name_of(node)
            if kind == "model":
                self._catalog.access.authorize(identity, "EXECUTE", "model", name)
            elif kind == "endpoint":
                self._catalog.access.authorize(identity, "QUERY", "endpoint", name)
            elif kind == "volume":
                self._catalog.access.authorize(identity, "READ VOLUME", "volume", name)
            else:
                self._catalog.access.authorize(identity, "SELECT", "table", name)
