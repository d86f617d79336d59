"""Tables for people, lines for programs."""

import pytest

from boathouse.cli.output import show

ROWS = [{"id": "80f4b2c91d3a4e57", "reason": "much " * 40, "ended_at": "2026-03-01T12:00:00.123"}]


def test_a_row_is_one_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, ["id", "reason", "ended_at"], False)
    names, line = capsys.readouterr().out.splitlines()
    assert names.split() == ["id", "reason", "ended", "at"]
    assert line.startswith("80f4b2c91d3a4e57  much")
    assert line.endswith("  2026-03-01 12:00:00")
