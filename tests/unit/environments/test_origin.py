"""What a remote may be."""

import pytest

from boathouse.environments import parse_origin
from boathouse.errors import InvalidInput


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("/srv/code.git", "file"), ("file:///srv/code.git", "file"), ("git@host.example:group/code.git", "ssh"),
        ("ssh://git@host.example:2222/code.git", "ssh"), ("https://host.example/code.git", "https"),
    ],
)  # fmt: skip
def test_a_remote_has_one_transport(url: str, transport: str) -> None:
    assert parse_origin(url).transport == transport


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "http://host/code.git", "git://host/code", "code", "--upload-pack=id", "-oProxyCommand=id:x",
            "ssh://-oProxyCommand=id/x", "https://host/a b", "file::/srv"],
)  # fmt: skip
def test_no_other_transport_is_taken(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_origin(url)


@pytest.mark.parametrize("url", ["https://ann:secret@host.example/code.git", "https://secret@host.example/code.git"])
def test_a_password_is_not_kept_in_a_url_and_not_said_again(url: str) -> None:
    with pytest.raises(InvalidInput, match="--token-stdin") as refused:
        parse_origin(url)
    assert "secret" not in str(refused.value)


def test_a_token_goes_to_its_own_remote_alone() -> None:
    words = parse_origin("https://host.example/code.git").headers("t0ken")
    assert words["GIT_CONFIG_KEY_0"] == "http.https://host.example/code.git.extraHeader"
    assert "t0ken" not in str(words)
    assert parse_origin("git@host.example:code.git").headers("t0ken") == {}
