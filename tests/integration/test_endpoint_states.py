"""Endpoints that nobody has started are shown as they are."""

from pathlib import Path

from boathouse.client import Lake

BUNDLE = """
bundle: {name: idle}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  model_serving_endpoints:
    idle: {name: idle, config: {served_entities: [{name: champion, entity_name: shop.buys, entity_version: "1"}]}}
"""


def test_an_endpoint_that_is_not_started_is_shown(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text(BUNDLE)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    shown = lake.call("GET", "/api/v1/endpoints/dev/idle")
    assert (shown["state"], shown["model"], shown["served"], shown["rollout"]) == ("STOPPED", "dev.shop.buys", [], None)
    assert "boathouse up" in shown["reason"]
    [listed] = lake.http.call("GET", "/api/v1/endpoints", params={"environment": "dev"})
    assert listed["state"] == "STOPPED"
