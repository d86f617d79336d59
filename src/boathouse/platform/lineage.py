"""Lineage of what the platform does by itself."""

from collections.abc import Sequence

from boathouse.catalog import Lineage
from boathouse.environments import service_principal
from boathouse.events import Event
from boathouse.features import FeatureSpec, FeatureSpecInfo


class ServedLineage:
    """Notes which version an endpoint answers with, each change as a version of the endpoint."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    def note(self, environment: str, endpoint: str, model: str, versions: Sequence[int], spec: FeatureSpecInfo | None) -> None:
        """An endpoint answers with versions of a model, or with the features of a spec; a restart changes nothing."""
        node = f"endpoint:{environment}.{endpoint}"
        models: list[tuple[str, str | None]] = [(f"model:{model}", str(version)) for version in versions]
        served = models if spec is None else _tables(environment, spec)
        former = self._lineage.versions(node)
        if former and {(e.source, e.source_version) for e in self._lineage.at_version(node, former[-1])} == set(served):
            return
        self._lineage.record(served, (node, self._lineage.next_version(node)), service_principal(environment), None,
                             operation="SERVE", replaces=True)  # fmt: skip


class CopiedLineage:
    """Notes that a version is a copy of another."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    def on_event(self, event: Event) -> None:
        """A version that was copied holds the one it was copied from, and all behind that."""
        source = event.data.get("copied_from")
        if event.kind == "model_version.created" and source:
            made = (f"model:{event.subject}", str(event.data["version"]))
            self._lineage.record([(f"model:{source['model']}", str(source["version"]))], made, event.data["principal"], None,
                                 operation="COPY", replaces=True)  # fmt: skip


def _tables(environment: str, spec: FeatureSpecInfo) -> list[tuple[str, str | None]]:
    names = FeatureSpec.from_yaml(spec.spec).tables
    return [(name if name.count(".") == 2 else f"{environment}.{name}", None) for name in names]
