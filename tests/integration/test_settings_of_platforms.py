"""What settings may name when a platform is opened."""

from pathlib import Path

import pytest

from boathouse import settings
from boathouse.errors import InvalidInput
from boathouse.platform import Platform


def test_an_online_store_in_redis_is_asked_only_when_it_is_needed(tmp_path: Path) -> None:
    with Platform(settings.load({"BOATHOUSE_ONLINE_STORE": "redis://127.0.0.1:1/0"}, home=str(tmp_path))) as opened:
        assert opened.online_location("dev") == "redis://127.0.0.1:1/0"


def test_an_engine_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="it is duckdb, or sc://host:port"):
        Platform(settings.load({"BOATHOUSE_ENGINE": "spark"}, home=str(tmp_path)))
