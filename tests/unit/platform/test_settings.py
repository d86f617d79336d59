"""Flags over environment variables over the home's file over defaults."""

from pathlib import Path

import pytest

from boathouse import settings
from boathouse.errors import InvalidInput


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "boathouse.toml").write_text('env = "staging"\nonline_store = "a"\nengine = "x"\n')
    environ = {"BOATHOUSE_HOME": str(tmp_path), "BOATHOUSE_ENV": "prod", "BOATHOUSE_ONLINE_STORE": "b"}
    found = settings.load(environ, env="dev")
    assert (found.env, found.online_store, found.engine, found.url) == ("dev", "b", "x", None)
    assert found.storage == f"file://{tmp_path}/lake"
    assert found.path("runs", "1") == tmp_path / "runs" / "1"


@pytest.mark.parametrize(
    ("words", "reason"),
    [("enviroment = 1", "unknown setting 'enviroment'; the settings are"), ("env", "is not valid TOML")],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, words: str, reason: str) -> None:
    (tmp_path / "boathouse.toml").write_text(words)
    with pytest.raises(InvalidInput, match=reason):
        settings.load({}, home=str(tmp_path))
