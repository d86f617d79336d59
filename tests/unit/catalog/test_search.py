"""Search: every word, whatever it stands in, and only what the asker may see."""

from typing import Any

import pytest

from boathouse.catalog import Match, Search
from boathouse.errors import InvalidInput
from boathouse.identity import Identity

READER = Identity("rita", frozenset({"readers"}))
STRANGER = Identity("sam")


@pytest.fixture
def search(world: Any) -> Search:
    world.table("dev.raw.weather", {"origin": ["JFK"], "temp": [50.0]}, description="As the station sent it",
                tags={"team": "meteo", "boathouse.made": "unseen"}, column_comments={"temp": "Fahrenheit, 100% raw"})  # fmt: skip
    world.table("dev.features.weather_daily", {"origin": ["JFK"], "warmth": [10.0]}, description="Wärme am Tag")
    world.table("dev.raw.flights", {"id": [1]}, description="Departures and weather delays")
    world.table("prod.raw.weather", {"temp": [50.0]})
    world.catalog.adopt("model", "dev.flights.delay", "olga")
    world.access.grant("root", ["readers"], ["EXECUTE"], "catalog", "dev")
    told = {"dev.flights.delay": [Match("description", "How late a flight will be"), Match("column", "temp")]}
    return Search(world.access._database, world.access, lambda names: {n: told[n] for n in names})


def names(search: Search, text: str, who: Identity = READER, **options: Any) -> list[str]:
    return [f.name for f in search.find(who, text, **options)]


def test_names_come_first_then_descriptions_tags_and_columns(search: Search) -> None:
    assert names(search, "weather") == ["dev.features.weather_daily", "dev.raw.weather", "dev.raw.flights"]
    assert names(search, "TEMP") == ["dev.flights.delay", "dev.raw.weather"]
    (found,) = search.find(READER, "team=meteo")
    assert found.matched == (Match("tag", "team=meteo"),)
    assert found.description == "As the station sent it"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("weather daily", ["dev.features.weather_daily"]), ("weather station", ["dev.raw.weather"]), ("weather unicorns", []),
        ("wärme", ["dev.features.weather_daily"]), ("WÄRME", ["dev.features.weather_daily"]), ("100%", ["dev.raw.weather"]),
        ("%", ["dev.raw.weather"]), ("r_w", []), ("late flight", ["dev.flights.delay"]), ("file://", []),
        ("unseen", []),
    ],
)  # fmt: skip
def test_every_word_counts_and_none_is_a_pattern(search: Search, text: str, found: list[str]) -> None:
    assert names(search, text, kinds=["table", "model"]) == found


def test_only_what_the_asker_may_see_is_found(search: Search) -> None:
    assert names(search, "weather", STRANGER) == []
    assert "prod.raw.weather" not in names(search, "weather")
    assert names(search, "weather", Identity("olga"), catalog="prod") == ["prod.raw.weather"]
    assert names(search, "delay", kinds=["model"]) == ["dev.flights.delay"]


def test_pages_hold_everything_once(search: Search) -> None:
    whole = [f.name for f in search.find(READER, "e")]
    paged: list[str] = []
    after = None
    while page := search.find(READER, "e", limit=2, after=after):
        paged += [f.name for f in page]
        after = page[-1].place
    assert paged == whole
    assert len(set(whole)) == len(whole) > 4


@pytest.mark.parametrize(
    ("text", "options"), [(" ", {}), ("x" * 300, {}), ("x", {"kinds": ["dashboard"]}), ("x", {"after": "?"})]
)
def test_what_cannot_be_searched_is_refused(search: Search, text: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        search.find(READER, text, **options)
