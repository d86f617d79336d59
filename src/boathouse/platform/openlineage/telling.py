"""What happened here, as OpenLineage run events."""

import contextlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boathouse import clock
from boathouse.catalog import PRODUCER, Catalog, Lineage, Made, Vocabulary, kind_of, number_of
from boathouse.errors import NotFound
from boathouse.events import Event
from boathouse.jobs import Run, Runs

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset

_ENDS = {"SUCCESS": "COMPLETE", "CANCELED": "ABORT"}
_TYPES = {"model": "MODEL", "volume": "FILE", "file": "FILE"}


class Teller:
    """Makes run events of events. The client's own types are built, so that what it would not send is not sent."""

    def __init__(self, catalog: Catalog, lineage: Lineage, runs: Runs, words: Vocabulary) -> None:
        self._catalog = catalog
        self._lineage = lineage
        self._runs = runs
        self._words = words

    def tell(self, event: Event) -> dict[str, Any] | None:
        """The run event of an event; None where it has none."""
        if event.kind in ("run.started", "run.ended"):
            try:
                run = self._runs.get(str(event.data["run_id"]))
            except NotFound:
                return None
            if run.scratch:
                return None  # tests of a merge request leave nothing behind
            return self._started(run, event.at) if event.kind == "run.started" else self._ended(run)
        if event.kind == "table.updated" and not event.data.get("run_id"):
            return self._written(event)
        return None

    def _started(self, run: Run, at: datetime) -> dict[str, Any]:
        return self._event("START", run.started_at or at, run.id, self._job(run), self._about(run), [])

    def _ended(self, run: Run) -> dict[str, Any]:
        from openlineage.client.facet_v2 import error_message_run

        kind = _ENDS.get(run.state, "FAIL")
        facets = self._about(run)
        if kind == "FAIL":
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(run.reason or run.state, "python")
        made = self._lineage.made(run_id=run.id)
        return self._event(kind, run.ended_at or clock.now(), run.id, self._job(run), facets, made)

    def _written(self, event: Event) -> dict[str, Any] | None:
        """A write outside of any run, as a run of its own."""
        version = str(event.data.get("version"))
        made = self._lineage.made(target=(event.subject, version))
        if not made:
            return None
        job = (f"write.{event.subject}", _job_type("COMMAND"))
        return self._event("COMPLETE", made[-1].at, f"{event.subject}@{version}", job, {}, made)

    def _event(self, kind: str, at: datetime, run_id: str, job: tuple[str, dict[str, Any]], facets: dict[str, Any],
               made: Iterable[Made]) -> dict[str, Any]:  # fmt: skip
        from openlineage.client import event_v2 as ol
        from openlineage.client.serde import Serde

        made = list(made)
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._words.namespace}/{run_id}"))
        event = ol.RunEvent(
            eventType=ol.RunState[kind], eventTime=clock.parse_instant(at).isoformat(), producer=PRODUCER,
            run=ol.Run(runId=number, facets=facets), job=ol.Job(self._words.namespace, *job),
            inputs=self._inputs(made), outputs=self._outputs(made),
        )  # fmt: skip
        told: dict[str, Any] = _named(Serde.to_dict(event))
        return told

    def _job(self, run: Run) -> tuple[str, dict[str, Any]]:
        from openlineage.client.facet_v2 import source_code_location_job

        facets = _job_type("JOB")
        if run.commit_id:
            facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
                type="git", url=f"git:{run.project}@{run.commit_id}", path=run.project, version=run.commit_id
            )
        return f"{run.environment}.{run.job}", facets

    @staticmethod
    def _about(run: Run) -> dict[str, Any]:
        from openlineage.client.facet_v2 import RunFacet, nominal_time_run

        own = {"runId": run.id, "principal": run.principal, "trigger": run.trigger, "dirty": run.dirty}
        facets: dict[str, Any] = {"boathouse": RunFacet().with_additional_properties(**own)}
        if nominal := run.parameters.get("as_of"):
            with contextlib.suppress(ValueError):  # a parameter of the same name may be no time
                facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(clock.parse_instant(nominal).isoformat())
        return facets

    def _inputs(self, made: Iterable[Made]) -> list["InputDataset"]:
        from openlineage.client.event_v2 import InputDataset

        read: dict[str, str | None] = {}
        for source in (s for write in made for s in write.sources):
            if source.node not in read or _order(source.version) > _order(read[source.node]):
                read[source.node] = source.version
        return [
            InputDataset(*self._words.dataset(node), facets=self._facets(node, version))
            for node, version in sorted(read.items())
        ]

    def _outputs(self, made: Iterable[Made]) -> list["OutputDataset"]:
        from openlineage.client.event_v2 import OutputDataset

        written: dict[str, list[Made]] = {}
        for write in made:
            written.setdefault(write.target, []).append(write)
        found = []
        for node, writes in sorted(written.items()):
            facets = self._facets(node, max((w.version for w in writes), key=_order))
            columns = self._words.fields({s.node: s.mapping for w in writes for s in w.sources if s.mapping})
            if columns:
                facets["columnLineage"] = _column_lineage(columns)
            found.append(OutputDataset(*self._words.dataset(node), facets=facets))
        return found

    def _facets(self, node: str, version: str | None) -> dict[str, Any]:
        from openlineage.client.facet_v2 import dataset_type_dataset, dataset_version_dataset, schema_dataset

        facets: dict[str, Any] = {}
        if version is not None:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(version)
        kind = kind_of(node)
        if kind == "table":
            try:
                info = self._catalog.table(node)
            except NotFound:
                return facets  # dropped since
            fields = [schema_dataset.SchemaDatasetFacetFields(c.name, c.type, c.comment or None) for c in info.columns]
            facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
            kind = "VIEW" if info.view is not None else "TABLE"
        if kind != "external":
            facets["datasetType"] = dataset_type_dataset.DatasetTypeDatasetFacet(_TYPES.get(kind, kind.upper()))
        return facets


def _column_lineage(columns: Mapping[str, Iterable[tuple[tuple[str, str], str, str, str]]]) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as cl

    def field(given: tuple[tuple[str, str], str, str, str]) -> cl.InputField:
        (namespace, name), column, kind, how = given
        return cl.InputField(namespace, name, column, [cl.Transformation(kind, how)])

    fields = {output: cl.Fields([field(p) for p in parts]) for output, parts in columns.items() if output}
    return cl.ColumnLineageDatasetFacet(fields=fields, dataset=[field(p) for p in columns.get("", ())])


def _job_type(kind: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import job_type_job

    return {"jobType": job_type_job.JobTypeJobFacet("BATCH", "BOATHOUSE", kind)}


def _named(event: Any) -> Any:
    """The event with our name as the producer of every facet."""
    if isinstance(event, dict):
        return {k: PRODUCER if k == "_producer" else _named(v) for k, v in event.items()}
    return [_named(v) for v in event] if isinstance(event, list) else event


def _order(version: str | None) -> int:
    number = number_of(version)
    return -1 if number is None else number
