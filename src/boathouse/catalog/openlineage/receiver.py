"""Events of other systems: Airflow, dbt, Spark and whoever speaks OpenLineage tell what they made out of what.

Each event may tell of a part of a run, so datasets are gathered until the run ends well; a run that fails leaves
nothing. Outputs that are tables of ours need MODIFY, others CREATE EXTERNAL METADATA; inputs that the caller may not
see are not taken.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.lineage import Lineage, Source, kind_of
from boathouse.catalog.openlineage.store import open_runs
from boathouse.catalog.openlineage.vocabulary import PRODUCER, Dataset, Vocabulary
from boathouse.catalog.privileges import METASTORE
from boathouse.catalog.service import Catalog
from boathouse.catalog.values import TableInfo
from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity

_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
_FORGOTTEN = timedelta(days=7)
_LONGEST = 512
_MOST_DATASETS = 2000


class Receiver:
    """Takes events. Every method authorizes."""

    def __init__(self, database: Database, catalog: Catalog, lineage: Lineage, vocabulary: Vocabulary) -> None:
        self._database = database
        self._catalog = catalog
        self._lineage = lineage
        self._words = vocabulary

    def take(self, identity: Identity, event: Mapping[str, Any]) -> int:
        """One event; how many edges it left. Raises InvalidInput, NotPermitted.

        Events about a job or a dataset alone, without a run, and our own leave none.
        """
        if "run" not in event or str(event.get("producer")) == PRODUCER:
            return 0
        kind, run_id, job = _checked(event)
        known = self._gathered(identity, run_id)
        for side in ("inputs", "outputs"):
            for given in event.get(side) or ():
                dataset = _dataset(given)
                facets = {**known[side].get("\n".join(dataset), {}), **_facets(given)}
                known[side]["\n".join(dataset)] = facets
        if sum(map(len, known.values())) > _MOST_DATASETS:
            raise InvalidInput(f"run {run_id} names more than {_MOST_DATASETS} datasets; send them by task")
        targets = [self._target(identity, key, facets) for key, facets in known["outputs"].items()]
        if kind in ("ABORT", "FAIL", "COMPLETE"):
            self._forget(identity, run_id)
        else:
            self._keep(identity, run_id, known)
        if kind != "COMPLETE":
            return 0
        return sum(self._record(identity, target, known, run_id, job) for target in targets)

    def _record(self, identity: Identity, target: tuple[str, str | None, Mapping[str, Any]],
                known: Mapping[str, Mapping[str, Any]], run_id: str, job: str) -> int:  # fmt: skip
        node, version, facet = target
        sources = []
        for key, facets in known["inputs"].items():
            dataset = _pair(key)
            source = self._node(dataset, facets)
            if source and self._catalog.sees(identity, source):
                sources.append(Source(source, facets.get("version"), "external", self._words.mapping(facet, dataset)))
        self._lineage.record(sources, (node, version), identity.principal, run_id, operation="EXTERNAL", job=job)
        return len([s for s in sources if s.node != node])

    def _target(self, identity: Identity, key: str, facets: Mapping[str, Any]) -> tuple[str, str | None, Mapping[str, Any]]:
        """(node, version, columnLineage facet) of an output that the caller may write. Raises NotPermitted, NotFound."""
        node = self._node(_pair(key), facets)
        version = facets.get("version")
        if node is None or not self._catalog.sees(identity, node):
            raise NotFound(f"no table is named {_pair(key)[1]} that you may see, and the event says that it is ours")
        if kind_of(node) == "table":
            self._catalog.access.authorize(identity, "MODIFY", "table", node)
            newest = self._catalog.folder(node).version()
            version = version if version and version.isdigit() and int(version) <= newest else str(newest)
        elif kind_of(node) == "external":
            self._catalog.access.authorize(identity, "CREATE EXTERNAL METADATA", "metastore", METASTORE)
        else:
            raise InvalidInput(f"{node} is told of by Boathouse itself: only tables and foreign datasets can be outputs")
        return node, version, facets.get("columnLineage") or {}

    def _node(self, dataset: Dataset, facets: Mapping[str, Any]) -> str | None:
        """One of our tables where the name, a symlink or the place of the files says so; else a foreign dataset.

        None for what should be ours and is not there.
        """
        for namespace, name in (dataset, *map(tuple, facets.get("symlinks") or ())):
            if namespace == self._words.namespace and (kind_of(name) != "table" or self._info(name)):
                return str(name)
            if table := self._table_at(_address(namespace, name)):
                return table
        return None if dataset[0] == self._words.namespace else self._words.node(*dataset)

    def _info(self, name: str) -> TableInfo | None:
        try:
            return self._catalog.table(name)
        except NotFound:
            return None

    def _table_at(self, address: str) -> str | None:
        """The table whose files lie at an address."""
        if not address:
            return None
        names = []
        for environment in self._catalog.securables("catalog"):
            root = self._catalog.storage(environment.name).url.rstrip("/") + "/"
            if address.startswith(root):
                names.append(f"{environment.name}.{address.removeprefix(root).strip('/').replace('/', '.')}")
        names += [name for kind, name in self._catalog.places.inside(address) if kind == "table"]
        found = ((name, self._info(name)) for name in names if name.count(".") == 2)
        return next((n for n, info in found if info and self._catalog.located(n, info.location) == address.rstrip("/")), None)

    def _gathered(self, identity: Identity, run_id: str) -> dict[str, dict[str, Any]]:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(open_runs.c.datasets).where(*_key(identity, run_id))).scalar()
        return {"inputs": dict((row or {}).get("inputs", {})), "outputs": dict((row or {}).get("outputs", {}))}

    def _keep(self, identity: Identity, run_id: str, known: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(open_runs.delete().where(open_runs.c.at < clock.now() - _FORGOTTEN))
            connection.execute(open_runs.delete().where(*_key(identity, run_id)))
            row = {"run_id": run_id, "principal": identity.principal, "datasets": dict(known), "at": clock.now()}
            connection.execute(open_runs.insert().values(**row))

    def _forget(self, identity: Identity, run_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(open_runs.delete().where(*_key(identity, run_id)))


def _key(identity: Identity, run_id: str) -> tuple[Any, Any]:
    """Nobody adds to another's run."""
    return open_runs.c.run_id == run_id, open_runs.c.principal == identity.principal


def _checked(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """(type, run, job) of an event. Raises InvalidInput."""
    run, job = event["run"], event.get("job")
    kind = str(event.get("eventType") or "OTHER")
    run_id = str(run.get("runId") or "") if isinstance(run, Mapping) else ""
    if not run_id or not isinstance(job, Mapping) or not job.get("namespace") or not job.get("name"):
        raise InvalidInput("an OpenLineage run event names run.runId, job.namespace and job.name")
    if kind not in _TYPES:
        raise InvalidInput(f"the event type {kind!r} is unknown; there are {', '.join(_TYPES)}")
    return kind, run_id[:64], f"{job['namespace']}/{job['name']}"[:_LONGEST]


def _dataset(given: Any) -> Dataset:
    """(namespace, name). Raises InvalidInput."""
    if not isinstance(given, Mapping) or not given.get("namespace") or not given.get("name"):
        raise InvalidInput("a dataset of an OpenLineage event has a namespace and a name")
    namespace, name = str(given["namespace"]), str(given["name"])
    if len(namespace) + len(name) > _LONGEST - 16 or "\n" in namespace + name:
        raise InvalidInput(f"the dataset {name[:60]!r} has too long a name")
    return namespace, name


def _facets(given: Mapping[str, Any]) -> dict[str, Any]:
    """The facets that we understand."""
    facets = given.get("facets") or {}
    found: dict[str, Any] = {}
    if said := (facets.get("version") or {}).get("datasetVersion"):
        found["version"] = str(said)[:64]
    if names := (facets.get("symlinks") or {}).get("identifiers"):
        found["symlinks"] = [[str(i.get("namespace")), str(i.get("name"))] for i in names][:20]
    if columns := facets.get("columnLineage"):
        found["columnLineage"] = {"fields": columns.get("fields") or {}, "dataset": columns.get("dataset") or []}
    return found


def _pair(key: str) -> Dataset:
    namespace, _, name = key.partition("\n")
    return namespace, name


def _address(namespace: str, name: str) -> str:
    """Where a dataset lies, as a table's location would say it."""
    if namespace == "file":
        return f"file://{name if name.startswith('/') else f'/{name}'}"
    return unquote(f"{namespace.rstrip('/')}/{name.lstrip('/')}") if "://" in namespace else ""
