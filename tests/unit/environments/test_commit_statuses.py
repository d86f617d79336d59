"""What Git hosts are told of a commit."""

import pytest

from boathouse.environments import api_of, status_call
from boathouse.errors import InvalidInput

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(("origin", "api"), [
    ("https://github.com/acme/shop.git", "https://api.github.com/repos/acme/shop"),
    ("git@github.com:acme/shop.git", "https://api.github.com/repos/acme/shop"),
    ("ssh://git@github.com/acme/shop", "https://api.github.com/repos/acme/shop"),
    ("https://gitlab.com/acme/data/shop.git", "https://gitlab.com/api/v4/projects/acme%2Fdata%2Fshop"),
    ("git@gitlab.example.org:acme/shop.git", "https://gitlab.example.org/api/v4/projects/acme%2Fshop"),
])  # fmt: skip
def test_the_api_of_a_known_host_follows_from_the_origin(origin: str, api: str) -> None:
    assert api_of(origin) == api


@pytest.mark.parametrize("origin", [None, "/srv/shop.git", "https://code.example.org/acme/shop.git"])
def test_of_another_host_it_has_to_be_said(origin: str | None) -> None:
    with pytest.raises(InvalidInput, match="--url"):
        api_of(origin)


def test_github_and_gitlab_are_each_told_in_their_words() -> None:
    outcome = {"state": "failure", "reason": "x" * 500}
    told = status_call(api_of("https://github.com/acme/shop"), "t", SHA, "unit", outcome, "https://b/requests/1")
    assert told.url == f"https://api.github.com/repos/acme/shop/statuses/{SHA}"
    assert told.headers["Authorization"] == "Bearer t"
    assert told.body == {"state": "failure", "context": "boathouse/unit", "description": "x" * 140,
                         "target_url": "https://b/requests/1"}  # fmt: skip
    told = status_call(api_of("https://gitlab.com/acme/shop"), "t", SHA, "unit", outcome, "https://b/requests/1")
    assert told.url == f"https://gitlab.com/api/v4/projects/acme%2Fshop/statuses/{SHA}"
    assert (told.headers, told.body["state"], told.body["name"]) == ({"PRIVATE-TOKEN": "t"}, "failed", "boathouse/unit")


def test_a_check_that_nobody_knows_yet_is_pending() -> None:
    assert status_call("https://h/api/v3/repos/a/b", "t", SHA, "unit", {}, "p").body["state"] == "pending"
