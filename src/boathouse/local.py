"""Connecting: to a server elsewhere, to the one that owns the home, or by opening the home in this process."""

import atexit
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from boathouse import settings
from boathouse.client import Connection, Credentials, Http
from boathouse.errors import HomeInUse
from boathouse.home import Home

if TYPE_CHECKING:
    from boathouse.client import Lake

_PATIENCE, _PAUSE = 30.0, 0.1  # seconds


def connect(env: str | None = None, *, home: str | None = None, url: str | None = None, token: str | None = None) -> "Lake":
    """The lakehouse, in one environment.

    Inside a task the run's own connection is returned. With a URL (argument or BOATHOUSE_URL) a server
    elsewhere is used, under the token that `boathouse login` keeps for it unless another is given. Else, where
    `boathouse up` runs on the home, that server; else this process takes the home's lock and works by itself
    until `close()`. Also points MLflow's client here.
    Raises HomeInUse, NewerHome, Unauthenticated, Unavailable.
    """
    from boathouse import context
    from boathouse.client import Lake

    running = None if home or url else context.in_process()
    if isinstance(running, Lake) and (running.run.run_id or env in (None, running.environment)):
        return running
    wanted = settings.load(home=home, url=url, token=token, env=env)
    http, on_close = reach(wanted)
    try:
        lake = Lake(http, wanted.env, on_close=on_close, engine=wanted.engine, given=wanted)
    except BaseException:
        _let_go(http, on_close)
        raise
    context.use(lake)
    lake.point_mlflow_here()
    atexit.register(lake.close)
    return lake


def connection(env: str | None = None, *, home: str | None = None) -> Connection:
    """The server alone, without what rows need, as `connect` finds it. Raises as that does."""
    wanted = settings.load(home=home, env=env)
    http, on_close = reach(wanted)
    try:
        return Connection(http, wanted.env, on_close=on_close)
    except BaseException:
        _let_go(http, on_close)
        raise


def _let_go(http: Http, on_close: Callable[[], None] | None) -> None:
    # whoever is refused holds no home
    http.close()
    if on_close:
        on_close()


def _served(home: Home, wanted: settings.Settings) -> Http | None:
    """The server of another process that owns the home; one that is starting is waited for."""
    limit = time.monotonic() + _PATIENCE
    while (address := home.address()) is None and (owner := home.other_owner()) and not owner.session:
        if time.monotonic() > limit:
            break
        time.sleep(_PAUSE)
    return Http(address.url, wanted.token or home.operator_token()) if address and address.pid != os.getpid() else None


def reach(wanted: settings.Settings) -> tuple[Http, Callable[[], None] | None]:
    """A connection, and what ends it when this process had to open the home itself."""
    if wanted.url:
        return Http(wanted.url, wanted.token or Credentials(wanted.path("credentials.json")).token(wanted.url)), None
    home = Home(wanted)
    if served := _served(home, wanted):
        return served, None
    from boathouse.platform import Platform
    from boathouse.server import Server

    try:
        platform = Platform(wanted, session=True)
    except HomeInUse:
        if served := _served(home, wanted):  # a server took it while this process was loading
            return served, None
        raise
    try:
        server = Server(platform)
        url = server.start()
    except BaseException:
        platform.close()
        raise

    def close() -> None:
        platform.close()
        server.stop()

    return Http(url, wanted.token or home.operator_token()), close
