"""Which code a task finds behind walls: a copy of what the server holds, or the working tree itself."""

import dataclasses
from pathlib import Path

import pytest

from boathouse import clock, settings
from boathouse.environments import isolation
from boathouse.errors import InvalidInput
from boathouse.jobs import JobDefinition, Run
from boathouse.lake import storages
from boathouse.platform.walls import Walls

pytestmark = pytest.mark.skipif(not isolation("auto").holds, reason=isolation("auto").why)
TASK = JobDefinition.from_dict("j", {"tasks": [{"task_key": "t", "spark_python_task": {"python_file": "t.py"}}]}).tasks[0]
RUN = Run("r", "dev", "p", "j", "", None, False, "", {}, {}, "manual", "dev-jobs", "ada", "RUNNING", None, clock.now(), None,
          None)  # fmt: skip


@pytest.fixture
def walls(tmp_path: Path) -> Walls:
    wanted = settings.load({}, home=str(tmp_path / "home"), isolation="bubblewrap")
    return Walls(wanted, storages(wanted.storage, {}, {}, None, {}))


@pytest.mark.parametrize("place", ["checkouts/p/c1", "reproductions/rp1"])
def test_of_what_the_server_holds_it_gets_a_copy(walls: Walls, tmp_path: Path, place: str) -> None:
    source = tmp_path / "home" / place
    source.mkdir(parents=True)
    sandbox = walls.of_task(dataclasses.replace(RUN, source=str(source)), TASK, tmp_path / "online")
    assert sandbox is not None
    assert (sandbox.copied, str(source) in sandbox.writable) == (str(source), False)


def test_a_model_server_reads_the_online_stores_and_writes_none(walls: Walls, tmp_path: Path) -> None:
    online, socket, gone = tmp_path / "online", tmp_path / "redis.sock", tmp_path / "gone.sock"
    socket.touch()
    sandbox = walls.of_endpoint("dev", tmp_path / "spool", tmp_path / "scratch", online, [str(socket), str(gone)])
    assert sandbox is not None
    assert {str(online), str(socket)} <= set(sandbox.readable)
    assert str(gone) not in sandbox.readable
    assert str(online) not in sandbox.writable
    assert str(tmp_path / "spool") in sandbox.writable


def test_a_working_tree_is_its_own_and_lies_outside_the_home(walls: Walls, tmp_path: Path) -> None:
    sandbox = walls.of_task(dataclasses.replace(RUN, source=str(tmp_path)), TASK, tmp_path / "online")
    assert sandbox is not None
    assert (sandbox.copied, str(tmp_path) in sandbox.writable) == (None, True)
    with pytest.raises(InvalidInput, match="lies inside the home"):
        walls.of_task(dataclasses.replace(RUN, source=str(tmp_path / "home" / "mine")), TASK, tmp_path / "online")
