"""MLOps on an open lakehouse: code in Git, data in Delta Lake, models in MLflow."""

from typing import TYPE_CHECKING

from boathouse.connector import connect_with

if TYPE_CHECKING:
    from boathouse.client import Lake

__version__ = "0.1.0"
__all__ = ["connect"]


def connect(env: str | None = None, *, home: str | None = None, url: str | None = None, token: str | None = None) -> "Lake":
    """The lakehouse, in one environment: see `boathouse.local.connect`."""
    from boathouse import local

    return local.connect(env, home=home, url=url, token=token)


connect_with(connect)
