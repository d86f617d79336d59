"""What a task behind walls is told of files out of its sight."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from boathouse.client.walled import explain


def noted(error: BaseException) -> str:
    explain(error)
    return " ".join(getattr(error, "__notes__", []))


def missing(read: object, path: str) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        read(path)  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("read", [open, pd.read_csv, pd.read_parquet, lambda p: duckdb.sql(f"FROM '{p}'").fetchall()])
def test_a_missing_file_elsewhere_names_the_setting(monkeypatch: pytest.MonkeyPatch, read: object) -> None:
    monkeypatch.setenv("BOATHOUSE_WALLED", "1")
    said = noted(missing(read, "/data/landing/rows.csv"))
    assert said.startswith("/data/landing/rows.csv is not in sight")
    assert "isolation_folders" in said


def test_files_of_its_own_and_tasks_without_walls_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = missing(open, "/data/landing/rows.csv")
    assert not noted(elsewhere)
    monkeypatch.setenv("BOATHOUSE_WALLED", "1")
    for path in ("rows.csv", str(Path.cwd() / "rows.csv"), "/tmp/rows-of-mine.csv"):
        assert not noted(missing(open, path))
    assert not noted(ValueError("/data is a word"))
