"""MLflow's registry store with our names, our grants and our one way of moving pointers.

Whatever an MLflow client asks for, by REST or GraphQL, ends in one of these methods: here the model's name
is completed, the actor's privileges are checked, and the change is made in one transaction with its event
and its audit entry.
"""

# mypy: allow-untyped-calls, allow-subclassing-any

import functools
import re
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities.model_registry import ModelVersionTag
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT as VERSIONS_A_PAGE
from mlflow.store.model_registry import SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD as VERSIONS_AT_MOST
from mlflow.store.model_registry import SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT as MODELS_A_PAGE
from mlflow.store.model_registry import SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD as MODELS_AT_MOST
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.validation import _validate_model_version_tag

from boathouse import clock
from boathouse.errors import Conflict, InvalidInput, InvalidName, NotFound, NotPermitted
from boathouse.registry import around, comments, search, store, tracked
from boathouse.registry.actor import MAY_EDIT, MAY_SEE, Actor, actor
from boathouse.registry.alias import check_alias
from boathouse.registry.copies import copied_files, named_version, put_copy
from boathouse.registry.mlflow_entities import conditions, key_of, model_entities, order, token, version_entities
from boathouse.registry.mlflow_sessions import Sessions, managed, speaks_mlflow, tags_of
from boathouse.registry.search import MODELS_ORDER, Condition
from boathouse.registry.service import Registry
from boathouse.registry.values import CHAMPION, PRODUCTION, STAGES, Origin, stage_named

_NAME_FILTER = re.compile(r"(?P<left>(?<![\w.`])`?name`?\s*!?=\s*)(?P<quote>['\"])(?P<name>[^'\"]*)(?P=quote)", re.I)
_CHUNK = 1000
SOURCES = ("mlflow-artifacts", "models", "runs")


def _logged_model(source: str) -> str:
    """The id in `models:/m-…`, else nothing."""
    path = source.removeprefix("models:/")
    return path if path != source and path.startswith("m-") and "/" not in path else ""


def _number(version: Any) -> int:
    if not str(version).isdigit():
        raise InvalidInput(f"{version!r} is no version number")
    return int(version)


class ModelStore(SqlAlchemyStore):
    """The registry behind MLflow's handlers."""

    def __init__(self, registry: Registry, default: Actor | None = None, artifact_root: str = "") -> None:
        super().__init__(registry.database.url)
        self._registry = registry
        self._default = default
        self._artifact_root = artifact_root
        self.ManagedSessionMaker: Sessions = managed(registry.database, self.ManagedSessionMaker)

    # -- what is read

    @speaks_mlflow
    def get_registered_model(self, name: str) -> Any:
        full = self._seen(name)
        with self._registry.database.reading() as connection:
            return model_entities(connection, [self._model(connection, full)])[0]

    @speaks_mlflow
    def get_latest_versions(self, name: str, stages: Any = None) -> Any:
        full, wanted = self._seen(name), [stage_named(stage) for stage in stages or STAGES]
        with self._registry.database.reading() as connection:
            found = around.newest(connection, [full], wanted)
            if not found:
                self._model(connection, full)
            return version_entities(found)

    @speaks_mlflow
    def get_model_version(self, name: str, version: Any) -> Any:
        full, number = self._seen(name), _number(version)
        with self._registry.database.reading() as connection:
            return self._version(connection, full, number)

    @speaks_mlflow
    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        full = self._seen(name)
        if alias.lower() == "latest":
            found = self.get_latest_versions(full)
            if not found:
                raise NotFound(f"Latest version not found for model {full}.")
            return max(found, key=lambda version: int(version.version))
        with self._registry.database.reading() as connection:
            aliases = store.aliases_of(connection, full)
            if alias not in aliases:
                self._model(connection, full)
                raise InvalidInput(f"Registered model alias {alias} not found.")
            return self._version(connection, full, aliases[alias])

    @speaks_mlflow
    def get_model_version_download_uri(self, name: str, version: Any) -> Any:
        return super().get_model_version_download_uri(self._loaded(name), version)

    @speaks_mlflow
    def search_registered_models(
        self, filter_string: Any = None, max_results: Any = MODELS_A_PAGE, order_by: Any = None, page_token: Any = None
    ) -> Any:
        return self._visible(False, filter_string, max_results, order_by, page_token)

    @speaks_mlflow
    def search_model_versions(
        self, filter_string: Any = None, max_results: Any = VERSIONS_A_PAGE, order_by: Any = None, page_token: Any = None
    ) -> Any:
        return self._visible(True, filter_string, max_results, order_by, page_token)

    # -- what is made, described and deleted

    @speaks_mlflow
    def create_registered_model(self, name: str, tags: Any = None, description: Any = None, deployment_job_id: Any = None) -> Any:
        full = self._changed(name, ("CREATE MODEL",))
        with self._registry.database.writing() as connection:
            made = super().create_registered_model(full, tags, description, deployment_job_id)
            self._note(connection, "registered_model.created", full, tags=tags_of(tags), description=description)
            return made

    @speaks_mlflow
    def create_model_version(
        self, name: str, source: str, run_id: Any = None, tags: Any = None, run_link: Any = None,
        description: Any = None, local_model_path: Any = None, model_id: Any = None,
    ) -> Any:  # fmt: skip
        full = self._changed(name, ("CREATE MODEL",))
        if which := named_version(source):
            return self._copied(full, *which, tags, description)
        if urlsplit(source).scheme not in SOURCES and "mlflow.prompt.is_prompt" not in tags_of(tags):
            raise InvalidInput(f"{source} was not logged here; log the model with MLflow first, then register it")
        with self._registry.database.writing() as connection:
            logged = model_id or _logged_model(source)
            found = tracked.logged_model(connection, logged) if logged else None
            if found is None and (model_id or urlsplit(source).scheme == "models"):
                raise NotFound(f"there is no logged model {logged or source}; log the model with MLflow first, then register it")
            if found:  # asked here, since MLflow would ask through a client of its own
                run_id = run_id or found.source_run_id
            location = found.artifact_location if found and _logged_model(source) else source
            number = self._registered(connection, full, location, source, tags, run_id=run_id, run_link=run_link,
                                      description=description)  # fmt: skip
            about = {"source": source, "run_id": run_id or None, "tags": tags_of(tags)}
            self._note(connection, "model_version.created", full, version=number, **about)
            return self._version(connection, full, number)

    def _registered(self, connection: Any, full: str, location: str, source: str, tags: Any, **row: Any) -> int:
        """The number of a new version: MLflow's own store would ask ten statements, and tell nobody who registered it."""
        for tag in tags or ():
            _validate_model_version_tag(tag.key, tag.value)
        row |= {"user_id": self._actor.principal, "source": source, "storage_location": location}
        return store.add_version(connection, full, tags_of(tags), **row)

    @speaks_mlflow
    def copy_version(self, name: str, reference: str, target: str) -> Any:
        """Copy a version to a model of the same or another environment, which is made if it is not there.

        Needs EXECUTE on the version and CREATE MODEL where the copy goes.
        """
        return self._copied(self._changed(target, ("CREATE MODEL",)), name, reference, None, None, make=True)

    def _copied(self, full: str, name: str, reference: str, tags: Any, description: Any, make: bool = False) -> Any:
        source = self._loaded(name)
        found = self._registry.version(source, self._registry.resolve(source, reference))
        if found.status != "READY":
            raise Conflict(f"{source} version {found.version} is {found.status}; only what is READY is copied")
        if tags is None:
            tags = [ModelVersionTag(key, value) for key, value in found.tags.items()]
        with (
            copied_files(found.location, self._artifact_root, full.partition(".")[0]) as (place, digest),
            self._registry.database.writing() as connection,
        ):
            self._version(connection, source, found.version)  # it may have been deleted meanwhile
            if make and not store.lock(connection, full):
                self.create_registered_model(full, None, self._registry.model(source).description)
            uri = f"models:/{source}/{found.version}"
            number = self._registered(connection, full, place, uri, tags, run_id=found.run_id,
                                      description=description or found.description)  # fmt: skip
            record = tracked.record_of(connection, found.run_id, "boathouse.") if found.run_id else {}
            who = self._actor.principal
            origin = Origin(source, found.version, found.run_id, found.creator, record, digest, who, clock.now())
            put_copy(connection, full, number, origin, place)
            about = {"source": uri, "run_id": found.run_id, "tags": tags_of(tags)}
            copied = {"model": source, "version": found.version}
            self._note(connection, "model_version.created", full, version=number, **about, copied_from=copied)
            return self._version(connection, full, number)

    @speaks_mlflow
    def update_registered_model(self, name: str, description: Any, deployment_job_id: Any = None) -> Any:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            made = super().update_registered_model(full, description, deployment_job_id)
            self._note(connection, "registered_model.described", full, description=description)
            return made

    @speaks_mlflow
    def update_model_version(self, name: str, version: Any, description: Any = None) -> Any:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            made = super().update_model_version(full, version, description)
            self._note(connection, "model_version.described", full, version=_number(version), description=description)
            return made

    @speaks_mlflow
    def rename_registered_model(self, name: str, new_name: str) -> Any:
        full, new = self._changed(name, ("MANAGE",)), self._changed(new_name, ("CREATE MODEL",))
        if full.partition(".")[0] != new.partition(".")[0]:
            raise Conflict(f"cannot rename {full} to {new}: a model stays in its environment; register it there")
        with self._registry.database.writing() as connection:
            self._registry.refuse_in_use(connection, full, None, "rename")
            made = super().rename_registered_model(full, new)
            store.rename(connection, full, new)
            comments.follow(connection, full, new)
            self._note(connection, "registered_model.renamed", new, former_name=full)
            return made

    @speaks_mlflow
    def delete_registered_model(self, name: str) -> None:
        self._registry.delete(self._changed(name, ("MANAGE",)), principal=self._actor.principal)

    @speaks_mlflow
    def delete_model_version(self, name: str, version: Any) -> None:
        self._registry.delete(self._changed(name, ("MANAGE",)), _number(version), principal=self._actor.principal)

    @speaks_mlflow
    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            super().set_registered_model_tag(full, tag)
            self._note(connection, "registered_model.tag_set", full, key=tag.key, value=tag.value)

    @speaks_mlflow
    def delete_registered_model_tag(self, name: str, key: str) -> None:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            super().delete_registered_model_tag(full, key)
            self._note(connection, "registered_model.tag_deleted", full, key=key)

    @speaks_mlflow
    def set_model_version_tag(self, name: str, version: Any, tag: Any) -> None:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            super().set_model_version_tag(full, version, tag)
            about = {"version": _number(version), "key": tag.key, "value": tag.value}
            self._note(connection, "model_version.tag_set", full, **about)

    @speaks_mlflow
    def delete_model_version_tag(self, name: str, version: Any, key: str) -> None:
        full = self._changed(name)
        with self._registry.database.writing() as connection:
            super().delete_model_version_tag(full, version, key)
            self._note(connection, "model_version.tag_deleted", full, version=_number(version), key=key)

    # -- what moves

    @speaks_mlflow
    def transition_model_version_stage(self, name: str, version: Any, stage: str, archive_existing_versions: bool) -> Any:
        full, number = self._seen(name), _number(version)
        with self._registry.database.writing() as connection:  # so that what is checked is what is moved
            promotes = stage_named(stage) == PRODUCTION
            leaves = not promotes and any(
                v.stage == PRODUCTION for v in store.list_versions(connection, full, number, bare=True))
            self._actor.change(("PROMOTE",) if promotes or leaves else MAY_EDIT, full)
            if promotes:
                self._registry.check_entry(full, number)
            self._registry.transition(
                full, number, stage, principal=self._actor.principal, reason="through MLflow",
                archive_existing=archive_existing_versions,
            )  # fmt: skip
            return self._version(connection, full, number)

    @speaks_mlflow
    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> None:
        full = self._changed(name, self._for_alias(alias))
        who, number = self._actor.principal, _number(version)
        with self._registry.database.writing():
            if check_alias(alias) == CHAMPION:
                self._registry.check_entry(full, number)
            self._registry.set_alias(full, alias, number, principal=who, reason="through MLflow")

    @speaks_mlflow
    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        full = self._changed(name, self._for_alias(alias))
        if check_alias(alias) in self._registry.model(full).aliases:
            self._registry.delete_alias(full, alias, principal=self._actor.principal, reason="through MLflow")

    # -- who asks, and for what

    @property
    def _actor(self) -> Actor:
        return actor(self._default)

    def _full(self, name: str) -> str:
        if not name:
            raise InvalidName("a model's name is missing: write schema.model or environment.schema.model")
        return self._actor.full(name)

    def _seen(self, name: str) -> str:
        full = self._full(name)
        if not self._actor.may(MAY_SEE, full):
            self._actor.denied(self._actor.principal, MAY_SEE[0], full)
            raise NotFound(f"there is no model {full} that {self._actor.principal} may see")
        return full

    def _loaded(self, name: str) -> str:
        full = self._seen(name)
        if not self._actor.allow("EXECUTE", full):
            self._actor.denied(self._actor.principal, "EXECUTE", full)
            raise NotPermitted(f"{self._actor.principal} lacks EXECUTE on {full}, which loading it takes")
        return full

    def _changed(self, name: str, privileges: tuple[str, ...] = MAY_EDIT) -> str:
        full = self._full(name)
        self._actor.change(privileges, full)
        return full

    @staticmethod
    def _for_alias(alias: str) -> tuple[str, ...]:
        return ("PROMOTE",) if check_alias(alias) == CHAMPION else MAY_EDIT

    def _note(self, connection: Any, kind: str, name: str, **details: Any) -> None:
        self._registry.note(connection, kind, name, self._actor.principal, details)

    def _completed(self, filter_string: str | None) -> str | None:
        def complete(found: re.Match[str]) -> str:
            try:
                name = self._actor.full(found["name"])
            except InvalidName:  # a filter may name what cannot exist; it finds nothing
                name = found["name"]
            return f"{found['left']}{found['quote']}{name}{found['quote']}"

        return _NAME_FILTER.sub(complete, filter_string) if filter_string else filter_string

    @staticmethod
    def _model(connection: Any, full: str) -> Any:
        found = search.find_models(connection, [Condition("name", "=", full)], MODELS_ORDER, None, 1, prompts=True)
        if not found:
            raise NotFound(f"Registered Model with name={full} not found")
        return found[0]

    @staticmethod
    def _version(connection: Any, full: str, number: int) -> Any:
        found = around.version_row(connection, full, number)
        if found is None:
            raise NotFound(f"Model Version (name={full}, version={number}) not found")
        return version_entities([found])[0]

    def _visible(self, versions: bool, filter_string: Any, max_results: Any, order_by: Any, page_token: Any) -> Any:
        """A page of what the actor may see, filled from as much of what there is as it takes."""
        most = VERSIONS_AT_MOST if versions else MODELS_AT_MOST
        if not isinstance(max_results, int) or not 1 <= max_results <= most:
            raise InvalidInput(f"Invalid value for max_results: it must be between 1 and {most}, not {max_results!r}")
        where, prompts = conditions(self._completed(filter_string), versions)
        by = order(order_by, versions)
        find = search.find_versions if versions else search.find_models
        may = functools.cache(functools.partial(self._actor.may, MAY_SEE))
        kept: list[Any] = []
        after, size = key_of(page_token, by), max_results + 1

        def entities(rows: Any) -> Any:
            return version_entities(around.with_tags(connection, rows)) if versions else model_entities(connection, rows)

        with self._registry.database.reading() as connection:
            while True:
                rows = find(connection, where, by, after, size, prompts)
                kept += [row for row in rows if may(row["name"])]
                if len(kept) > max_results:
                    return PagedList(entities(kept[:max_results]), token(kept[max_results - 1], by))
                if len(rows) < size:
                    return PagedList(entities(kept), None)
                after, size = tuple(rows[-1][b.column] for b in by), max(_CHUNK, size)
