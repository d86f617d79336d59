"""Which walls there are: what the setting asks for, and what the machine can do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.environments import isolation, sandbox
from boathouse.errors import InvalidInput


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox._works.cache_clear()
    yield tmp_path
    sandbox._works.cache_clear()


def test_walls_are_the_default(tmp_path: Path) -> None:
    assert settings.load({}, home=str(tmp_path)).isolation == "auto"


@pytest.mark.usefixtures("programs")
def test_without_bubblewrap_auto_does_without_and_says_what_to_install() -> None:
    assert not isolation("auto").holds
    assert isolation("auto").why == "none: there is no bwrap on the PATH: install the package bubblewrap"
    with pytest.raises(InvalidInput, match="install the package bubblewrap"):
        isolation("bubblewrap")


def test_where_no_namespaces_can_be_made_auto_does_without_and_says_why_in_one_line(programs: Path) -> None:
    program = programs / "bwrap"
    program.write_text("#!/bin/sh\necho trying >&2\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    found = isolation("auto")
    assert not found.holds
    assert "cannot make namespaces here (bwrap: No permissions to create new namespace)" in found.why
    assert "\n" not in found.why
    with pytest.raises(InvalidInput, match="isolation is bubblewrap, and"):
        isolation("bubblewrap")


def test_none_switches_walls_off_and_other_words_are_refused() -> None:
    assert isolation("none").why == "none: the setting isolation switches it off"
    with pytest.raises(InvalidInput, match="auto, bubblewrap or none"):
        isolation("always")
