"""Endpoints follow the registry: desired versions come from pointers and rollouts, health is written back as rows."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from boathouse.database import Database
from boathouse.delivery import Rollouts
from boathouse.environments import Deployments, Resource, served_entities
from boathouse.errors import BoathouseError, NotFound, Unavailable
from boathouse.features import FeatureSpecInfo, FeatureSpecs
from boathouse.jobs import end_process
from boathouse.registry import Registry
from boathouse.serving.process import Launch, ModelProcess
from boathouse.serving.retries import Retries
from boathouse.serving.states import EndpointState, States
from boathouse.serving.tally import Tally
from boathouse.serving.traffic import SERVED, SHADOW, Route, Target, Wanted, desired, route

_log = logging.getLogger(__name__)
_LOADS = 8
"""So many endpoints load at a time, and others are looked after meanwhile."""
_END_SECONDS = 10
_DRAIN_SECONDS = 10
"""So long a version that gets no requests any more may take for those that it has."""
_AGAIN = 2
"""Seconds after which whoever found nothing that answers may ask again."""
_TRIES = 3
"""So often a rollout's version may fail to come up before its rollout hears of it."""

Served = Callable[[str, str, str, Sequence[int], FeatureSpecInfo | None], None]
"""Hears (environment, endpoint, model or spec, versions that answer, the spec where there is no model) of every switch."""
Place = tuple[str, str]


@dataclass(frozen=True)
class _Plan:
    """What an endpoint should have ready, and the entities whose versions are not there yet, with the reason."""

    model: str
    spec: FeatureSpecInfo | None
    wanted: Sequence[Wanted]
    missing: Mapping[str, str]


class Endpoints:
    """One process per served version: loads beside, switches when the new version answers, keeps the old until then."""

    def __init__(self, database: Database, deployments: Deployments, registry: Registry, specs: FeatureSpecs,
                 rollouts: Rollouts, launch: Callable[[str, str], Launch], key: str,
                 served: Served = lambda *_: None, elsewhere: Callable[[], str | None] = lambda: None) -> None:  # fmt: skip
        """`elsewhere` names the server that has the model servers, where that is another one."""
        self._deployments = deployments
        self._registry = registry
        self._specs = specs
        self._rollouts = rollouts
        self._launch = launch
        self.key = key
        self.tally = Tally()
        self.busy: Counter[int] = Counter()
        """Requests that are asked of a model server now, by its port."""
        self._served = served
        self._elsewhere = elsewhere
        self._states = States(database)
        self._processes: dict[tuple[str, str, str], ModelProcess] = {}
        self._ready: dict[Place, dict[str, Target]] = {}
        self._routes: dict[Place, Route] = {}
        self._failures: Counter[int] = Counter()
        self._retries = Retries()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._definitions: dict[Place, dict[str, Any]] = {}
        self._locks: dict[Place, threading.Lock] = {}
        self._followers = ThreadPoolExecutor(_LOADS, thread_name_prefix="endpoint")
        self._thread: threading.Thread | None = None
        self._lazily, self._asked = False, set[tuple[str, ...]]()

    def start(self, lazily: bool = False) -> None:
        """Reconcile in the background, every second and whenever woken; lazily only endpoints that are asked for."""
        self._lazily = lazily
        if not lazily:
            self._attend()

    def forget(self, here: bool) -> None:
        """What an earlier process served is served no more; where it was `here`, its model servers are ended by their ids."""
        for state in self.states() if here else ():
            for version in state.served:
                if version.pid:
                    end_process(version.pid, version.pid_started)
        self._states.clear()

    def stop(self) -> None:
        """End every model server."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(10)
        self._followers.shutdown(wait=False, cancel_futures=True)
        limit = time.monotonic() + _END_SECONDS
        self._end_processes()
        while any(lock.locked() for lock in list(self._locks.values())) and time.monotonic() < limit:
            time.sleep(0.01)
            self._end_processes()  # those that began meanwhile

    def wake(self) -> None:
        """Look at once: a pointer moved."""
        self._wake.set()

    def states(self, environment: str | None = None) -> list[EndpointState]:
        """Endpoints as they are."""
        return self._states.all(environment)

    def state(self, environment: str, name: str, start: bool = False) -> EndpointState:
        """One endpoint as it is, which may be not started; with `start` it starts. Raises NotFound."""
        resource = self._deployments.resource("model_serving_endpoint", environment, name)
        for found in self.states(environment):
            if found.name == name:
                return found
        if start:
            self._attend(environment, name)
        return self._not_yet(resource, start or not self._lazily)

    def deployed(self, environment: str | None = None) -> list[EndpointState]:
        """Every endpoint that is deployed, as it is, by environment and name."""
        known = {(s.environment, s.name): s for s in self.states(environment)}
        there = self._deployments.resources("model_serving_endpoint", environment)
        return [known.get((r.environment, r.name)) or self._not_yet(r, not self._lazily) for r in there]

    @staticmethod
    def _not_yet(resource: Resource, starting: bool) -> EndpointState:
        """An endpoint of which nothing was seen."""
        model = served_entity(resource.environment, resource.definition)[0]
        state = "STARTING" if starting else "STOPPED"
        reason = "try again in a moment" if starting else "starts with `boathouse up`, or when it is asked"
        return EndpointState(resource.environment, resource.name, state, model, None, None, reason)

    def route(self, environment: str, name: str) -> Route:
        """Where an endpoint's requests go. Raises NotFound, Unavailable while nothing answers."""
        if server := self._elsewhere():
            raise Unavailable(f"endpoint {environment}.{name} is served by {server}: ask there")
        found = self.routed(environment, name)
        if found is None:
            state = self.state(environment, name, start=True)
            why = f"it is {state.state}, {state.reason or 'try again in a moment'}"
            raise Unavailable(f"endpoint {environment}.{name} does not answer yet: {why}", retry_after=_AGAIN)
        return found

    def routed(self, environment: str, name: str) -> Route | None:
        """As `route`, where something answers."""
        found = self._routes.get((environment, name))
        return found if found is not None and found.choices else None

    def end(self, environment: str, name: str) -> None:
        """End the model servers of an endpoint that is deployed no more."""
        self._definitions.pop((environment, name), None)
        with self._lock(environment, name):
            self._end(environment, name)

    def wait_for(self, environment: str, name: str, version: int, seconds: float = 120) -> EndpointState:
        """Block until an endpoint answers with a version. Raises NotFound, Unavailable."""
        self._deployments.resource("model_serving_endpoint", environment, name)
        self._attend(environment, name)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.wake()
            found = [s for s in self.states(environment) if s.name == name]
            if found and any((v.version, v.state) == (version, "READY") and v.role == SERVED for v in found[0].served):
                return found[0]
            time.sleep(0.1)
        raise Unavailable(
            f"endpoint {environment}.{name} does not serve version {version} yet: {found[0].reason if found else 'not started'}"
        )

    def report(self, seconds: float) -> None:
        """Write back what was seen, and that rollouts' versions were there to answer for so many seconds."""
        if readings := self.tally.readings():
            self._rollouts.note(readings)
        ready = {slot for targets in list(self._ready.values()) for slot in list(targets)}
        if there := [r.id for r in self._rollouts.running() if f"rollout-{r.id}" in ready]:
            self._rollouts.served(there, seconds)

    def reroute(self) -> None:
        """Shares as they are desired now, between versions that are ready; nothing is loaded for it."""
        for r in self._deployments.resources("model_serving_endpoint"):
            if (r.environment, r.name) in self._ready:
                try:
                    self._direct(r.environment, r.name, self._wanted(r.environment, r.definition))
                except NotFound:
                    continue

    def reconcile(self) -> None:
        """Make every endpoint serve what its definition, the registry's pointers and the rollouts say now, side by side."""
        resources = self._deployments.resources("model_serving_endpoint")
        self._definitions = {
            (r.environment, r.name): r.definition for r in resources
            if not self._lazily or (r.environment, r.name) in self._asked
        }  # fmt: skip
        for place in self._definitions.keys() | {(e, n) for e, n, _ in list(self._processes)}:
            lock = self._lock(*place)
            if lock.acquire(blocking=False):  # else it loads still
                self._followers.submit(self._follow_one, *place).add_done_callback(partial(_release, lock))

    def _follow_one(self, environment: str, name: str) -> None:
        try:
            definition = self._definitions.get((environment, name))
            if self._stop.is_set():
                return
            if definition is None:
                self._end(environment, name)
            else:
                self._follow(environment, name, definition)
        except (BoathouseError, httpx.HTTPError, OSError) as error:
            self._states.note(environment, name, state="FAILED", reason=_words(error))
        except Exception:
            _log.exception("endpoint %s.%s could not be reconciled; the next try comes soon", environment, name)

    def _lock(self, environment: str, name: str) -> threading.Lock:
        return self._locks.setdefault((environment, name), threading.Lock())

    def _attend(self, *asked: str) -> None:
        if self._elsewhere():
            return
        self._asked.add(asked)
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)
                self._thread.start()

    def _wanted(self, environment: str, definition: dict[str, Any]) -> "_Plan":
        """What is wanted. Raises NotFound where the first entity's version is not there; others may come later."""
        entities = served_entities(environment, definition)
        model, spec = entities[0].model, self._specs.find(entities[0].model)
        known, missing = [], {}
        for entity in entities:
            try:
                known.append((entity, spec.id if spec else self._registry.resolve(entity.model, entity.reference)))
            except NotFound:
                missing[entity.name] = f"{entity.model} has no {entity.reference} version yet"
        if entities[0].name in missing:
            raise NotFound(missing[entities[0].name])
        return _Plan(model, spec, desired(known, self._rollouts.running()), missing)

    def _follow(self, environment: str, name: str, definition: dict[str, Any]) -> None:
        try:
            plan = self._wanted(environment, definition)
        except NotFound as missing:
            model = served_entity(environment, definition)[0]
            self._states.note(environment, name, state="WAITING", model=model, reason=str(missing))
            return
        before = self._answering(environment, name)
        main = next(w for w in plan.wanted if w.role == SERVED)
        for one in sorted(plan.wanted, key=lambda w: w is not main):
            self._ensure(environment, name, plan, one, first=one is main)
            self._direct(environment, name, plan)
        for slot, reason in plan.missing.items():
            self._states.note_version(environment, name, slot, state="WAITING", reason=reason)
        slots = {w.slot for w in plan.wanted}
        for slot in [s for e, n, s in list(self._processes) if (e, n) == (environment, name) and s not in slots]:
            self._end_version(environment, name, slot)
        self._states.keep(environment, name, slots | set(plan.missing))
        if (answering := self._answering(environment, name)) and answering != before:
            self._served(environment, name, plan.model, sorted(answering), plan.spec)

    def _answering(self, environment: str, name: str) -> set[int]:
        return {t.version for t in self._ready.get((environment, name), {}).values() if t.role != SHADOW}

    def _ensure(self, environment: str, name: str, plan: "_Plan", one: Wanted, *, first: bool) -> None:
        """Have one version ready in its process. Where one does not come up, the others answer all the same."""
        process = self._processes.get((environment, name, one.slot))
        ready = self._ready.setdefault((environment, name), {})
        if process is not None and process.model != plan.model:
            process.end()
        alive = process is not None and process.alive
        if alive and one.slot in ready and ready[one.slot].version == one.version:
            return
        if not alive and one.slot in ready:
            del ready[one.slot]
            if one.role == SERVED:  # what a canary fails at its champion answers, and the canary is judged by it
                self._direct(environment, name, plan)
        place, what = (environment, name, one.slot), (plan.model, one.version)
        if self._retries.wait(place, what):
            return
        self._note(environment, name, one, first, state="LOADING", wanted_version=one.version, reason=None, model=plan.model)
        try:
            if process is None or not alive:
                process = self._begin(environment, name, plan.model, one.slot, bool(plan.spec))
            process.load(one.version)
        except (BoathouseError, httpx.HTTPError, OSError) as error:
            self._retries.failed(place, what)
            self._note(environment, name, one, first, state="FAILED", reason=_words(error))
            self._blame(one, error)
            return
        self._retries.forget(place)
        ready[one.slot] = Target(one.slot, one.version, process.port, one.role, one.patience)
        self._direct(environment, name, plan)  # whoever reads READY may ask
        self._note(environment, name, one, first, state="READY", version=one.version, reason=None)

    def _begin(self, environment: str, name: str, model: str, slot: str, alone: bool) -> ModelProcess:
        if self._stop.is_set():
            raise Unavailable("the server stops")
        process = ModelProcess(self._launch(environment, name), self.key, name, slot, model, features_only=alone)
        self._processes[environment, name, slot] = process
        facts = {"port": process.port, "pid": process.pid, "pid_started": process.pid_started}
        self._states.note_version(environment, name, slot, **facts)
        process.ready()
        return process

    def _blame(self, one: Wanted, error: Exception) -> None:
        if one.rollout is None:
            return
        self._failures[one.rollout] += 1
        if self._failures[one.rollout] >= _TRIES:
            self._rollouts.cannot_serve(one.rollout, f"version {one.version} does not come up: {_words(error)}")

    def _direct(self, environment: str, name: str, plan: "_Plan") -> None:
        """Send requests by the shares that are wanted, to what is ready."""
        ready = dict(self._ready.get((environment, name), {}))
        made = route(environment, name, plan.model, plan.wanted, ready)
        if self._routes.get((environment, name)) != made:
            self._routes[environment, name] = made
            for one in plan.wanted:
                if one.slot in ready:
                    self._states.note_version(environment, name, one.slot, percent=one.percent, role=one.role)

    def _note(self, environment: str, name: str, one: Wanted, first: bool, **values: Any) -> None:
        """Of one version; of the first, whose state is the endpoint's, both."""
        model = values.pop("model", None)
        self._states.note_version(environment, name, one.slot, role=one.role, percent=one.percent, **values)
        if first:
            whole = {("served_version" if k == "version" else k): v for k, v in values.items()}
            self._states.note(environment, name, **whole, **({"model": model} if model else {}))

    def _end(self, environment: str, name: str) -> None:
        self._routes.pop((environment, name), None)
        for slot in [s for e, n, s in list(self._processes) if (e, n) == (environment, name)]:
            self._end_version(environment, name, slot)
        self._ready.pop((environment, name), None)
        self._states.drop(environment, name)

    def _end_version(self, environment: str, name: str, slot: str) -> None:
        self._ready.get((environment, name), {}).pop(slot, None)
        self._retries.forget((environment, name, slot))
        process = self._processes.pop((environment, name, slot))
        limit = time.monotonic() + _DRAIN_SECONDS
        while self.busy[process.port] and process.alive and not self._stop.is_set() and time.monotonic() < limit:
            time.sleep(0.01)
        process.end()

    def _end_processes(self) -> None:
        for process in list(self._processes.values()):
            process.end()

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
    """(full name of a model or feature spec, version or alias) that an endpoint's definition asks for first."""
    first = served_entities(environment, definition)[0]
    return first.model, first.reference


def _release(lock: threading.Lock, _: object) -> None:
    lock.release()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
