"""Tables through the library, HTTP and the command line: old versions, copies, upkeep."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse.cli.app import main
from boathouse.client import Lake
from boathouse.errors import InvalidInput, NotPermitted

pytestmark = pytest.mark.xdist_group("tables")  # one process: its server and fixtures are made once

Run = Callable[..., str]


@pytest.fixture
def run(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command line against the same server: what it prints."""
    monkeypatch.setenv("BOATHOUSE_URL", lake.http.url)
    monkeypatch.setenv("BOATHOUSE_TOKEN", lake.http.token or "")

    def called(*words: str, code: int = 0) -> str:
        try:
            main(["--home", str(tmp_path / "nobody's"), "tables", *words])
            ended = 0
        except SystemExit as end:
            ended = int(end.code or 0)
        said = capsys.readouterr()
        assert ended == code, said.err
        return said.err if code else said.out

    return called


def numbers(lake: Lake, name: str) -> str:
    """A table with three versions: 0 to 9, then 5 to 9, then 5 to 14."""
    table = lake.create_table(name, {"n": list(range(10)), "kind": ["a", "b"] * 5}, primary_keys=["n"], exists_ok=True)
    if table.version == 1:
        table.delete("n < 5")
        table.append({"n": list(range(10, 15)), "kind": ["c"] * 5})
    return name


def test_rows_of_then_are_read_by_version_time_and_condition(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.then")
    assert len(json.loads(run("head", name, "-n", "50", "--version", "1", "--json"))) == 10
    assert json.loads(run("head", name, "--where", "kind = 'c' AND n < 12", "--column", "n", "--json")) == [{"n": 10}, {"n": 11}]
    commits = json.loads(run("history", name, "--json"))
    moment = next(c["timestamp"] for c in commits if c["version"] == 2)
    assert len(json.loads(run("head", name, "--as-of", moment, "--json"))) == 5
    assert lake.table(name).read(timestamp=moment).count() == 5
    assert "give one of them" in run("head", name, "--version", "1", "--as-of", "2024-01-01", code=1)
    assert "write a date or time like" in run("head", name, "--as-of", "yesterday", code=1)
    assert "has no version 9" in run("head", name, "--version", "9", code=1)


def test_changes_are_told_by_version(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.changing")
    told = json.loads(run("changes", name, "--since", "1", "--until", "2", "--json"))
    assert {(c["_change_type"], c["_commit_version"]) for c in told} == {("delete", 2)}
    assert lake.table(name).changes(0).filter("_change_type = 'insert'").count() == 15


def test_a_table_is_restored_to_a_version_or_a_time(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.restored")
    assert "as it was at version 1" in run("restore", name, "1")
    assert lake.table(name).read().count() == 10
    moment = lake.http.call("GET", f"/api/v1/tables/dev.{name}/history")[1]["timestamp"]
    assert "as it was at version 3" in run("restore", name, "--as-of", moment)
    assert "was not there yet" in run("restore", name, "--as-of", "2001-01-01", code=1)
    assert "say the version" in run("restore", name, code=1)


def test_a_table_is_cloned_from_the_command_line(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.cloned")
    assert "dev.raw.copy has 10 rows: a shallow clone" in run("clone", name, "raw.copy", "--shallow", "--version", "1")
    made = json.loads(run("clone", name, "raw.some", "--sample", "3", "--seed", "s", "--json"))
    assert (made["rows"], made["way"], made["source_version"]) == (3, "sampled", 3)
    fake = lake.clone_table(name, "raw.fake", synthetic=True, seed=1)
    kept = {r["n"] for r in lake.table(name).read().to_dicts()}
    assert (fake.rows, {r["n"] for r in lake.table("raw.fake").read().to_dicts()} & kept) == (10, set())
    assert "is no sample" in run("clone", name, "raw.none", "--sample", "lots", code=1)
    assert "exists already" in run("clone", name, "raw.copy", code=1)


def test_upkeep_says_what_it_did_and_what_it_kept(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.kept")
    assert "1 files would be deleted" in run("vacuum", name, "--retention-hours", "0", "--dry-run")
    with sqlite3.connect(lake.online_folder().parents[1] / "boathouse.db") as database:
        database.execute("INSERT INTO bh_pins VALUES (?, 1, 'model dev.m.delay 3')", [f"dev.{name}"])
    said = run("vacuum", name, "--retention-hours", "0")
    assert "kept: version 1, which model dev.m.delay 3 needs" in said
    assert lake.table(name).read(version=1).count() == 10
    assert json.loads(run("vacuum", name, "--json"))["kept"] == {"1": "model dev.m.delay 3"}
    assert "no retention" in run("vacuum", name, "--retention-hours", "-1", code=1)
    assert "has a checkpoint of version" in run("checkpoint", name)
    assert "version" in run("optimize", name, "--z-order", "n")


def test_what_describes_a_table_is_altered(lake: Lake, run: Run) -> None:
    name = numbers(lake, "raw.altered")
    properties = ("--auto-compact", "--property", "delta.checkpointInterval=5")
    run("alter", name, "--description", "numbers", "--tag", "team=raw", *properties)
    info = lake.table_info(name)
    assert (info.description, info.tags) == ("numbers", {"team": "raw"})
    assert info.properties["delta.autoOptimize.autoCompact"] == "true"
    assert info.properties["delta.checkpointInterval"] == "5"
    run("alter", name, "--tag", "team=", "--no-auto-compact")
    assert lake.table_info(name).tags == {}
    assert "say what to change" in run("alter", name, code=1)
    assert "refused the SET TBLPROPERTIES" in run("alter", name, "--property", "delta.nonsense=1", code=1)


def test_a_table_can_be_made_to_keep_itself_in_shape(lake: Lake) -> None:
    table = lake.create_table("raw.shaped", {"n": "bigint"}, properties={"delta.autoOptimize.autoCompact": "true"})
    for n in range(60):
        table.append({"n": [n]})
    assert "OPTIMIZE" in {c["operation"] for c in table.history()}
    with pytest.raises(InvalidInput, match="cannot be made"):
        lake.create_table("raw.wrong", {"n": "bigint"}, properties={"delta.nonsense": "1"})


def test_a_guarded_table_keeps_its_changes_to_itself(lake: Lake) -> None:
    name = numbers(lake, "raw.guarded")
    lake.describe_table(name, masks={"kind": "'x'"})
    with pytest.raises(NotPermitted, match="gives no change rows"):
        lake.table(name).changes(0)
    assert {r["kind"] for r in lake.table(name).read(version=1).to_dicts()} == {"x"}
    with pytest.raises(InvalidInput, match="shallow clone would share"):
        lake.clone_table(name, "raw.leak", shallow=True)
