"""`boathouse login` and what it leaves behind, against a server over HTTP."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from browsers import Browser
from typer.testing import CliRunner, Result

import boathouse
from boathouse import local, settings
from boathouse.cli.app import app
from boathouse.client import Credentials, Http, by_browser
from boathouse.client.credentials import place
from boathouse.errors import InvalidInput, NotPermitted, TooManyRequests, Unauthenticated
from boathouse.identity import challenge_of
from boathouse.platform import Platform
from boathouse.server import Server

PASSWORD = "correct horse battery"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of somebody who has no server on it."""
    for name in ("BOATHOUSE_URL", "BOATHOUSE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOATHOUSE_HOME", str(tmp_path))
    return tmp_path


def run(*words: str, typed: str = "") -> Result:
    """One command, as somebody types it."""
    return CliRunner().invoke(app, list(words), input=typed)


def answering(browser: httpx.Client, answer: str, threads: list[threading.Thread]) -> Callable[[str], None]:
    """Opens the page that a login shows in this browser, and answers it."""

    def show(address: str) -> None:
        page = browser.get(address.removeprefix(str(browser.base_url).rstrip("/")))
        sent = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text.partition("<main")[2]))
        back = browser.post("/login/cli", data={**sent, "answer": answer}).headers["location"]
        threads.append(threading.Thread(target=httpx.get, args=(back,), kwargs={"trust_env": False}))
        threads[-1].start()

    return show


def test_login_by_password_keeps_a_token_for_its_owner_alone(server: Server, platform: Platform, home: Path) -> None:
    platform.logins.passwords.put("ada", PASSWORD)
    done = run("login", server.url, "--user", "ada", "--stdin", typed=PASSWORD + "\n")
    assert done.output.strip() == f"logged in at {server.url} as ada"
    kept = home / "credentials.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "bh_" not in (home / "boathouse.toml").read_text()
    asked = run("whoami", "--json")
    assert asked.exception is None
    assert json.loads(asked.output)["principal"] == "ada"
    with boathouse.connect(home=str(home), url=server.url + "/") as lake:
        assert lake.principal == "ada"


def test_a_wrong_password_is_told_so_and_then_to_wait(server: Server, platform: Platform, home: Path) -> None:
    platform.logins.passwords.put("ada", PASSWORD)
    results = [run("login", server.url, "--user", "ada", "--stdin", typed="wrong\n") for _ in range(6)]
    assert all(isinstance(r.exception, Unauthenticated) for r in results[:5])
    assert isinstance(results[5].exception, TooManyRequests)
    assert not (home / "credentials.json").exists()


def test_login_by_token_and_logout_which_leaves_a_token_made_by_hand(server: Server, platform: Platform, home: Path) -> None:
    secret = platform.identities.issue("ada")
    assert run("login", server.url, "--stdin", typed=f"{secret}\n").exit_code == 0
    assert Credentials(home / "credentials.json").token(server.url) == secret
    assert run("logout").output.strip() == f"logged out of {server.url}"
    assert Credentials(home / "credentials.json").token(server.url) is None
    assert "url" not in (home / "boathouse.toml").read_text()
    assert platform.identities.authenticate(secret).principal == "ada"
    assert run("logout", server.url).exit_code == 1


def test_logout_revokes_what_a_login_got(server: Server, platform: Platform, home: Path) -> None:
    platform.logins.passwords.put("ada", PASSWORD)
    run("login", server.url, "--user", "ada", "--stdin", typed=PASSWORD)
    secret = Credentials(home / "credentials.json").token(server.url)
    assert run("logout").exit_code == 0
    with pytest.raises(Unauthenticated):
        platform.identities.authenticate(secret)


def test_login_through_the_browser_of_this_machine(server: Server, platform: Platform, browser: Browser) -> None:
    threads: list[threading.Thread] = []
    token = by_browser(server.url, answering(browser("grace"), "yes", threads), seconds=20)
    threads[0].join()
    who = platform.identities.authenticate(token)
    assert who.principal == "grace"
    found = platform.identities.token(who.credential)
    assert found.origin == "login"
    assert found.comment.startswith("boathouse login on ")


def test_a_no_in_the_browser_is_a_no(server: Server, browser: Browser) -> None:
    threads: list[threading.Thread] = []
    with pytest.raises(NotPermitted, match="the browser said no"):
        by_browser(server.url, answering(browser("grace"), "no", threads), seconds=20)
    threads[0].join()


def test_an_answer_that_is_none_of_ours_lets_nobody_in(server: Server, platform: Platform) -> None:
    def forge(address: str) -> None:
        port = parse_qs(urlsplit(address).query)["port"][0]
        forged = f"http://127.0.0.1:{port}/?code=stolen&state=guessed"
        threads.append(threading.Thread(target=httpx.get, args=(forged,), kwargs={"trust_env": False}))
        threads[-1].start()

    threads: list[threading.Thread] = []
    with pytest.raises(Unauthenticated, match="no browser answered in time"):
        by_browser(server.url, forge, seconds=1)
    threads[0].join()


def test_a_code_is_of_use_to_its_command_line_alone_and_once(server: Server, browser: Browser, platform: Platform) -> None:
    verifier, client, http = "v" * 43, browser("grace"), Http(server.url, None)
    challenge = challenge_of(verifier)
    sent = {"port": "9999", "state": "s" * 20, "challenge": challenge, "host": "here", "answer": "yes"}

    def code() -> str:
        back = client.post("/login/cli", data=sent).headers["location"]
        assert back.startswith("http://127.0.0.1:9999/?code=")
        return parse_qs(urlsplit(back).query)["code"][0]

    def token(one: str, word: str) -> str:
        return str(http.call("POST", "/api/v1/login/code", {"code": one, "verifier": word})["token"])

    mine, stolen = code(), code()
    for word in ("w" * 43, verifier):  # a wrong verifier uses it up
        with pytest.raises(Unauthenticated):
            token(stolen, word)
    assert platform.identities.authenticate(token(mine, verifier)).principal == "grace"
    with pytest.raises(Unauthenticated):
        token(mine, verifier)
    http.close()


@pytest.mark.parametrize("change", [{"port": "80"}, {"port": "x"}, {"port": "70000"}, {"state": ""}, {"challenge": "../"}])
def test_the_page_hands_codes_to_loopback_ports_only(browser: Browser, change: dict[str, str]) -> None:
    client = browser("grace")
    sent = {"port": "9999", "state": "s" * 20, "challenge": "c" * 43, "answer": "yes", **change}
    assert client.post("/login/cli", data=sent).status_code == 400
    assert client.get("/login/cli", params=sent).status_code == 400
    assert browser().get("/login/cli", params=sent).status_code in (303, 400)


def test_a_token_is_sent_to_the_server_it_is_for_and_no_other(home: Path) -> None:
    Credentials(home / "credentials.json").put("http://one.example.org:80/", "ada", "bh_one")
    (home / "boathouse.toml").write_text('url = "http://two.example.org"\ntoken = "bh_two"\n')
    expected = {"http://ONE.example.org": "bh_one", "http://three.example.org": None, "http://two.example.org": "bh_two"}
    for url, token in expected.items():
        http, _ = local.reach(settings.load(url=url))
        assert http.token == token
        http.close()


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org", "", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no server's address"):
        place(url)


def test_people_get_passwords_from_the_command_line(server: Server, platform: Platform, home: Path) -> None:
    run("login", server.url, "--token", platform.home.operator_token() or "")
    assert run("users", "create", "zoe").exit_code == 0
    weak = run("users", "password", "zoe", typed="short\nshort\n")
    assert isinstance(weak.exception, InvalidInput)
    assert run("users", "password", "zoe", typed=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    assert run("login", server.url, "--user", "zoe", typed=f"{PASSWORD}\n").exit_code == 0
    assert isinstance(run("users", "password", "ada", "--stdin", typed=PASSWORD).exception, NotPermitted)
    fresh = "another good sentence"
    changed = run("users", "password", typed=f"{fresh}\n{fresh}\n{PASSWORD}\n")
    assert "zoe has a new password" in changed.output
    assert platform.logins.passwords.matches("zoe", fresh)


def test_a_link_to_the_ui_comes_from_who_one_is(server: Server, platform: Platform, home: Path, browser: Browser) -> None:
    run("login", server.url, "--token", platform.identities.issue("ada"))
    link = run("ui", "--no-browser").output.strip()
    client = browser()
    assert client.get(link.removeprefix(server.url)).status_code == 303
    assert ">ada</a>" in client.get("/account").text

