"""An endpoint's logged requests under the name that its bundle gives them."""

from pathlib import Path

from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.serving import Spool

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
  model_serving_endpoints:
    one: {name: one, config: ENTITY}
    two: {name: two, config: ENTITY, ai_gateway: {inference_table_config: {schema_name: logs, table_name_prefix: asked}}}
""".replace("ENTITY", "{served_entities: [{entity_name: shop.reorder}]}")


def ask(platform: Platform, endpoint: str, number: int) -> None:
    line = f'{{"request_id": "{endpoint}{number}", "request_time": "2026-01-01T00:00:00+00:00", "endpoint": "dev.{endpoint}"}}'
    Spool(platform.settings.path("spool") / f"dev.{endpoint}" / "dev.shop.reorder").write([line.encode()])
    assert platform.inference.flush("dev", endpoint) == 1


def test_the_requests_of_one_endpoint_are_read_by_its_own_name(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text(BUNDLE)
    admin = Identity("admin", frozenset({"admins"}))
    platform.code.deploy(admin, "dev", path=str(tmp_path))
    for endpoint, number in (("one", 1), ("two", 2), ("two", 3)):
        ask(platform, endpoint, number)
    jobs = platform.service_identity("dev")
    with platform.sql.run(jobs, "select request_id from logs.asked_payload order by 1", "dev") as found:
        assert found.to_arrow()["request_id"].to_pylist() == ["two2", "two3"]
    with platform.sql.run(jobs, "select count(*) n from shop.reorder_payload", "dev") as found:
        assert found.to_arrow()["n"].to_pylist() == [3]


def test_what_was_asked_of_a_model_stays_in_its_table_whatever_becomes_of_the_endpoint(platform: Platform) -> None:
    admin, jobs = Identity("admin", frozenset({"admins"})), platform.service_identity("dev")

    def served(model: str) -> None:
        config = {"served_entities": [{"entity_name": model, "entity_version": "1"}]}
        platform.deployments.put(admin, "dev", "model_serving_endpoint", "three", {"config": config})

    def logged(model: str) -> list[str]:
        with platform.sql.run(jobs, f"select request_id from {model}_payload order by 1", "dev") as found:
            ids: list[str] = found.to_arrow()["request_id"].to_pylist()
            return ids

    served("shop.reorder")
    ask(platform, "three", 1)
    served("shop.returns")
    line = b'{"request_id": "three2", "request_time": "2026-01-01T00:00:00+00:00", "endpoint": "dev.three"}'
    Spool(platform.settings.path("spool") / "dev.three" / "dev.shop.returns").write([line])
    platform.deployments.remove(admin, "dev", "model_serving_endpoint", "three")
    assert platform.inference.flush("dev", "three") == 1
    assert (logged("shop.reorder"), logged("shop.returns")) == (["three1"], ["three2"])
