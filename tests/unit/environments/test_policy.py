"""Which code an environment runs."""

import pytest

from boathouse.environments import check, matches
from boathouse.errors import NotReleased

OLD, NEW = "a" * 40, "b" * 40


def test_dev_runs_anything() -> None:
    check("dev", None, dirty=True)
    check("dev", OLD, dirty=True, branch_heads={"main": NEW})


def test_staging_runs_the_head_of_main_and_what_is_recorded_as_tested() -> None:
    check("staging", NEW, dirty=False, branch_heads={"main": NEW})
    check("staging", OLD, dirty=False, branch_heads={"main": NEW}, released=[OLD])


def test_a_branch_is_no_request_by_being_named_like_one() -> None:
    with pytest.raises(NotReleased, match="neither the head of main nor a request under test"):
        check("staging", NEW, dirty=False, branch_heads={"main": OLD, "requests/7": NEW})


def test_staging_runs_a_recorded_head_again() -> None:
    check("staging", OLD, dirty=False, released={OLD}, branch_heads={"main": NEW})


def test_staging_refuses_a_mere_ancestor_of_main() -> None:
    with pytest.raises(NotReleased, match="neither the head of main nor a request under test: open one with"):
        check("staging", OLD, dirty=False, branch_heads={"main": NEW})


def test_staging_follows_the_branch_a_target_names() -> None:
    check("staging", NEW, dirty=False, branch_heads={"develop": NEW}, pattern="develop")
    with pytest.raises(NotReleased, match="head of develop"):
        check("staging", NEW, dirty=False, branch_heads={"main": NEW}, pattern="develop")


def test_prod_runs_recorded_releases_and_heads_of_release_branches() -> None:
    check("prod", OLD, dirty=False, released=[OLD])
    check("prod", NEW, dirty=False, branch_heads={"release/1.0": NEW})


def test_prod_refuses_the_head_of_main_and_says_what_to_do() -> None:
    with pytest.raises(
        NotReleased, match=r"^commit bbbbbbb is not released: run `boathouse releases cut VERSION`$"
    ):
        check("prod", NEW, dirty=False, branch_heads={"main": NEW, "requests/7": NEW})


@pytest.mark.parametrize("kind", ["staging", "prod"])
def test_only_dev_runs_changed_files(kind: str) -> None:
    with pytest.raises(NotReleased, match="files changed since bbbbbbb"):
        check(kind, NEW, dirty=True, released={NEW})  # type: ignore[arg-type]
    with pytest.raises(NotReleased, match="this code is in none"):
        check(kind, None, dirty=False, released={NEW})  # type: ignore[arg-type]


def test_a_star_stands_for_one_level() -> None:
    assert matches("release/1.0", "release/*")
    assert not matches("release/1.0/hotfix", "release/*")
    assert not matches("release", "release/*")
