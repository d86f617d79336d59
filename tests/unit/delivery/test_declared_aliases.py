"""Aliases in a bundle: pointed at their versions by its deployment, and taken back by the next."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse.errors import InvalidBundle, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
  registered_models:
    reorder: {schema_name: shop, name: reorder, aliases: [ALIASES]}
"""
MODEL = "dev.shop.reorder"


@pytest.fixture
def deploy(platform: Platform, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    def deploy(aliases: str, who: str = "") -> tuple[str, ...]:
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("ALIASES", aliases))
        name = who or platform.operator
        identity = Identity(name, platform.identities.groups_of(name))
        return platform.code.deploy(identity, "dev", path=str(tmp_path)).notes

    return deploy


def test_an_alias_is_pointed_moved_and_taken_back(
    platform: Platform, register: Callable[..., None], deploy: Callable[..., tuple[str, ...]]
) -> None:
    register(MODEL)
    platform.registry.set_alias(MODEL, "mine", 1, principal="ann")
    assert deploy("{alias_name: audited, version_num: 2}, {alias_name: old, version_num: 1}") == ()
    assert platform.registry.model(MODEL).aliases == {"mine": 1, "audited": 2, "old": 1}
    platform.registry.set_alias(MODEL, "old", 3, principal="ann")  # moved by hand: not the bundle's any more
    deploy("{alias_name: audited, version_num: 3}")
    assert platform.registry.model(MODEL).aliases == {"mine": 1, "audited": 3, "old": 3}
    platform.code.destroy(Identity(platform.operator, frozenset({"admins"})), "dev", "shop")
    assert platform.registry.model(MODEL).aliases == {"mine": 1, "old": 3}


def test_a_version_that_is_to_come_is_told_of(deploy: Callable[..., tuple[str, ...]]) -> None:
    told = deploy("{alias_name: audited, version_num: 7}")
    assert told == (f"{MODEL} has no version 7 yet, so nothing is called audited: deploy again once it is there",)


def test_who_may_not_name_versions_deploys_no_alias(
    platform: Platform, register: Callable[..., None], deploy: Callable[..., tuple[str, ...]]
) -> None:
    register(MODEL)
    platform.identities.create("eve", "user")
    platform.access.grant("root", ["eve"], ["USE CATALOG", "USE SCHEMA", "DEPLOY"], "catalog", "dev")
    with pytest.raises(NotPermitted, match=r"eve lacks PROMOTE on dev\.shop\.reorder"):
        deploy("{alias_name: audited, version_num: 2}", "eve")
    assert platform.registry.model(MODEL).aliases == {}
    assert platform.deployments.resources(environment="dev", project="shop") == []


@pytest.mark.parametrize(("alias", "words"), [("Champion", "moves with the model's stages"), ("v2", "is no alias")])
def test_names_that_mean_something_already_are_refused(
    deploy: Callable[..., tuple[str, ...]], alias: str, words: str
) -> None:
    with pytest.raises(InvalidBundle, match=words):
        deploy(f"{{alias_name: {alias}, version_num: 2}}")
