"""Models that came to Production before versions of tables were pinned."""

from collections.abc import Callable

import sqlalchemy as sa

from boathouse.platform import Platform

MODEL = "dev.flights.delay"


def test_a_home_of_before_pins_once_what_its_models_need(platform: Platform, register: Callable[..., None]) -> None:
    register(MODEL)
    platform.registry.promote(MODEL, 2, principal="ada")
    with platform.database.writing() as connection:
        connection.execute(sa.text("INSERT INTO runs (run_uuid, experiment_id) VALUES ('r1', NULL)"))
        connection.execute(sa.text("""INSERT INTO tags VALUES ('boathouse.tables', '{"dev.raw.flights": 3}', 'r1')"""))
    platform.catalog.pins.pin("dev.raw.flights", 9, "somebody else")
    for _ in range(2):
        platform.home.once("model-pins", platform.pins.catch_up)
        assert platform.catalog.pins.of("dev.raw.flights") == {3: f"model {MODEL} version 2", 9: "somebody else"}
    platform.catalog.pins.hold("model ", {})
    platform.home.once("model-pins", platform.pins.catch_up)
    assert set(platform.catalog.pins.of("dev.raw.flights")) == {9}
