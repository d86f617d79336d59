import sys
from pathlib import Path

import pytest

from boathouse.client.when_imported import when_imported


def test_it_is_done_once_the_module_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bh_watched.py").write_text("word = 'there'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[str] = []
    when_imported("bh_watched", lambda module: seen.append(module.word))
    assert seen == []
    import bh_watched  # type: ignore[import-not-found]

    assert seen == ["there"]
    when_imported("bh_watched", lambda module: seen.append(module.word))
    assert seen == ["there", "there"]
    del sys.modules[bh_watched.__name__]
