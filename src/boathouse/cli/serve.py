"""The server, and the installation's health."""

import importlib.metadata
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import end_on_sigterm, options

if TYPE_CHECKING:
    from boathouse.home import Home
    from boathouse.platform import Platform
    from boathouse.server.flight import FlightSql
    from boathouse.settings import Settings


_LOOPBACK = ("127.0.0.1", "localhost")
_PATIENCE = 30.0  # seconds


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(up)
    app.command()(doctor)


def up(
    port: int = typer.Option(8787, "--port", help="the port"),
    host: str = typer.Option("127.0.0.1", "--host", help="an IPv4 address of this machine; beyond loopback only with isolation"),
    join: bool = typer.Option(False, "--join", help="Beside other servers of this home, on PostgreSQL: one leads, all run jobs"),
    flight_port: int | None = typer.Option(None, "--flight-port", help="Arrow Flight SQL for BI tools on this port, too"),
) -> None:
    """The server: API, UI, jobs, MLflow. Other commands and the library on this home then use it."""
    from boathouse import settings
    from boathouse.environments import isolation
    from boathouse.errors import InvalidInput
    from boathouse.home import Home
    from boathouse.platform import Platform
    from boathouse.server import Server

    wanted = settings.load(home=options.home)
    walls = isolation(wanted.isolation)
    if host not in _LOOPBACK and not walls.holds:
        raise InvalidInput(f"without isolation of tasks the server listens on loopback only, not on {host} (isolation is "
                           f"{walls.why}); see docs/how-to/isolation.md")  # fmt: skip
    end_on_sigterm()
    wait_for_session(Home(wanted))
    with Platform(wanted, join=join) as platform:
        server = Server(platform, port, host)
        flight = _flight(platform, flight_port)
        url = server.start(warm=True)
        if platform.home.owned:
            platform.home.publish(url)
        say(f"Boathouse is at {url}  (home {platform.settings.home})")
        if not platform.leading.leads:
            say("It runs jobs beside the server that leads, and leads when that one ends")
        say(f"Isolation of tasks: {walls.why}")
        if host not in _LOOPBACK:
            say(f"It listens on {host}, in plain http: let a proxy with https stand before it")
        say(f"Log in: {url}{platform.operator_link()}  (good once; `boathouse ui` makes another)")
        if flight:
            say(f"Arrow Flight SQL is at {flight.url}")
        say("Ctrl-C ends it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("ending")
        finally:
            if flight:
                flight.stop()
            server.stop()
            if going := platform.runner.detach():
                say(f"{going} runs go on by themselves; the next `boathouse up` takes them up")


def wait_for_session(home: "Home") -> None:
    """Let a command that works on the home by itself end first; whatever takes longer is refused as ever."""
    limit, told = time.monotonic() + _PATIENCE, False
    while (owner := home.other_owner()) and owner.session and time.monotonic() < limit:
        if not told:
            say(f"process {owner.pid} works on {home.path} by itself; waiting for its end, {_PATIENCE:.0f} s at most")
            told = True
        time.sleep(0.1)


def _flight(platform: "Platform", port: int | None) -> "FlightSql | None":
    """Arrow Flight SQL, where it is asked for. Raises PortInUse."""
    if port is None:
        return None
    from boathouse.server.flight import FlightSql

    return FlightSql(platform, port)


def doctor(as_json: bool = JSON) -> None:
    """Check the installation and the home, and say how to mend what is wrong."""
    from boathouse import settings

    wanted = settings.load(home=options.home)
    home = wanted.home
    checks = [
        _python(),
        *(_package(p) for p in ("deltalake", "duckdb", "mlflow", "polars")),
        _git(),
        _disk(home),
        *_home(home),
        _isolation(wanted),
        *_stores(wanted),
        *_online(wanted),
        _engine(wanted),
        *_events(wanted),
    ]
    show(checks, ["check", "ok", "found", "mend"], as_json)
    if not all(c["ok"] for c in checks if c["needed"]):
        raise typer.Exit(1)


def _check(check: str, ok: bool, found: str, mend: str = "", needed: bool = True) -> dict[str, object]:
    return {"check": check, "ok": ok, "found": found, "mend": "" if ok else mend, "needed": needed}


def _python() -> dict[str, object]:
    return _check("Python >= 3.11", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer")


def _package(name: str) -> dict[str, object]:
    needed = name != "polars"
    try:
        return _check(name, True, importlib.metadata.version(name), needed=needed)
    except importlib.metadata.PackageNotFoundError:
        return _check(name, False, "not installed", f"pip install {name}", needed)


def _git() -> dict[str, object]:
    return _check("git", shutil.which("git") is not None, shutil.which("git") or "-", "install git 2.38 or newer")


def _disk(home: Path) -> dict[str, object]:
    place = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    return _check("disk", free > 2, f"{free:.0f} GB free at {place}", "free some space: tables keep their history")


def _engine(wanted: "Settings") -> dict[str, object]:
    """Which engine computes, and whether it answers."""
    from boathouse.errors import BoathouseError
    from boathouse.lake import cluster_at

    try:
        cluster = cluster_at(wanted.engine)
        if cluster is None:
            return _check("engine", True, "duckdb, in this process")
        found = f"{cluster.address} answers, Spark {cluster.session.version}"
        cluster.close()
    except BoathouseError as error:
        return _check("engine", False, wanted.engine, str(error))
    return _check("engine", True, found)


def _events(wanted: "Settings") -> list[dict[str, object]]:
    """Whether each event reached those who follow it. Reading takes no lock on the home."""
    from boathouse.database import Database
    from boathouse.events import list_set_aside

    if wanted.database_url.startswith("sqlite:///") and not Path(wanted.database_url.removeprefix("sqlite:///")).exists():
        return []
    database = Database(wanted.database_url)
    try:
        with database.reading() as connection:
            found = list_set_aside(connection)
    except Exception as error:
        return [_check("events", False, f"{type(error).__name__}: the database did not answer", str(wanted.database_url))]
    finally:
        database.close()
    told = "; ".join(f"{e.id} {e.kind} {e.subject}: {e.error}" for e in found[:3])
    mend = "mend what the error says, then `boathouse events redeliver ID`; `boathouse events list` shows all"
    return [_check("events", not found, f"{len(found)} set aside: {told}" if found else "none was set aside", mend, False)]


def _isolation(wanted: "Settings") -> dict[str, object]:
    """Which walls stand around tasks and model servers."""
    from boathouse.environments import isolation
    from boathouse.errors import InvalidInput

    try:
        found = isolation(wanted.isolation)
    except InvalidInput as error:
        return _check("isolation of tasks", False, wanted.isolation, str(error))
    mend = "see docs/how-to/isolation.md; until then the server listens on loopback only, and everyone trusts every task"
    return _check("isolation of tasks", found.holds, found.why, mend, needed=False)


def _stores(wanted: "Settings") -> list[dict[str, object]]:
    """Whether each store can be written as the server would; one that runs has checked its own."""
    from boathouse.errors import BoathouseError
    from boathouse.home import Home
    from boathouse.lake import storages

    if not wanted.home.exists():
        return [_check("storage", True, f"{wanted.storage}, checked at first use")]
    if Home(wanted).address():
        return [_check("storage", True, "the server that runs checked its own when it started")]
    try:
        found = storages(wanted.storage, wanted.storages, os.environ, wanted.storage_role_arn, wanted.storage_roles)
        found.check(wanted.span("storage_credential_lifetime"))
    except BoathouseError as error:
        return [_check("storage", False, wanted.storage, str(error))]
    return [_check("storage", True, ", ".join(root.url for root in found.roots()))]


def _online(wanted: "Settings") -> list[dict[str, object]]:
    """Whether each environment's online store answers and keeps what it is given."""
    from boathouse.environments import ENVIRONMENTS
    from boathouse.errors import BoathouseError
    from boathouse.features import open_online_store

    found = []
    for environment in ENVIRONMENTS:
        embedded = wanted.online_store == "embedded"
        location = str(wanted.path("online", environment)) if embedded else wanted.online_store
        try:
            found.append(_check(f"online store of {environment}", True, open_online_store(location, environment).check()))
        except BoathouseError as error:
            found.append(_check(f"online store of {environment}", False, "-", str(error)))
    return found


def _home(home: Path) -> list[dict[str, object]]:
    from boathouse.home import Home
    from boathouse.settings import load

    if not home.exists():
        return [_check("home", True, f"{home} is made at first use")]
    writable = os.access(home, os.W_OK)
    found = [_check("home", writable, str(home), "choose another with BOATHOUSE_HOME")]
    address = Home(load(home=str(home))).address()
    found.append(
        _check(
            "server",
            True,
            f"{address.url} (process {address.pid})" if address else "none runs; commands open the home themselves",
        )
    )
    for what, file in (("operator token", home / "secrets" / "operator.token"), ("credentials", home / "credentials.json")):
        if file.exists():
            private = file.stat().st_mode & 0o077 == 0
            found.append(_check(what, private, "private" if private else "readable by others", f"chmod 600 {file}"))
    return found
