"""The page of Arrow Flight SQL names every command and action that is answered."""

import re
from pathlib import Path

from boathouse.server.flight.metadata import ANSWERS
from boathouse.server.flight.server import ACTIONS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "flight-sql.md").read_text()
STATEMENTS = {"CommandStatementQuery", "CommandPreparedStatementQuery", "CommandGetSqlInfo"}


def test_the_page_names_every_command_and_action_and_none_that_is_gone() -> None:
    named = {name for row in re.findall(r"^\| (`.+?`) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == STATEMENTS | set(ANSWERS) | set(ACTIONS)
