"""Where OpenLineage events go."""

import json
from pathlib import Path

import pytest

from boathouse.errors import InvalidInput
from boathouse.platform.openlineage import sender


def test_a_file_holds_one_event_a_line(tmp_path: Path) -> None:
    path = tmp_path / "some folder" / "events.jsonl"
    for number in (1, 2):
        sender(path.as_uri())({"number": number})
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [1, 2]


def test_the_console_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    sender("console:")({"job": {"name": "dev.warm"}})
    assert json.loads(capsys.readouterr().out) == {"job": {"name": "dev.warm"}}


@pytest.mark.parametrize("url", ["", "kafka://broker", "http://", "file:", "/var/log/events.jsonl"])
def test_another_address_is_refused_by_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(InvalidInput, match="openlineage_url"):
        sender(url)
