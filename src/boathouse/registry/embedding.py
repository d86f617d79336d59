"""MLflow's schema and stores on our database. MLflow is imported inside the functions: it takes seconds."""

# mypy: allow-untyped-calls
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse.registry.actor import Actor
from boathouse.registry.artifacts import ARTIFACTS_ROOT
from boathouse.registry.service import Registry

SCHEMA_REVISION = "dc11669786a5"  # the newest migration of MLflow 3.17.2; kept here so that checking takes no import


def prepare_mlflow(database_url: str, artifact_root: str) -> bool:
    """Make or migrate MLflow's tables and its folder; False when there was nothing to do, and nothing imported.

    The caller owns the home: no other process may migrate at the same time.
    """
    if "://" not in artifact_root:
        Path(artifact_root).mkdir(parents=True, exist_ok=True)
    if _revision(database_url) == SCHEMA_REVISION:
        return False
    with quietly():
        from mlflow.store.db import utils

    for chatty in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # MLflow's own engine: its migrations rebuild tables, which foreign keys would turn into deletions.
    engine = utils.create_sqlalchemy_engine_with_retry(database_url)
    try:
        with quietly():
            (utils._upgrade_db if utils._all_tables_exist(engine) else utils._initialize_tables)(engine)
    finally:
        engine.dispose()
    return True


def mlflow_stores(registry: Registry, default: Actor | None = None, artifact_root: str = "") -> tuple[Any, Any]:
    """MLflow's tracking store and model registry store over the registry's database, which must be prepared.

    They work on behalf of whoever `acting_as` names, or of `default`. Versions are copied below the artifact root.
    """
    with quietly():
        from boathouse.registry.mlflow_store import ModelStore
        from boathouse.registry.mlflow_tracking import TrackingStore

        database = registry.database
        registry.install()
        return TrackingStore(database, ARTIFACTS_ROOT, default), ModelStore(registry, default, artifact_root)


@contextmanager
def quietly() -> Iterator[None]:
    """Import MLflow without its warnings; its mappers warn when first used, so they are set up here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        from sqlalchemy.orm import configure_mappers

        configure_mappers()


def _revision(database_url: str) -> str | None:
    if database_url.startswith("sqlite:///") and not Path(database_url.removeprefix("sqlite:///")).exists():
        return None
    engine = sa.create_engine(database_url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    finally:
        engine.dispose()
