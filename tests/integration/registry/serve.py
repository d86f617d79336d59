"""A server with nothing but MLflow behind its guard: `python serve.py HOME DESCRIPTOR`, tokens as in `GRANTS`."""

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
import uvicorn

from boathouse.database import Database
from boathouse.errors import Unauthenticated
from boathouse.registry import Registry
from boathouse.server.mlflow_app import create_mlflow_app

GRANTS = {
    "ada": ("dev", ["USE CATALOG", "CREATE MODEL", "EXECUTE", "PROMOTE", "MANAGE"]),
    "eve": ("dev", ["USE CATALOG", "CREATE MODEL", "EXECUTE"]),
    "bob": ("prod", ["USE CATALOG", "CREATE MODEL", "EXECUTE", "PROMOTE"]),
    "ann": ("dev", ["USE CATALOG", "EXECUTE"]),
    "root": (None, ["USE CATALOG", "CREATE MODEL", "EXECUTE", "PROMOTE", "MANAGE"]),
}


def authenticate(token: str | None) -> Any:
    if token not in GRANTS:
        raise Unauthenticated("a token is needed")
    return SimpleNamespace(principal=token, environment=GRANTS[token][0])


def allow(identity: Any, privilege: str, name: str) -> bool:
    environment, held = GRANTS[identity.principal]
    return privilege in held and environment in (None, name.partition(".")[0])


def main(home: Path, descriptor: int) -> None:
    database = Database(f"sqlite:///{home / 'boathouse.db'}")
    database.create_tables()
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE told (what TEXT, kind TEXT, name TEXT, data TEXT)"))

    def tell(connection: sa.Connection, what: str, kind: str, name: str, data: dict[str, Any]) -> None:
        row = {"what": what, "kind": kind, "name": name, "data": json.dumps(data)}
        connection.execute(sa.text("INSERT INTO told VALUES (:what, :kind, :name, :data)"), row)

    registry = Registry(database, lambda c, kind, name, data: tell(c, "event", kind, name, data), tell)
    app = create_mlflow_app(registry, str(home / "mlflow-artifacts"), authenticate, allow, cookie="session", login_url="/login")
    app.warm_up()
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
