"""What an actor sees of MLflow's tracking tables: each statement is constrained before it runs, so pages are full.

An experiment, run, logged model, trace or data set carries the environment that made it as a tag; what hangs on one
(metrics, parameters, spans, …) is hidden with it. What carries no tag is everybody's.
"""

# mypy: allow-untyped-calls

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from mlflow.store.tracking.dbmodels import models as tracking
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from boathouse.registry.actor import Actor
from boathouse.registry.mlflow_sessions import Sessions
from boathouse.registry.ownership import ENVIRONMENT_TAG

_TAGS: dict[str, tuple[Any, str, str, str]] = {
    "request_id": (tracking.SqlTraceTag, "request_id", "key", "value"),
    "trace_id": (tracking.SqlTraceTag, "request_id", "key", "value"),
    "model_id": (tracking.SqlLoggedModelTag, "model_id", "tag_key", "tag_value"),
    "run_uuid": (tracking.SqlTag, "run_uuid", "key", "value"),
    "dataset_id": (tracking.SqlEvaluationDatasetTag, "dataset_id", "key", "value"),
    "experiment_id": (tracking.SqlExperimentTag, "experiment_id", "key", "value"),
}
"""A column that names an owner -> the owner's tags, and their columns: owner, key, value. The first that a table has decides."""


_OF_EXPERIMENTS: dict[str, tuple[Any, str] | None] = {
    "request_id": (tracking.SqlTraceInfo, "request_id"), "trace_id": (tracking.SqlTraceInfo, "request_id"),
    "model_id": (tracking.SqlLoggedModel, "model_id"), "run_uuid": (tracking.SqlRun, "run_uuid"), "experiment_id": None,
}  # fmt: skip
"""A column that names an owner -> what of an experiment it is, and its key."""


def guarded(sessions: Sessions, acting: Callable[[], Actor]) -> Sessions:
    """Sessions in which the actor reads what it may see, and changes what it may change; the rest is not there."""

    @contextmanager
    def open_session(read_only: bool = True) -> Iterator[Session]:
        who = acting()
        seen = who.readable() if read_only else who.writable()
        shared = who.shared("SELECT" if read_only else "MODIFY")

        def constrain(statement: ORMExecuteState) -> None:
            if not statement.is_column_load and not statement.is_relationship_load:
                statement.statement = statement.statement.options(*_criteria(seen, shared))

        def mark(session: Session, *_: Any) -> None:
            for made in [row for row in session.new if isinstance(row, tracking.SqlTraceInfo)]:
                for tag in [tag for tag in made.tags if tag.key == ENVIRONMENT_TAG]:
                    tag.value = who.environment
                    break
                else:
                    made.tags.append(tracking.SqlTraceTag(request_id=made.request_id, key=ENVIRONMENT_TAG, value=who.environment))

        with sessions(read_only=read_only) as session:
            event.listen(session, "do_orm_execute", constrain)
            event.listen(session, "before_flush", mark)
            yield session

    return open_session


@lru_cache(maxsize=256)
def _criteria(seen: tuple[str, ...], shared: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(
        with_loader_criteria(entity, sa.and_(*conditions), propagate_to_loaders=False)
        for entity, columns in _owned()
        if (conditions := [_not_hidden(entity, column, seen, shared) for column in columns])
    )


@cache
def _owned() -> Sequence[tuple[Any, tuple[str, ...]]]:
    found = []
    for mapper in tracking.Base.registry.mappers:
        there = [column for column in _TAGS if column in mapper.columns] if mapper.class_.__module__ == tracking.__name__ else []
        if there:
            traced = there[0] in ("request_id", "trace_id") and "experiment_id" in there
            found.append((mapper.class_, (there[0], "experiment_id") if traced else (there[0],)))
    return found


def _not_hidden(entity: Any, column: str, seen: tuple[str, ...], shared: tuple[int, ...]) -> Any:
    tags, owner, key, value = _TAGS[column]
    tag = tags.__table__.alias()
    hidden = (tag.c[owner] == getattr(entity, column), tag.c[key] == ENVIRONMENT_TAG, tag.c[value].not_in(seen))
    owned = ~sa.exists().where(*hidden)
    return sa.or_(owned, _in_experiments(entity, column, shared)) if shared and column in _OF_EXPERIMENTS else owned


def _in_experiments(entity: Any, column: str, shared: tuple[int, ...]) -> Any:
    """Whether what a column names belongs to one of the experiments."""
    named, belongs = getattr(entity, column), _OF_EXPERIMENTS[column]
    if belongs is None:
        return named.in_(shared)
    things = belongs[0].__table__.alias()
    return sa.exists().where(things.c[belongs[1]] == named, things.c.experiment_id.in_(shared))
