"""A project's own checks see the model and its rows; what cannot be asked holds a version and ends no test."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from boathouse.delivery.evaluate import _custom

CHECKS = """
def checks(model, rows):
    said = model.predict(rows)
    return [("sum", said.sum() == 6, "they sum to six"), ("big", False, "none is big"), ("old", None, "no old rows yet")]

def broken(model, rows):
    return rows["no such column"]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_checks.py").write_text(CHECKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def asked(entry: str) -> list[tuple[str, str, str]]:
    model: Any = SimpleNamespace(predict=lambda rows: rows["x"] * 2)
    return [(c.name, c.outcome, c.reason) for c in _custom(entry, model, pd.DataFrame({"x": [1, 2]}))]


def test_a_check_passes_fails_or_waits() -> None:
    assert asked("own_checks:checks") == [
        ("sum", "pass", "they sum to six"), ("big", "fail", "none is big"), ("old", "hold", "no old rows yet")
    ]  # fmt: skip


@pytest.mark.parametrize(("entry", "why"), [
    ("own_checks:broken", "own_checks:broken raised KeyError: 'no such column'"),
    ("own_checks:missing", "own_checks:missing raised AttributeError: module 'own_checks' has no attribute 'missing'"),
    ("nowhere:checks", "nowhere:checks raised ModuleNotFoundError: No module named 'nowhere'"),
])  # fmt: skip
def test_a_check_that_cannot_be_asked_holds_and_says_why(entry: str, why: str) -> None:
    assert asked(entry) == [("custom", "hold", why)]
