"""Which job a name means where several projects have one of it."""

from dataclasses import dataclass

import pytest

from boathouse.environments.resource_names import chosen, told_apart
from boathouse.errors import Conflict


@dataclass(frozen=True)
class Job:
    name: str
    project: str
    kind: str = "job"


SHOP, LATER = Job("training", "shop"), Job("bank.training", "bank")


def names(project: str, wanted: list[str], there: list[Job]) -> list[str]:
    return [name for _, name, _ in told_apart(project, [("job", name, {}) for name in wanted], there)]


def test_who_comes_second_has_the_longer_name_and_keeps_it() -> None:
    assert names("shop", ["training", "other"], []) == ["training", "other"]
    assert names("bank", ["training", "other"], [SHOP]) == ["bank.training", "other"]
    assert names("bank", ["training"], [SHOP, LATER]) == ["bank.training"]
    assert names("bank", ["training"], [LATER]) == ["bank.training"]
    assert names("shop", ["training"], [SHOP, LATER]) == ["training"]


def test_only_kinds_that_are_known_by_key_are_renamed_and_each_for_itself() -> None:
    there = [SHOP, Job("training", "shop", "alert"), Job("raw", "shop", "schema")]
    wanted = [("alert", "training", {}), ("schema", "training", {}), ("schema", "raw", {})]
    names = [("alert", "training"), ("schema", "training"), ("schema", "bank.raw")]
    assert [(kind, name) for kind, name, _ in told_apart("bank", wanted, there)] == names


@pytest.mark.parametrize(("name", "project", "meant"), [
    ("training", "shop", SHOP), ("training", "bank", LATER), ("bank.training", None, LATER), ("shop.training", None, SHOP),
    ("shop.training", "bank", SHOP), ("bank.training", "shop", LATER), ("nothing", None, None), ("nothing", "shop", None),
])  # fmt: skip
def test_a_project_means_its_own_and_a_full_name_says_which(name: str, project: str | None, meant: Job | None) -> None:
    assert chosen([SHOP, LATER], name, project) is meant


def test_a_name_of_several_is_refused_with_all_of_them() -> None:
    with pytest.raises(Conflict, match=r"bank\.training, shop\.training"):
        chosen([SHOP, LATER], "training", None)
    with pytest.raises(Conflict):
        chosen([SHOP, LATER], "training", "third")


def test_a_name_of_one_needs_no_project() -> None:
    assert chosen([SHOP], "training", None) is SHOP
    assert chosen([LATER], "training", "third") is LATER
