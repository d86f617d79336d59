"""Who uses a table, a function, a feature spec or a model: models, endpoints, monitors, feature specs, declared features."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping

from boathouse.catalog import Catalog, SecurableKind, User, inside, kind_of, name_of
from boathouse.environments import Deployments, served_entities
from boathouse.features import KEPT, USES, FeatureSpec, FeatureSpecs, RegisteredFeatures, Uses, columns_of, source_of, uses_of
from boathouse.monitoring import completed
from boathouse.names import is_scratch
from boathouse.registry import InUse, Registry
from boathouse.serving import Endpoints, served_entity

_TABLES = "boathouse.tables"


class FeatureUsers:
    """Answers who would miss something: models that are Production, Staging or served, and what is registered or deployed."""

    def __init__(self, catalog: Catalog, registry: Registry, specs: FeatureSpecs, declared: RegisteredFeatures,
                 deployments: Deployments, endpoints: Endpoints) -> None:  # fmt: skip
        self._catalog = catalog
        self._lineage = catalog.lineage
        self._registry = registry
        self._specs = specs
        self._declared = declared
        self._deployments = deployments
        self._endpoints = endpoints

    def __call__(self, kind: SecurableKind, name: str, columns: Collection[str] = ()) -> list[User]:
        """The users of a table, or of its `columns`; of a function, a declared feature or a feature spec."""
        specs = {text.name for text in self._specs.everyone() if self._spec_uses(text.name, text.spec, kind, name, columns)}
        models = list(self._models(kind, name, columns))
        found = [User("function", spec, "feature spec") for spec in specs]
        if kind == "table":
            found += self._declared_on(name, columns)
        found += [User("model", m.model, "model", _version(m)) for m in models]
        return [*found, *self._serving({*specs, name} if kind == "function" else specs, models)]

    def _spec_uses(self, spec: str, text: str, kind: SecurableKind, name: str, columns: Collection[str]) -> bool:
        return _uses(uses_of(FeatureSpec.from_yaml(text)), kind, name, spec.partition(".")[0], columns)

    def _declared_on(self, table: str, columns: Collection[str]) -> Iterator[User]:
        for feature, definition in self._declared.everyone():
            if _computes_from(definition, feature, table, columns):
                yield User("function", feature, "declared feature")
        for kept in self._catalog.tagged(KEPT):
            definitions = json.loads(kept.tags[KEPT])
            if not is_scratch(kept.name) and any(_computes_from(d, kept.name, table, columns) for d in definitions):
                yield User("table", kept.name, "table of declared features")

    def _models(self, kind: SecurableKind, name: str, columns: Collection[str]) -> Iterable[InUse]:
        served = {(s.model, v) for s in self._endpoints.states() for v in s.versions}
        spans = self._lineage.walk(name, "down", None, 1).spans if kind == "table" else {}
        trained = {name_of(node): of for node, of in spans.items() if kind_of(node) == "model"}
        for found in self._registry.in_use(served, (USES, _TABLES)):
            environment = found.model.partition(".")[0]
            if told := found.record.get(USES):
                if _uses(Uses.from_tag(told), kind, name, environment, columns):
                    yield found
                    continue
                if columns:
                    continue
            if kind == "table" and (
                Uses(_recorded(found.record)).of_table(name, environment)
                or (found.model in trained and inside(found.version, trained[found.model]))
            ):
                yield found

    def _serving(self, specs: Collection[str], models: Iterable[InUse]) -> Iterator[User]:
        states = {(s.environment, s.name): s for s in self._endpoints.states()}
        using = {(m.model, m.version) for m in models}
        for resource in self._deployments.resources("model_serving_endpoint"):
            entity, _ = served_entity(resource.environment, resource.definition)
            state = states.get((resource.environment, resource.name))
            versions = state.versions if state else {v for m, v in using if m == entity}
            if entity in specs or any((entity, version) in using for version in versions):
                yield User("endpoint", f"{resource.environment}.{resource.name}", "endpoint")


class ModelUsers:
    """Answers who would miss a model, or one version of it: endpoints that serve it, monitors that watch it."""

    def __init__(self, deployments: Deployments, endpoints: Endpoints) -> None:
        self._deployments = deployments
        self._endpoints = endpoints

    def __call__(self, model: str, version: int | None) -> set[str]:
        """As `endpoint prod.delay`; monitors watch all of a model's versions, and count for the whole model alone."""
        environment = model.partition(".")[0]
        found = {
            f"endpoint {s.environment}.{s.name}" for s in self._endpoints.states()
            if s.model == model and (version is None or version in s.versions)
        }  # fmt: skip
        for resource in self._deployments.resources("model_serving_endpoint", environment):
            for entity in served_entities(environment, resource.definition):
                if entity.model == model and (version is None or entity.reference == str(version)):
                    found.add(f"endpoint {environment}.{resource.name}")
        return found | (set(self._monitors(environment, model)) if version is None else set())

    def _monitors(self, environment: str, model: str) -> Iterator[str]:
        for resource in self._deployments.resources("quality_monitor", environment):
            beside = self._deployments.resources("registered_model", environment, resource.project)
            watched = completed(resource.definition, {m.key: m.definition for m in beside})["table_name"]
            if watched == f"{model.partition('.')[2]}_inference":
                yield f"monitor {environment}.{resource.name}"


def _version(of: InUse) -> str:
    """Which version of a model, and its stage where it has one."""
    return f"version {of.version}" + (f" ({of.stage})" if of.stage not in ("", "None") else "")


def _computes_from(definition: Mapping[str, object], place: str, table: str, columns: Collection[str]) -> bool:
    """Whether a declared feature, seen from where it is named, is computed from a table, or from one of its `columns`."""
    return Uses({source_of(definition): columns_of(definition)}).of_table(table, place.partition(".")[0], columns)


def _uses(uses: Uses, kind: SecurableKind, name: str, environment: str, columns: Collection[str]) -> bool:
    return uses.of_table(name, environment, columns) if kind == "table" else uses.of_function(name, environment)


def _recorded(record: Mapping[str, str]) -> Mapping[str, Collection[str]]:
    """The tables of a training record."""
    try:
        return dict.fromkeys(json.loads(record.get(_TABLES, "{}")), ())
    except (ValueError, TypeError):
        return {}
