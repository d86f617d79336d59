"""MLflow's tracking store, its writes on our connection, each run in the environment that made it."""

# mypy: allow-untyped-calls, allow-subclassing-any

from typing import Any

from mlflow import MlflowException
from mlflow.entities import ExperimentTag, LoggedModelTag, RunTag, ViewType
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_USER

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.registry.actor import MAY_LOG, Actor, actor
from boathouse.registry.experiment_name import completed_filter, environment_of, full_experiment
from boathouse.registry.mlflow_sessions import Sessions, managed, speaks_mlflow
from boathouse.registry.mlflow_sight import guarded
from boathouse.registry.ownership import ENVIRONMENT_TAG, JOB_RUN_TAG, PRINCIPAL_TAG, check_owner

_KIND = "mlflow.experimentKind"
_OURS = {ENVIRONMENT_TAG, PRINCIPAL_TAG, JOB_RUN_TAG}


class TrackingStore(SqlAlchemyStore):
    """The tracking store behind MLflow's handlers."""

    def __init__(self, database: Database, artifact_root: str, default: Actor | None = None) -> None:
        self._database = database
        self._default = default
        super().__init__(database.url, artifact_root)
        sessions = managed(database, self.ManagedSessionMaker)
        self.ManagedSessionMaker: Sessions = guarded(sessions, lambda: actor(default))

    @speaks_mlflow
    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> Any:
        if artifact_location:  # the server would read any file or bucket on the client's behalf
            raise InvalidInput("leave artifact_location out: artifacts are kept by Boathouse")
        full, where = self._named(name)
        others = _others(tags)
        marks = [ExperimentTag(key, value) for key, value in self._marks(where)]
        if all(tag.key != _KIND for tag in others):  # MLflow's pages open on runs instead of language models' traces
            marks.append(ExperimentTag(_KIND, "custom_model_development"))
        return super().create_experiment(full, None, [*others, *marks])

    @speaks_mlflow
    def get_experiment_by_name(self, experiment_name: str) -> Any:
        full = full_experiment(experiment_name, self._actor)
        named = super().get_experiment_by_name
        return named(full) or (named(experiment_name) if full != experiment_name else None)  # one of before names were full

    @speaks_mlflow
    def search_experiments(
        self, view_type: Any = ViewType.ACTIVE_ONLY, max_results: Any = SEARCH_MAX_RESULTS_DEFAULT, filter_string: Any = None,
        order_by: Any = None, page_token: Any = None,
    ) -> Any:  # fmt: skip
        where = completed_filter(filter_string, self._actor)
        return super().search_experiments(view_type, max_results, where, order_by, page_token)

    @speaks_mlflow
    def rename_experiment(self, experiment_id: Any, new_name: str) -> None:
        self._owned(experiment_id, "MANAGE")
        super().rename_experiment(experiment_id, self._named(new_name)[0])

    @speaks_mlflow
    def delete_experiment(self, experiment_id: Any) -> None:
        self._owned(experiment_id, "MANAGE")
        super().delete_experiment(experiment_id)

    @speaks_mlflow
    def restore_experiment(self, experiment_id: Any) -> None:
        self._owned(experiment_id, "MANAGE")
        super().restore_experiment(experiment_id)

    @speaks_mlflow
    def set_experiment_tag(self, experiment_id: Any, tag: Any) -> None:
        self._owned(experiment_id)
        _check_key(tag.key)
        super().set_experiment_tag(experiment_id, tag)

    @speaks_mlflow
    def delete_experiment_tag(self, experiment_id: Any, key: str) -> None:
        self._owned(experiment_id)
        _check_key(key)
        super().delete_experiment_tag(experiment_id, key)

    @speaks_mlflow
    def create_run(self, experiment_id: Any, user_id: Any, start_time: Any, tags: Any, run_name: Any) -> Any:
        principal = actor(self._default).principal  # MLflow's client would name the account of its machine
        others = [tag for tag in _others(tags) if tag.key != MLFLOW_USER]
        job_run = [(JOB_RUN_TAG, run)] if (run := self._actor.run_id) else []
        marks = [RunTag(key, value) for key, value in [*self._marks(), *job_run, (MLFLOW_USER, principal)]]
        return super().create_run(experiment_id, principal, start_time, [*others, *marks], run_name)

    @speaks_mlflow
    def create_logged_model(
        self, experiment_id: Any, name: Any = None, source_run_id: Any = None, tags: Any = None,
        params: Any = None, model_type: Any = None,
    ) -> Any:  # fmt: skip
        if source_run_id:
            self._owned(source_run_id)
        marks = [LoggedModelTag(key, value) for key, value in self._marks()]
        return super().create_logged_model(experiment_id, name, source_run_id, [*_others(tags), *marks], params, model_type)

    @speaks_mlflow
    def delete_run(self, run_id: str) -> None:
        self._owned(run_id)
        super().delete_run(run_id)

    @speaks_mlflow
    def restore_run(self, run_id: str) -> None:
        self._owned(run_id)
        super().restore_run(run_id)

    @speaks_mlflow
    def set_tag(self, run_id: str, tag: Any) -> None:
        self._check_tag(tag)
        super().set_tag(run_id, tag)

    @speaks_mlflow
    def delete_tag(self, run_id: str, key: str) -> None:
        _check_key(key)
        super().delete_tag(run_id, key)

    @speaks_mlflow
    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        for tag in tags or []:
            self._check_tag(tag)
        super().log_batch(run_id, metrics, params, tags)

    @speaks_mlflow
    def log_logged_model_params(self, model_id: str, params: Any) -> None:
        self._owned(model_id)
        super().log_logged_model_params(model_id, params)

    @speaks_mlflow
    def finalize_logged_model(self, model_id: str, status: Any) -> Any:
        self._owned(model_id)
        return super().finalize_logged_model(model_id, status)

    @speaks_mlflow
    def delete_logged_model(self, model_id: str) -> None:
        self._owned(model_id)
        super().delete_logged_model(model_id)

    @speaks_mlflow
    def set_logged_model_tags(self, model_id: str, tags: Any) -> None:
        self._owned(model_id)
        for tag in tags:
            _check_key(tag.key)
        super().set_logged_model_tags(model_id, tags)

    @speaks_mlflow
    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._owned(model_id)
        _check_key(key)
        super().delete_logged_model_tag(model_id, key)

    @speaks_mlflow
    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        self._owned(trace_id)  # MLflow writes it without a look at the trace
        _check_key(key)
        super().set_trace_tag(trace_id, key, value)

    @speaks_mlflow
    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        self._owned(trace_id)
        _check_key(key)
        super().delete_trace_tag(trace_id, key)

    @speaks_mlflow
    def create_assessment(self, assessment: Any) -> Any:
        self._owned(assessment.trace_id)
        return super().create_assessment(assessment)

    @speaks_mlflow
    def update_assessment(self, trace_id: str, *args: Any, **kwargs: Any) -> Any:
        self._owned(trace_id)
        return super().update_assessment(trace_id, *args, **kwargs)

    @speaks_mlflow
    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        self._owned(trace_id)
        super().delete_assessment(trace_id, assessment_id)

    @speaks_mlflow
    def link_traces_to_run(self, trace_ids: Any, run_id: str) -> None:
        for owner in (run_id, *trace_ids):
            self._owned(owner)
        super().link_traces_to_run(trace_ids, run_id)

    @speaks_mlflow
    def link_prompts_to_trace(self, trace_id: str, prompt_versions: Any) -> None:
        self._owned(trace_id)
        super().link_prompts_to_trace(trace_id, prompt_versions)

    @speaks_mlflow
    def create_dataset(self, name: str, tags: Any = None, experiment_ids: Any = None) -> Any:
        others = {key: value for key, value in (tags or {}).items() if key not in _OURS}
        return super().create_dataset(name, {**others, **dict(self._marks())}, experiment_ids)

    @speaks_mlflow
    def get_dataset_experiment_ids(self, dataset_id: str) -> Any:
        try:
            self.get_dataset(dataset_id)  # what a data set is used in carries no tag of its own
        except MlflowException:
            return []  # as MLflow answers of one that is not there
        return super().get_dataset_experiment_ids(dataset_id)

    @speaks_mlflow
    def set_dataset_tags(self, dataset_id: str, tags: Any) -> None:
        for key in tags:
            _check_key(key)
        super().set_dataset_tags(dataset_id, tags)

    @speaks_mlflow
    def delete_dataset_tag(self, dataset_id: str, key: str) -> None:
        _check_key(key)
        super().delete_dataset_tag(dataset_id, key)

    @speaks_mlflow
    def set_model_versions_tags(self, name: str, version: Any, model_id: str) -> None:
        super().set_model_versions_tags(actor(self._default).full(name), version, model_id)

    def _check_run_is_active(self, run: Any) -> None:
        """MLflow asks this before every write to a run."""
        super()._check_run_is_active(run)
        self._owned(run.run_uuid)

    def _owned(self, owner: Any, privilege: str = "MODIFY") -> None:
        check_owner(self._database, actor(self._default), str(owner), privilege)

    @property
    def _actor(self) -> Actor:
        return actor(self._default)

    def _check_tag(self, tag: Any) -> None:
        """A task's record says which run it is; nobody else says so."""
        if (tag.key, tag.value) != (JOB_RUN_TAG, self._actor.run_id):
            _check_key(tag.key)

    def _named(self, name: str) -> tuple[str, str | None]:
        """An experiment's full name, and the environment that it will belong to. Raises NotPermitted."""
        who = self._actor
        full = full_experiment(name, who)
        where = environment_of(full, who) or who.environment
        if where not in (None, *who.writable()):
            who.denied(who.principal, MAY_LOG[0], str(where))
            raise NotPermitted(f"{who.principal} works in {who.environment} and makes no experiments in {where}",
                               missing={"environment": where, "on": full})  # fmt: skip
        return full, where

    def _marks(self, environment: str | None = None) -> list[tuple[str, str]]:
        who = self._actor
        where = environment or who.environment
        marks = [(PRINCIPAL_TAG, who.principal)]
        return [*marks, (ENVIRONMENT_TAG, where)] if where else marks


def _others(tags: Any) -> list[Any]:
    return [tag for tag in tags or [] if tag.key not in _OURS]


def _check_key(key: str) -> None:
    if key in _OURS:
        raise InvalidInput(f"the tag {key} is written by Boathouse and cannot be changed")
