"""From one prediction back: request, features as served, version, training run, commit, raw tables."""

import json
from collections.abc import Iterable
from typing import Any

from boathouse.catalog import Catalog, Lineage, LineageEdge, SqlDesk, TableInfo, kind_of
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.registry import Registry

_RECORD = [f"boathouse.{k}" for k in ("git_commit", "git_dirty", "lock_hash", "job_run", "tables", "project")]


def _columns(info: TableInfo) -> set[str]:
    return {column.name for column in info.columns}


class Tracer:
    """Follows identifiers through tables, registry and lineage."""

    def __init__(self, catalog: Catalog, registry: Registry, lineage: Lineage, desk: SqlDesk) -> None:
        self._catalog = catalog
        self._registry = registry
        self._lineage = lineage
        self._desk = desk

    def trace(self, identity: Identity, environment: str, prediction_id: str) -> dict[str, Any]:
        """All that is known of a prediction, `request id` or `request id:row`, and may be seen by the identity.

        Its lineage is that of the very versions that it saw. `hidden` counts the tables and models behind it that
        may not be seen. Raises NotFound.
        """
        request_id, _, row = prediction_id.partition(":")
        for info in self._catalog.tables(identity, catalog=environment):
            logged = info.name.endswith(("_inference", "_payload")) and {"request_id", "model_version"} <= _columns(info)
            if logged and self._reads(identity, info.name) and (found := self._find(identity, info.name, request_id, row)):
                return self._followed(identity, info.name, found)
        raise NotFound(f"no prediction in {environment} has the id {prediction_id!r}; it may not be flushed or unpacked yet")

    def _reads(self, identity: Identity, table: str) -> bool:
        return self._catalog.access.allows(identity, "SELECT", "table", table)

    def _find(self, identity: Identity, table: str, request_id: str, row: str) -> dict[str, Any] | None:
        """The row as the caller may read it."""
        single = f" AND row = {int(row)}" if row.isdigit() and table.endswith("_inference") else ""
        query = f"SELECT * FROM {table} WHERE request_id = ?{single} LIMIT 1"
        with self._desk.run(identity, query, table.partition(".")[0], parameters=[request_id]) as result:
            found = result.to_dicts()
        return found[0] if found else None

    def _followed(self, identity: Identity, table: str, found: dict[str, Any]) -> dict[str, Any]:
        model = table.removesuffix("_inference").removesuffix("_payload")
        version = self._registry.version(model, int(found["model_version"]))
        origins = self._registry.origins(model, version.version)
        record = self._registry.run_record(version.run_id, _RECORD) if version.run_id else {}
        record = record or (dict(origins[-1].record) if origins else {})
        tables = json.loads(record.get("boathouse.tables", "{}"))
        features = json.loads(found.get("feature_versions") or "{}")
        environment = table.partition(".")[0]
        served = {name if name.count(".") == 2 else f"{environment}.{name}": v for name, v in features.items()}

        began = {f"model:{model}": version.version, **{n: int(v) for n, v in served.items()}}
        edges = [e for node, number in began.items() for e in self._lineage.walk(node, "up", number).edges]
        made = {e.target for e in edges}
        nodes = {*served, *tables, *(e.source for e in edges)} | made - {f"model:{model}"}
        seen = {n for n in nodes | {f"model:{model}"} if self._catalog.sees(identity, n)}
        return {
            "prediction": {k: v for k, v in found.items() if k not in ("request", "response", "features")},
            "request": self._request(identity, f"{model}_payload", found["request_id"]),
            "features_from": {n: v for n, v in served.items() if n in seen},
            "model": {"name": model, "version": version.version, "stage": version.stage, "registered_at": version.created_at,
                      "copied_from": [{"name": o.model, "version": o.version, "by": o.principal, "at": o.at}
                                      for o in origins if f"model:{o.model}" in seen]},
            "training": {"mlflow_run": version.run_id, "commit": record.get("boathouse.git_commit"),
                         "dirty": record.get("boathouse.git_dirty"), "lock_hash": record.get("boathouse.lock_hash"),
                         "job_run": record.get("boathouse.job_run"), "tables": {n: v for n, v in tables.items() if n in seen}},
            "lineage": _steps(edges, seen),
            "raw_tables": sorted(n for n in nodes - made if n in seen and kind_of(n) != "model"),
            "hidden": len(nodes - seen),
        }  # fmt: skip

    def _request(self, identity: Identity, bronze: str, request_id: str) -> dict[str, Any] | None:
        """The logged request, where the prediction came through an endpoint and the caller may read it."""
        try:
            self._catalog.table(bronze)
        except NotFound:
            return None
        row = self._find(identity, bronze, request_id, "") if self._reads(identity, bronze) else None
        kept = ("request_time", "requester", "endpoint", "status_code", "execution_duration_ms", "request", "response")
        return {k: row[k] for k in kept} if row else None


def _steps(edges: Iterable[LineageEdge], seen: set[str]) -> list[str]:
    """Each step once; one table may stand at two versions, that of training and that of serving."""
    steps = {(e.target, e.source, f"{_at(e.source, e.source_version)} -> {_at(e.target, e.target_version)}")
             for e in edges if {e.source, e.target} <= seen}  # fmt: skip
    return [text for _, _, text in sorted(steps)]


def _at(node: str, version: str | None) -> str:
    return node if version is None else f"{node}@{version}"
