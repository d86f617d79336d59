"""What a deployed bundle expects of tables: those that are there, those that jobs make later, and what leaves it."""

from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.catalog import TableSpec
from boathouse.errors import InvalidBundle, InvalidInput, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
"""
WARM = """
  tables:
    readings:
      schema_name: raw
      name: readings
      expectations: {warm: {expr: temp > -90, action: fail}, humid: humidity <= 100}
      freshness: 2h
"""
ADMIN = Identity("admin", frozenset({"admins"}))
RULES = {"warm": {"expr": "temp > -90", "action": "fail"}, "humid": {"expr": "humidity <= 100", "action": "warn"}}


def deploy(platform: Platform, folder: Path, resources: str, who: Identity = ADMIN) -> None:
    (folder / "boathouse.yml").write_text(BUNDLE + (resources or "  {}"))
    platform.code.deploy(who, "dev", path=str(folder))


def make(platform: Platform, name: str = "dev.raw.readings", who: Identity = ADMIN, **more: object) -> None:
    schema = pa.schema([("temp", pa.float64()), ("humidity", pa.float64())])
    platform.catalog.create_table(who, TableSpec(name, schema, **more))  # type: ignore[arg-type]


def test_a_table_that_is_made_after_the_deployment_is_expected_to_be_so(platform: Platform, tmp_path: Path) -> None:
    deploy(platform, tmp_path, WARM)
    make(platform, expectations={"warm": {"expr": "temp > 0", "action": "warn"}, "own": {"expr": "temp < 99", "action": "warn"}})
    made = platform.catalog.table("dev.raw.readings")
    assert made.expectations == {**RULES, "own": {"expr": "temp < 99", "action": "warn"}}
    assert made.freshness == 7200


def test_what_leaves_the_bundle_goes_and_what_was_said_by_hand_stays(platform: Platform, tmp_path: Path) -> None:
    make(platform)
    deploy(platform, tmp_path, WARM)
    by_hand = {"dry": {"expr": "humidity < 9", "action": "warn"}}
    platform.catalog.describe(ADMIN, "dev.raw.readings", {"expectations": {**RULES, **by_hand}})
    deploy(platform, tmp_path, WARM.replace("humid: humidity <= 100", "humid: humidity < 100").replace("freshness: 2h", ""))
    changed = platform.catalog.table("dev.raw.readings")
    assert changed.expectations == {**RULES, "humid": {"expr": "humidity < 100", "action": "warn"}, **by_hand}
    assert changed.freshness is None
    platform.code.destroy(ADMIN, "dev", "shop")
    assert platform.catalog.table("dev.raw.readings").expectations == by_hand


def test_a_throw_away_place_has_what_its_own_bundle_expects(platform: Platform, tmp_path: Path) -> None:
    deploy(platform, tmp_path, WARM)
    make(platform, "dev.mr7__raw.readings")
    assert platform.catalog.table("dev.mr7__raw.readings").expectations == {}


def test_what_rows_cannot_be_asked_is_refused_and_nothing_is_deployed(platform: Platform, tmp_path: Path) -> None:
    make(platform)
    with pytest.raises(InvalidInput, match=r"dev\.raw\.readings: the expectation .warm"):
        deploy(platform, tmp_path, WARM.replace("temp >", "temperature >"))
    assert platform.deployments.resources("table") == []
    with pytest.raises(InvalidBundle, match=r"warn.*drop.*fail"):
        deploy(platform, tmp_path, WARM.replace("fail}", "explode}"))


def test_anothers_table_is_its_owners_to_describe(platform: Platform, tmp_path: Path) -> None:
    make(platform)
    platform.identities.create("eve", "user")
    platform.access.grant("admin", ["eve"], ["USE CATALOG", "USE SCHEMA", "DEPLOY"], "catalog", "dev")
    with pytest.raises(NotPermitted, match="MANAGE"):
        deploy(platform, tmp_path, WARM, Identity("eve"))
