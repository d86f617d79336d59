"""Endpoints follow the registry: desired versions come from pointers, health is written back as rows."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.environments import Deployments, Sandbox
from boathouse.errors import BoathouseError, NotFound, Unavailable
from boathouse.features import FeatureSpecInfo, FeatureSpecs
from boathouse.jobs import end_process, inherited, process_started
from boathouse.names import parse
from boathouse.registry import CHAMPION, Registry
from boathouse.serving.store import endpoint_states

_log = logging.getLogger(__name__)
SERVER_MODULE = "boathouse.client.serve_model"
_START_SECONDS, _LOAD_SECONDS = 90.0, 180.0
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class EndpointState:
    """An endpoint as it is: which version is wanted, which one answers, where and how well."""

    environment: str
    name: str
    state: str
    model: str
    wanted_version: int | None
    served_version: int | None
    port: int | None
    pid: int | None
    pid_started: str | None
    reason: str | None
    updated_at: datetime


@dataclass(frozen=True)
class Launch:
    """What a model server's process is told: how to reach the platform and where to log."""

    url: str
    token: str
    environment: str
    spool: Path
    log: Path
    scratch: Path
    """Its temporary files, where it has walls."""
    sandbox: Sandbox | None = None


Served = Callable[[str, str, str, int, FeatureSpecInfo | None], None]
"""Hears (environment, endpoint, model or spec, version, the spec where there is no model) of every switch."""


class Endpoints:
    """One process per endpoint: loads beside, switches when the new version answers, keeps the old until then."""

    def __init__(self, database: Database, deployments: Deployments, registry: Registry, specs: FeatureSpecs,
                 launch: Callable[[str, str], Launch], key: str, served: Served = lambda *_: None) -> None:  # fmt: skip
        self._database = database
        self._deployments = deployments
        self._registry = registry
        self._specs = specs
        self._launch = launch
        self.key = key
        self._served = served
        self._processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._wake, self._stop = threading.Event(), threading.Event()
        self._busy, self._starting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._lazily, self._asked = False, set[tuple[str, ...]]()

    def start(self, lazily: bool = False) -> None:
        """Reconcile in the background, every second and whenever woken; lazily only endpoints that are asked for."""
        self._lazily = lazily
        if not lazily:
            self._attend()

    def end_orphans(self) -> None:
        """End model servers that an earlier owner of the home left behind."""
        for state in self.states():
            if state.pid:
                end_process(state.pid, state.pid_started)
        with self._database.writing() as connection:
            connection.execute(endpoint_states.delete())

    def stop(self) -> None:
        """End every model server."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(10)
        for process in self._processes.values():
            end_process(process.pid)
            process.wait()

    def wake(self) -> None:
        """Look at once: a pointer moved."""
        self._wake.set()

    def states(self, environment: str | None = None) -> list[EndpointState]:
        """Endpoints as they are."""
        query = sa.select(endpoint_states).order_by(endpoint_states.c.environment, endpoint_states.c.name)
        with self._database.reading() as connection:
            rows = [EndpointState(**r) for r in connection.execute(query).mappings()]
        return [r for r in rows if environment in (None, r.environment)]

    def state(self, environment: str, name: str) -> EndpointState:
        """One endpoint. Raises NotFound, Unavailable while it starts."""
        self._deployments.resource("model_serving_endpoint", environment, name)
        self._attend(environment, name)
        for found in self.states(environment):
            if found.name == name:
                return found
        raise Unavailable(f"endpoint {environment}.{name} is starting; try again in a moment")

    def end(self, environment: str, name: str) -> None:
        """End the model server of an endpoint that is deployed no more."""
        with self._busy:
            if (environment, name) in self._processes:
                self._end(environment, name)

    def wait_for(self, environment: str, name: str, version: int, seconds: float = 120) -> EndpointState:
        """Block until an endpoint serves a version. Raises NotFound, Unavailable."""
        self._deployments.resource("model_serving_endpoint", environment, name)
        self._attend(environment, name)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.wake()
            found = [s for s in self.states(environment) if s.name == name]
            if found and found[0].served_version == version:
                return found[0]
            time.sleep(0.1)
        raise Unavailable(
            f"endpoint {environment}.{name} does not serve version {version} yet: {found[0].reason if found else 'not started'}"
        )

    def reconcile(self) -> None:
        """Make every endpoint serve what its definition and the registry's pointers say now."""
        with self._busy:
            resources = self._deployments.resources("model_serving_endpoint")
            wanted = {(r.environment, r.name): r.definition for r in resources}
            if self._lazily:
                wanted = {key: definition for key, definition in wanted.items() if key in self._asked}
            for key in [k for k in self._processes if k not in wanted]:
                self._end(*key)
            for (environment, name), definition in wanted.items():
                try:
                    self._follow(environment, name, definition)
                except (BoathouseError, httpx.HTTPError, OSError) as error:
                    self._note(environment, name, state="FAILED", reason=f"{type(error).__name__}: {error}")

    def _attend(self, *asked: str) -> None:
        self._asked.add(asked)
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)
                self._thread.start()

    def _follow(self, environment: str, name: str, definition: dict[str, Any]) -> None:
        model, reference = served_entity(environment, definition)
        spec = self._specs.find(model)
        try:
            version = spec.id if spec else self._registry.resolve(model, reference)
        except NotFound:
            self._note(environment, name, state="WAITING", model=model, reason=f"{model} has no {reference} version yet")
            return
        before = next((s for s in self.states(environment) if s.name == name), None)
        process = self._processes.get((environment, name))
        alive = process is not None and process.poll() is None
        if alive and before and before.served_version == version:
            return
        self._note(environment, name, state="LOADING", model=model, wanted_version=version, reason=None)
        port = before.port if alive and before and before.port else self._begin(environment, name, model, bool(spec))
        _ask(port, self.key, "/load", {"version": version}, _LOAD_SECONDS)
        self._note(environment, name, state="READY", served_version=version, reason=None)
        self._served(environment, name, model, version, spec)

    def _begin(self, environment: str, name: str, model: str, alone: bool) -> int:
        launch = self._launch(environment, name)
        listener = socket()
        listener.bind((_LOOPBACK, 0))
        listener.listen(1024)
        port = int(listener.getsockname()[1])
        read_end, write_end = os.pipe()
        os.write(write_end, f"{launch.token}\n{self.key}".encode())
        os.close(write_end)
        words = ["--endpoint", name, "--model", model, "--environment", environment, "--url", launch.url,
                 "--spool", str(launch.spool), "--socket", str(listener.fileno()),
                 "--secrets", str(read_end), *(["--features-only"] if alone else [])]  # fmt: skip
        argv, environ = [sys.executable, "-P", "-m", SERVER_MODULE, *words], inherited()
        if walls := launch.sandbox:
            argv = walls.around(argv, cwd=str(launch.scratch), scratch=str(launch.scratch))
            environ |= walls.environ
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(), read_end), start_new_session=True, env=environ,
            )  # fmt: skip
        os.close(read_end)
        listener.close()
        self._processes[environment, name] = process
        self._note(environment, name, port=port, pid=process.pid, pid_started=process_started(process.pid))
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit and process.poll() is None:
            try:
                if httpx.get(f"http://{_LOOPBACK}:{port}/ping", timeout=2, trust_env=False).is_success:
                    return port
            except httpx.HTTPError:
                time.sleep(0.1)
        raise Unavailable(f"the model server of {environment}.{name} did not start; its words are in {launch.log}")

    def _end(self, environment: str, name: str) -> None:
        process = self._processes.pop((environment, name))
        end_process(process.pid)
        process.wait()
        here = (endpoint_states.c.environment == environment) & (endpoint_states.c.name == name)
        with self._database.writing() as connection:
            connection.execute(endpoint_states.delete().where(here))

    def _note(self, environment: str, name: str, **values: Any) -> None:
        here = (endpoint_states.c.environment == environment) & (endpoint_states.c.name == name)
        values["updated_at"] = clock.now()
        with self._database.writing() as connection:
            if not connection.execute(endpoint_states.update().where(here).values(**values)).rowcount:
                defaults = {"state": "STARTING", "model": "", **values}
                connection.execute(endpoint_states.insert().values(environment=environment, name=name, **defaults))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.reconcile()
            except Exception:
                _log.exception("endpoints could not be reconciled; the next try comes soon")


def served_entity(environment: str, definition: dict[str, Any]) -> tuple[str, str]:
    """(full name of a model or feature spec, version or alias) that an endpoint's definition asks for."""
    entities = (definition.get("config") or {}).get("served_entities") or [{}]
    name = str(parse(str(entities[0].get("entity_name")), environment))
    return name, str(entities[0].get("entity_version") or CHAMPION)


def _ask(port: int, key: str, path: str, body: dict[str, Any], seconds: float) -> None:
    answer = httpx.post(f"http://{_LOOPBACK}:{port}{path}", json=body, headers={"X-Boathouse-Key": key},
                        timeout=seconds, trust_env=False)  # fmt: skip
    if not answer.is_success:
        raise Unavailable(f"the model server refused: {answer.text[:500]}")
