"""Many processes write one table at once, some are killed: nothing is lost, nothing is doubled, nothing half done."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.lake import DeltaFolder, Engine

pytestmark = pytest.mark.xdist_group("processes")  # its processes take turns

# one interpreter that has loaded what is needed forks the writers: before the first commit, so that each has its own threads
WRITERS = """
import os, sys, traceback
from pathlib import Path
from boathouse.lake import DeltaFolder

location, acknowledged = sys.argv[1], Path(sys.argv[2])

def acknowledge(me, number):
    with (acknowledged / str(me)).open("a") as file:
        file.write(f"{number}\\n")
        file.flush()

def append(folder, me, n):
    folder.append({"id": [me * 1000 + n], "kind": ["event"], "n": [1]})

def once(folder, me, n):
    folder.append({"id": [n], "kind": ["spool"], "n": [1]}, transaction=("spool", n + 1))

def merge(folder, me, n):
    folder.merge({"id": [-1 - n, -100 - me], "kind": ["merged"] * 2, "n": [me, n]}, ["id", "kind"])

def count(folder, me, n):
    folder.update({"n": "n + 1"}, "kind = 'counter'")

def replace(folder, me, n):
    folder.overwrite({"id": [me] * 3, "kind": [f"batch{me}"] * 3, "n": [n] * 3}, where=f"kind = 'batch{me}'")

def delete(folder, me, n):
    folder.delete(f"kind = 'old' AND id = {me * 1000 + n}")

def compact(folder, me, n):
    folder.optimize()

def work(kind, me, commits):
    folder = DeltaFolder(location, "dev.raw.events")
    for n in range(commits):
        globals()[kind](folder, me, n)
        acknowledge(me, n)

children = {}
for me, word in enumerate(sys.argv[3:], 1):
    kind, commits = word.split("=")
    if (pid := os.fork()) == 0:
        code = 1
        try:
            work(kind, me, int(commits))
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    children[pid] = me
    (acknowledged / f"{me}.pid").write_text(str(pid))
bad = 0
while children:
    pid, status = os.wait()
    me = children.pop(pid)
    bad += status not in (0, 9)
sys.exit(bad)
"""


class Race:
    """Writers of one table, and what they say they committed."""

    def __init__(self, root: Path) -> None:
        self.folder = DeltaFolder((root / "table").as_uri(), "dev.raw.events")
        self.folder.create(pa.schema([("id", pa.int64()), ("kind", pa.string()), ("n", pa.int64())]))
        self._said = root / "said"
        self._said.mkdir()

    def run(self, *writers: str, kill: dict[int, int] | None = None) -> None:
        """Run writers, `kind=commits` each; `kill` names some by number, and after how many commits they die."""
        command = [sys.executable, "-c", WRITERS, self.folder.location, str(self._said), *writers]
        with subprocess.Popen(command) as running:
            waiting = dict(kill or {})
            while waiting and running.poll() is None:
                for me, commits in list(waiting.items()):
                    if len(self.acknowledged(me)) >= commits:
                        with contextlib.suppress(ProcessLookupError):  # it was done already
                            os.kill(int((self._said / f"{me}.pid").read_text()), signal.SIGKILL)
                        del waiting[me]
                time.sleep(0.005)
            assert running.wait(200) == 0
            assert not waiting

    def acknowledged(self, me: int) -> list[int]:
        """The numbers of the commits that a writer was told of."""
        file = self._said / str(me)
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of a kind, by id."""
        engine = Engine()
        scan = engine.scan(self.folder.table())
        return engine.relation(f"SELECT id, n FROM {scan} WHERE kind = '{kind}' ORDER BY ALL").to_dicts()


@pytest.fixture
def race(tmp_path: Path) -> Race:
    return Race(tmp_path)


def test_all_kinds_of_writers_at_once_and_some_killed(race: Race) -> None:
    old = [5000 + n for n in range(6)] + [9]
    race.folder.append({"id": [0, *old], "kind": ["counter"] + ["old"] * len(old), "n": [0] * (len(old) + 1)})
    race.run(
        "append=12", "append=12", "append=12", "count=6", "delete=6", "count=6", "merge=6", "merge=6", "replace=8",
        "replace=8", "compact=4", "once=8", "once=8",
        kill={3: 4, 9: 3, 12: 2},
    )  # fmt: skip
    appended = Counter(row["id"] // 1000 for row in race.rows("event"))
    assert (appended[1], appended[2]) == (12, 12)
    assert appended[3] - len(race.acknowledged(3)) in (0, 1)
    assert len(race.rows("event")) == len({row["id"] for row in race.rows("event")})
    assert race.rows("counter") == [{"id": 0, "n": 12}]
    assert [row["id"] for row in race.rows("old")] == [9]
    assert [row["id"] for row in race.rows("merged")] == sorted([*range(-6, 0), -107, -108])
    assert race.rows("batch10") == [{"id": 10, "n": 7}] * 3
    assert len(race.rows("batch9")) == 3
    assert race.rows("batch9")[0]["n"] - race.acknowledged(9)[-1] in (0, 1)
    assert [row["id"] for row in race.rows("spool")] == list(range(8))


def test_a_write_whose_answer_was_lost_is_not_done_again(race: Race) -> None:
    folder, tries = race.folder, []
    write = folder._retried

    def lossy(act: Any, *rest: Any, **more: Any) -> Any:
        def acting(table: Any, marked: Any) -> Any:
            tries.append(1)
            act(table, marked)
            if len(tries) == 1:
                raise OSError("connection reset")

        return write(acting, *rest, **more)

    folder._retried = lossy  # type: ignore[method-assign]
    assert folder.append({"id": [1], "kind": ["event"], "n": [1]}).version == 1
    assert (len(tries), race.rows("event")) == (1, [{"id": 1, "n": 1}])
