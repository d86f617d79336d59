"""MLOps on an open lakehouse: code in Git, data in Delta Lake, models in MLflow."""

from typing import TYPE_CHECKING

from boathouse.connector import connect_with

if TYPE_CHECKING:
    from boathouse.client import Lake
    from boathouse.client.dbutils import DbUtils
    from boathouse.training import tune

    dbutils: DbUtils

__version__ = "0.1.0"
__all__ = ["connect", "dbutils", "tune"]


def connect(env: str | None = None, *, home: str | None = None, url: str | None = None, token: str | None = None) -> "Lake":
    """The lakehouse, in one environment: see `boathouse.local.connect`."""
    from boathouse import local

    return local.connect(env, home=home, url=url, token=token)


def __getattr__(name: str) -> object:
    """`from boathouse import dbutils` and `boathouse.tune`, there when they are asked for."""
    if name == "tune":
        from boathouse.training import tune

        return tune
    if name != "dbutils":
        raise AttributeError(f"module 'boathouse' has no attribute {name!r}")
    from boathouse.client.dbutils import current

    return current()


connect_with(connect)
