"""MLflow's sessions, its writes on our connection: one write lock, one transaction, and no lock upgrades."""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from sqlalchemy import exc
from sqlalchemy.orm import Session

from boathouse.database import Database
from boathouse.errors import BoathouseError

P = ParamSpec("P")
R = TypeVar("R")
Sessions = Callable[..., AbstractContextManager[Session]]

_CODES = {
    400: codes.INVALID_PARAMETER_VALUE,
    401: codes.UNAUTHENTICATED,
    403: codes.PERMISSION_DENIED,
    404: codes.RESOURCE_DOES_NOT_EXIST,
    409: codes.RESOURCE_CONFLICT,
    503: codes.TEMPORARILY_UNAVAILABLE,
}


def managed(database: Database, reading: Sessions) -> Sessions:
    """What MLflow's stores call `ManagedSessionMaker`.

    Reads keep MLflow's own sessions. Writes join `database.writing()`: MLflow opens one write session inside
    another (`log_batch`), which on two connections would wait for itself, and on ours is one transaction.
    """

    @contextmanager
    def sessions(read_only: bool = True) -> Iterator[Session]:
        if read_only:
            with reading(read_only=True) as session:
                yield session
            return
        with (
            spoken_as_mlflow(),
            database.writing() as connection,
            Session(bind=connection, join_transaction_mode="create_savepoint") as session,
        ):
            yield session
            session.commit()

    return sessions


@contextmanager
def spoken_as_mlflow() -> Iterator[None]:
    """Turn our errors, and the database's, into those MLflow's handlers and clients understand."""
    try:
        yield
    except BoathouseError as error:
        raise MlflowException(str(error), _CODES.get(error.http_status, codes.INTERNAL_ERROR)) from error
    except exc.OperationalError as error:
        raise MlflowException(str(error), codes.TEMPORARILY_UNAVAILABLE) from error
    except exc.SQLAlchemyError as error:
        raise MlflowException(str(error), codes.BAD_REQUEST) from error


def speaks_mlflow(method: Callable[P, R]) -> Callable[P, R]:
    """`spoken_as_mlflow` around a method."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with spoken_as_mlflow():
            return method(*args, **kwargs)

    return call


def tags_of(tags: Any) -> dict[str, str]:
    """MLflow's tag entities as a mapping."""
    return {tag.key: tag.value for tag in tags or []}
