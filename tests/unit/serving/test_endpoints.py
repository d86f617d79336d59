"""What endpoints do with versions that die or do not come up."""

import time
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from waiting import wait_for

from boathouse.database import Database
from boathouse.errors import Unavailable
from boathouse.serving import endpoints as module
from boathouse.serving.endpoints import Endpoints
from boathouse.serving.retries import Retries

DEFINITION: dict[str, Any] = {"config": {"served_entities": [
    {"name": "a", "entity_name": "m.odd", "entity_version": "1"}, {"name": "b", "entity_name": "m.odd", "entity_version": "2"},
], "traffic_config": {"routes": [{"served_model_name": "a", "traffic_percentage": 50},
                                 {"served_model_name": "b", "traffic_percentage": 50}]}}}  # fmt: skip


class Process:
    """A model server that does what it is told."""

    broken: ClassVar[bool]
    slow: ClassVar[float]
    loads: ClassVar[Counter[int]]
    made: ClassVar[list["Process"]]

    def __init__(self, launch: Any, key: str, name: str, slot: str, model: str, *, features_only: bool) -> None:
        self.model, self.slot, self.port, self.pid, self.pid_started = model, slot, len(self.made) + 1, 0, None
        self.alive = True
        self.made.append(self)

    def ready(self) -> None:
        """Take its time."""
        time.sleep(self.slow)

    def load(self, version: int) -> None:
        """Count it."""
        self.loads[version] += 1
        if self.broken:
            raise Unavailable("it does not load")

    def end(self) -> None:
        """End."""
        self.alive = False


@pytest.fixture
def endpoints(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    monkeypatch.setattr(module, "ModelProcess", Process)
    for name, value in {"broken": False, "slow": 0.0, "loads": Counter(), "made": []}.items():
        monkeypatch.setattr(Process, name, value, raising=False)
    resource = SimpleNamespace(environment="dev", name="odd", definition=DEFINITION)
    parts: list[Any] = [
        SimpleNamespace(resources=lambda *_: [resource]), SimpleNamespace(resolve=lambda _, version: int(version)),
        SimpleNamespace(find=lambda _: None), SimpleNamespace(running=list), lambda *_: None,
    ]  # fmt: skip
    made = Endpoints(database, *parts, "key")
    yield made
    made.stop()


def ports(endpoints: Endpoints) -> set[int]:
    found = endpoints.routed("dev", "odd")
    return {target.port for _, target in found.choices} if found else set()


def test_others_answer_the_share_of_a_version_that_died_while_it_starts(endpoints: Endpoints) -> None:
    endpoints.start()
    wait_for(lambda: ports(endpoints) == {1, 2}, seconds=10)
    Process.slow = 3.0
    Process.made[1].alive = False
    endpoints.wake()
    wait_for(lambda: ports(endpoints) == {1}, seconds=2)
    wait_for(lambda: ports(endpoints) == {1, 3}, seconds=10)


def test_a_version_that_is_not_wanted_ends_after_its_last_request(endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints.start()
    wait_for(lambda: ports(endpoints) == {1, 2}, seconds=10)
    endpoints.busy[2] = 1
    monkeypatch.setitem(DEFINITION, "config", {"served_entities": DEFINITION["config"]["served_entities"][:1]})
    endpoints.wake()
    wait_for(lambda: ports(endpoints) == {1}, seconds=10)
    time.sleep(0.3)
    assert Process.made[1].alive
    endpoints.busy[2] = 0
    wait_for(lambda: not Process.made[1].alive, seconds=2)


def test_what_does_not_come_up_is_tried_again_less_and_less_often(endpoints: Endpoints) -> None:
    Process.broken = True
    endpoints.start()
    limit = time.monotonic() + 4
    while time.monotonic() < limit:
        endpoints.wake()
        time.sleep(0.02)
    assert Process.loads[1] == 3  # at 0, 1 and 3 s
    [state] = endpoints.states()
    assert (state.state, state.reason) == ("FAILED", "Unavailable: it does not load")


def test_something_else_is_tried_at_once() -> None:
    retries = Retries()
    retries.failed("slot", 1)
    assert retries.wait("slot", 1)
    assert not retries.wait("slot", 2)
    retries.forget("slot")
    assert not retries.wait("slot", 1)
