"""Under which name an endpoint's requests are read, besides the model's own."""

import pytest

from boathouse.serving import captured_as


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, None),
        ({"config": {"auto_capture_config": {}}}, None),
        ({"config": {"auto_capture_config": {"schema_name": "logs"}}}, "dev.logs.re_order_payload"),
        ({"config": {"auto_capture_config": {"table_name_prefix": "asked"}}}, "dev.shop.asked_payload"),
        ({"ai_gateway": {"inference_table_config": {"schema_name": "logs", "table_name_prefix": "a"}}}, "dev.logs.a_payload"),
        ({"config": {"auto_capture_config": {"table_name_prefix": "reorder"}}}, None),
    ],
)
def test_the_bundle_gives_schema_and_prefix(asked: dict[str, object], name: str | None) -> None:
    assert captured_as("dev", "re-order", "dev.shop.reorder", asked) == name
