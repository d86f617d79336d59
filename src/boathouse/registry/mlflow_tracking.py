"""MLflow's tracking store, its writes on our connection, each run in the environment that made it."""

# mypy: allow-untyped-calls, allow-subclassing-any

from typing import Any

from mlflow.entities import ExperimentTag, LoggedModelTag, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_USER

from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.registry.actor import Actor, actor
from boathouse.registry.mlflow_sessions import Sessions, managed, speaks_mlflow
from boathouse.registry.ownership import ENVIRONMENT_TAG, PRINCIPAL_TAG, check_owner

_KIND = "mlflow.experimentKind"
_OURS = {ENVIRONMENT_TAG, PRINCIPAL_TAG}


class TrackingStore(SqlAlchemyStore):
    """The tracking store behind MLflow's handlers."""

    def __init__(self, database: Database, artifact_root: str, default: Actor | None = None) -> None:
        self._database = database
        self._default = default
        super().__init__(database.url, artifact_root)
        self.ManagedSessionMaker: Sessions = managed(database, self.ManagedSessionMaker)

    @speaks_mlflow
    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> Any:
        if artifact_location:  # the server would read any file or bucket on the client's behalf
            raise InvalidInput("leave artifact_location out: artifacts are kept by Boathouse")
        others = _others(tags)
        marks = [ExperimentTag(key, value) for key, value in self._marks()]
        if all(tag.key != _KIND for tag in others):  # MLflow's pages open on runs instead of language models' traces
            marks.append(ExperimentTag(_KIND, "custom_model_development"))
        return super().create_experiment(name, None, [*others, *marks])

    @speaks_mlflow
    def rename_experiment(self, experiment_id: Any, new_name: str) -> None:
        self._owned(experiment_id)
        super().rename_experiment(experiment_id, new_name)

    @speaks_mlflow
    def delete_experiment(self, experiment_id: Any) -> None:
        self._owned(experiment_id)
        super().delete_experiment(experiment_id)

    @speaks_mlflow
    def restore_experiment(self, experiment_id: Any) -> None:
        self._owned(experiment_id)
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
        marks = [RunTag(key, value) for key, value in [*self._marks(), (MLFLOW_USER, principal)]]
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
        _check_key(tag.key)
        super().set_tag(run_id, tag)

    @speaks_mlflow
    def delete_tag(self, run_id: str, key: str) -> None:
        _check_key(key)
        super().delete_tag(run_id, key)

    @speaks_mlflow
    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        for tag in tags or []:
            _check_key(tag.key)
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
    def set_model_versions_tags(self, name: str, version: Any, model_id: str) -> None:
        super().set_model_versions_tags(actor(self._default).full(name), version, model_id)

    def _check_run_is_active(self, run: Any) -> None:
        """MLflow asks this before every write to a run."""
        super()._check_run_is_active(run)
        self._owned(run.run_uuid)

    def _owned(self, owner: Any) -> None:
        check_owner(self._database, actor(self._default), str(owner))

    def _marks(self) -> list[tuple[str, str]]:
        who = actor(self._default)
        marks = [(PRINCIPAL_TAG, who.principal)]
        return [*marks, (ENVIRONMENT_TAG, who.environment)] if who.environment else marks


def _others(tags: Any) -> list[Any]:
    return [tag for tag in tags or [] if tag.key not in _OURS]


def _check_key(key: str) -> None:
    if key in _OURS:
        raise InvalidInput(f"the tag {key} is written by Boathouse and cannot be changed")
