"""Backups taken while a server works, and homes brought back from them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest

import boathouse
from boathouse import settings
from boathouse.client import Lake
from boathouse.errors import AlreadyExists, HomeInUse, InvalidInput
from boathouse.feature_engineering import FeatureEngineeringClient
from boathouse.platform import keeping

pytestmark = pytest.mark.usefixtures("restored_environment")

ROWS = {"id": [1, 2], "spent": [1.5, 2.5]}


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "MLFLOW_"))}
    return subprocess.run([str(Path(sys.executable).with_name("boathouse")), "--home", str(home), *words], env=environ,
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip


def made(home: Path, *words: str) -> Any:
    done = command(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fill(lake: Lake) -> None:
    fe = FeatureEngineeringClient(context=lake)
    fe.create_table(name="shop.customers", primary_keys="id", df=ROWS)
    fe.publish_table(source_table_name="shop.customers")
    lake.secrets.put("shop/key", "x-marks-the-spot")
    with mlflow.start_run():
        mlflow.log_text("kept", "note.txt")


def look(home: Path) -> dict[str, Any]:
    """What a home holds, asked in a process of its own."""
    program = """
import json, sys
import boathouse, mlflow
from boathouse.feature_engineering import FeatureEngineeringClient
with boathouse.connect(home=sys.argv[1]) as lake:
    fe = FeatureEngineeringClient(context=lake)
    run = mlflow.search_runs(search_all_experiments=True).iloc[0]
    print(json.dumps({
        "rows": sorted(lake.table("shop.customers").read().to_arrow().to_pydict()["id"]),
        "online": fe.published_table("shop.customers")["rows"],
        "secrets": lake.secrets.list(),
        "note": mlflow.artifacts.load_text(run.artifact_uri + "/note.txt"),
    }))
"""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "MLFLOW_"))}
    done = subprocess.run([sys.executable, "-c", program, str(home)], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_home_comes_back_from_a_backup_that_was_taken_while_a_server_wrote(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "kept"
    stop, written = threading.Event(), [0]
    with boathouse.connect(home=str(home)) as lake:
        fill(lake)
        table = lake.create_table("raw.events", {"n": "bigint"})

        def write() -> None:
            while not stop.is_set():
                table.append({"n": [written[0]]})
                written[0] += 1
                stop.wait(0.05)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            first = made(home, "backup", str(kept))
            before = written[0]
            second = made(home, "backup", str(kept))
        finally:
            stop.set()
            writer.join()
    assert second["copied"] < second["bytes"]
    assert [b.path for b in keeping.backups_in(kept)] == [first["path"], second["path"]]
    back = tmp_path / "back"
    assert made(back, "restore", str(kept))["backup"]["path"] == second["path"]
    found = look(back)
    assert "'key'" in str(found.pop("secrets"))
    assert found == {"rows": [1, 2], "online": 2, "note": "kept"}
    with boathouse.connect(home=str(back)) as lake:
        found = sorted(lake.table("raw.events").read().to_arrow().to_pydict()["n"])
        assert found == list(range(len(found)))
        assert len(found) >= before
        lake.table("raw.events").append({"n": [len(found)]})
        assert lake.call("GET", "/api/v1/audit/verify")["whole"]


def test_what_is_there_is_moved_aside_or_stays(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "kept"
    with boathouse.connect(home=str(home)) as lake:
        lake.create_table("raw.events", {"n": [1]})
        given = keeping.backup(settings.load(home=str(home)), kept)
        lake.table("raw.events").append({"n": [2]})
        with pytest.raises(HomeInUse):
            keeping.restore(given, home, replace=True)
    with pytest.raises(AlreadyExists, match="--replace moves it aside"):
        keeping.restore(given, home)
    keeping.restore(given, home, replace=True)
    with boathouse.connect(home=str(home)) as lake:
        assert lake.table("raw.events").read().count() == 1
    [aside] = tmp_path.glob("home.before-*")
    with boathouse.connect(home=str(aside)) as lake:
        assert lake.table("raw.events").read().count() == 2


def test_a_damaged_backup_is_refused_and_older_ones_are_pruned(tmp_path: Path) -> None:
    home, kept, back = tmp_path / "home", tmp_path / "kept", tmp_path / "back"
    with boathouse.connect(home=str(home)) as lake:
        lake.create_table("raw.events", {"n": [1]})
    paths = [keeping.backup(settings.load(home=str(home)), kept).path for _ in range(3)]
    assert keeping.prune(kept, 2) == paths[:1]
    assert [b.path for b in keeping.backups_in(kept)] == paths[1:]
    file = next(Path(paths[2]).rglob("*.parquet"))
    file.unlink()
    with pytest.raises(InvalidInput, match=file.name):
        keeping.restore(keeping.latest(kept), back)
    assert not back.exists()
    keeping.restore(keeping.latest(Path(paths[1])), back)
    with boathouse.connect(home=str(back)) as lake:
        assert lake.table("raw.events").read().count() == 1


@pytest.mark.parametrize("words", [("backup", "{home}/inside"), ("backup", "{tmp}/kept"), ("restore", "{tmp}/nothing")])
def test_what_cannot_be_done_is_said(tmp_path: Path, words: tuple[str, str]) -> None:
    home = tmp_path / "home"
    if "inside" in words[1]:
        boathouse.connect(home=str(home)).close()
    done = command(home, words[0], words[1].format(home=home, tmp=tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2
