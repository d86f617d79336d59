"""From one prediction back: request, features as served, version, training run, commit, raw tables."""

import json
from typing import Any

from boathouse.catalog import Catalog, Lineage
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.lake import Engine
from boathouse.registry import Registry

_RECORD = [f"boathouse.{k}" for k in ("git_commit", "git_dirty", "lock_hash", "job_run", "tables", "project")]


class Tracer:
    """Follows identifiers through tables, registry and lineage."""

    def __init__(self, catalog: Catalog, registry: Registry, lineage: Lineage) -> None:
        self._catalog = catalog
        self._registry = registry
        self._lineage = lineage

    def trace(self, identity: Identity, environment: str, prediction_id: str) -> dict[str, Any]:
        """All that is known of a prediction, `request id` or `request id:row`, and may be seen by the identity.

        `hidden` counts the tables and models behind it that may not. Raises NotFound.
        """
        request_id, _, row = prediction_id.partition(":")
        for info in self._catalog.tables(identity):
            if info.name.startswith(f"{environment}.") and info.name.endswith(("_inference", "_payload")):
                self._catalog.access.authorize(identity, "SELECT", "table", info.name)
                if found := self._find(info.name, request_id, row):
                    return self._followed(identity, info.name, found)
        raise NotFound(f"no prediction in {environment} has the id {prediction_id!r}; it may not be flushed or unpacked yet")

    def _find(self, table: str, request_id: str, row: str) -> dict[str, Any] | None:
        engine = Engine()
        scan = engine.scan(self._catalog.folder(table).table())
        quoted = request_id.replace("'", "''")
        where = f"request_id = '{quoted}'" + (f" AND row = {int(row)}" if row.isdigit() and table.endswith("_inference") else "")
        found = engine.relation(f"SELECT * FROM {scan} WHERE {where} LIMIT 1").to_dicts()
        return found[0] if found else None

    def _followed(self, identity: Identity, table: str, found: dict[str, Any]) -> dict[str, Any]:
        model = table.removesuffix("_inference").removesuffix("_payload")
        version = self._registry.version(model, int(found["model_version"]))
        record = self._registry.run_record(version.run_id, _RECORD) if version.run_id else {}
        tables = json.loads(record.get("boathouse.tables", "{}"))
        features = json.loads(found.get("feature_versions") or "{}")
        environment = table.partition(".")[0]
        served = {name if name.count(".") == 2 else f"{environment}.{name}": v for name, v in features.items()}

        learned = {e.source for e in self._lineage.at_version(f"model:{model}", str(version.version))}
        used = {*tables, *served, *learned}
        upstream = {edge.source: edge for name in used for edge in self._lineage.edges(name)}
        raw = {n for n in {*upstream, *used} if not self._lineage.edges(n, depth=1)}
        ends = {end for edge in upstream.values() for end in (edge.source, edge.target)}
        seen = {n for n in ends | used if self._may_see(identity, n)}
        return {
            "prediction": {k: v for k, v in found.items() if k not in ("request", "response", "features")},
            "request": self._request(f"{model}_payload", found["request_id"]),
            "features_from": {n: v for n, v in served.items() if n in seen},
            "model": {"name": model, "version": version.version, "stage": version.stage, "registered_at": version.created_at},
            "training": {"mlflow_run": version.run_id, "commit": record.get("boathouse.git_commit"),
                         "dirty": record.get("boathouse.git_dirty"), "lock_hash": record.get("boathouse.lock_hash"),
                         "job_run": record.get("boathouse.job_run"), "tables": {n: v for n, v in tables.items() if n in seen}},
            "lineage": [f"{e.source}@{e.source_version} -> {e.target}@{e.target_version}"
                        for e in upstream.values() if {e.source, e.target} <= seen],
            "raw_tables": sorted(n for n in raw & seen if not n.startswith("model:")),
            "hidden": len((ends | used) - seen),
        }  # fmt: skip

    def _may_see(self, identity: Identity, node: str) -> bool:
        kind, _, name = node.rpartition(":")
        return self._catalog.visible(identity, "model" if kind == "model" else "table", name)

    def _request(self, bronze: str, request_id: str) -> dict[str, Any] | None:
        """The logged request, where the prediction came through an endpoint."""
        try:
            self._catalog.table(bronze)
        except NotFound:
            return None
        row = self._find(bronze, request_id, "")
        kept = ("request_time", "requester", "endpoint", "status_code", "execution_duration_ms", "request", "response")
        return {k: row[k] for k in kept} if row else None
