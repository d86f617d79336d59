"""What MLflow's tracking tables tell of runs, experiments, logged models and traces; MLflow is never imported here."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

# As MLflow 3.17.2 makes them; only the columns used here, and never created from here.
_mlflow = sa.MetaData()
run_tags = sa.Table("tags", _mlflow, sa.Column("run_uuid", sa.Text), sa.Column("key"), sa.Column("value"))
_runs = sa.Table("runs", _mlflow, sa.Column("run_uuid", sa.Text), sa.Column("artifact_uri", sa.Text),
                 sa.Column("experiment_id", sa.Integer))  # fmt: skip
_experiments = sa.Table("experiments", _mlflow, sa.Column("experiment_id", sa.Integer), sa.Column("name", sa.Text))
_experiment_tags = sa.Table(
    "experiment_tags", _mlflow, sa.Column("experiment_id", sa.Integer), sa.Column("key"), sa.Column("value")
)
_traces = sa.Table("trace_info", _mlflow, sa.Column("request_id", sa.Text), sa.Column("experiment_id", sa.Integer))
_trace_tags = sa.Table("trace_tags", _mlflow, sa.Column("request_id", sa.Text), sa.Column("key"), sa.Column("value"))
_logged = sa.Table(
    "logged_models", _mlflow,
    sa.Column("model_id"), sa.Column("artifact_location", sa.Text), sa.Column("source_run_id", sa.Text),
    sa.Column("experiment_id", sa.Integer),
)  # fmt: skip
_logged_tags = sa.Table("logged_model_tags", _mlflow, sa.Column("model_id"), sa.Column("tag_key"), sa.Column("tag_value"))


def artifacts_of(connection: sa.Connection, run_id: str) -> str | None:
    """Where MLflow says that a run's files lie."""
    found = connection.execute(sa.select(_runs.c.artifact_uri).where(_runs.c.run_uuid == run_id)).scalar()
    return str(found) if found else None


def tag_of(connection: sa.Connection, owner: str, key: str) -> str | None:
    """A tag's value on a run, a logged model (`m-…`), a trace (`tr-…`) or an experiment (a number)."""
    if owner.startswith("m-"):
        table, is_owner, name, value = _logged_tags, _logged_tags.c.model_id == owner, "tag_key", "tag_value"
    elif owner.isdigit() and len(owner) < 20:
        table, is_owner, name, value = _experiment_tags, _experiment_tags.c.experiment_id == int(owner), "key", "value"
    elif owner.startswith("tr-"):
        table, is_owner, name, value = _trace_tags, _trace_tags.c.request_id == owner, "key", "value"
    else:
        table, is_owner, name, value = run_tags, run_tags.c.run_uuid == owner, "key", "value"
    found = connection.execute(sa.select(table.c[value]).where(is_owner, table.c[name] == key)).scalar()
    return None if found is None else str(found)


def experiments_named(connection: sa.Connection, names: Iterable[str]) -> tuple[int, ...]:
    """MLflow's numbers of experiments, in order."""
    query = sa.select(_experiments.c.experiment_id).where(_experiments.c.name.in_(list(names)))
    return tuple(connection.execute(query.order_by(_experiments.c.experiment_id)).scalars())


def experiment_of(connection: sa.Connection, owner: str) -> int | None:
    """The experiment of a run, a logged model, a trace or, itself, an experiment."""
    if owner.isdigit() and len(owner) < 20:
        return int(owner)
    table, key = (_logged, "model_id") if owner.startswith("m-") else (_traces, "request_id")
    table, key = (table, key) if owner.startswith(("m-", "tr-")) else (_runs, "run_uuid")
    return connection.execute(sa.select(table.c.experiment_id).where(table.c[key] == owner)).scalar()


def record_of(connection: sa.Connection, run_id: str, prefix: str) -> dict[str, str]:
    """The tags of a run whose keys begin so."""
    query = sa.select(run_tags.c.key, run_tags.c.value).where(run_tags.c.run_uuid == run_id)
    rows = connection.execute(query.where(run_tags.c.key.startswith(prefix)).order_by(run_tags.c.key))
    return {str(row.key): str(row.value) for row in rows}


def logged_model(connection: sa.Connection, model_id: str) -> Any:
    """`artifact_location` and `source_run_id` of a logged model, or None."""
    return connection.execute(sa.select(_logged).where(_logged.c.model_id == model_id)).first()
