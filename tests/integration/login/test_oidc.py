"""Logging in at an OpenID Connect provider, and what a provider or a browser may try."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsers import Browser

from boathouse.errors import AlreadyExists, InvalidInput, NotPermitted, Unavailable
from boathouse.identity import Identity, Issuers
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.settings import load

CALLBACK = "/login/oidc/callback"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, idp: Any) -> Iterator[Server]:
    """A server where people of example.org log in, with the provider's groups mapped."""
    environ = {
        "BOATHOUSE_OIDC_ISSUER": idp.url, "BOATHOUSE_OIDC_CLIENT_ID": "boathouse", "BOATHOUSE_OIDC_CLIENT_SECRET": "s3cret",
        "BOATHOUSE_OIDC_NAME": "Example", "BOATHOUSE_OIDC_GROUPS": "ds=data-scientists, ops = ml-engineers",
        "BOATHOUSE_OIDC_CREATE_USERS": "on", "BOATHOUSE_OIDC_DOMAINS": "example.org",
    }  # fmt: skip
    with Platform(load(environ, home=str(tmp_path_factory.mktemp("home")))) as platform:
        server = Server(platform)
        server.start()
        yield server
        server.stop()


@pytest.fixture(autouse=True)
def _unspoilt(idp: Any) -> Iterator[None]:
    yield
    idp.spoil()


@pytest.fixture
def ann(idp: Any) -> str:
    """Somebody who may log in."""
    idp.user("ann-1", email="Ann@example.org", email_verified=True, groups=["ds"])
    return "ann-1"


def log_in(client: httpx.Client, idp: Any, subject: str, wanted: str = "/") -> httpx.Response:
    """Through the provider and back, as a browser goes."""
    begun = client.get("/login/oidc", params={"next": wanted})
    back = idp.answer(begun.headers["location"], subject)
    return client.get(back.partition(CALLBACK)[1] + back.partition(CALLBACK)[2])


def said(answer: httpx.Response) -> str:
    """What the login page complains of."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return found[1].replace("&#39;", "'") if found else ""


def refused(answer: httpx.Response, client: httpx.Client, reason: str) -> bool:
    """Whether nobody was let in, for this reason."""
    assert answer.status_code == 401, answer.headers
    assert re.search(reason, said(answer), re.IGNORECASE), said(answer)
    return "boathouse_session" not in client.cookies


def test_the_login_page_offers_the_provider(browser: Browser) -> None:
    assert "Sign in with Example" in browser().get("/login").text
    assert browser().get("/api/v1/login").json()["provider"] == "Example"


def test_a_user_of_the_provider_is_made_and_let_in_with_the_groups_that_are_mapped(
    browser: Browser, idp: Any, ann: str, platform: Platform
) -> None:
    client = browser()
    answer = log_in(client, idp, ann, "/tables")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tables")
    who = client.get("/api/v1/whoami").json()
    assert (who["principal"], who["groups"], who["via"]) == ("ann@example.org", ["data-scientists"], "session")
    newest = next(e for e in platform.audit.entries(5) if e.action == "login")
    assert (newest.principal, newest.details["method"]) == ("ann@example.org", "oidc")


def test_the_browser_is_sent_with_state_nonce_and_a_challenge(browser: Browser, idp: Any) -> None:
    address = httpx.URL(browser().get("/login/oidc").headers["location"])
    asked = dict(address.params)
    assert str(address).startswith(f"{idp.url}/oauth2/authorize?")
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", "boathouse", "S256")
    assert all(len(asked[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert asked["redirect_uri"].endswith(CALLBACK)


def test_groups_follow_the_provider_and_those_that_are_not_mapped_stay(
    browser: Browser, idp: Any, ann: str, platform: Platform
) -> None:
    log_in(browser(), idp, ann)
    platform.identities.add_member("business-analysts", "ann@example.org")
    both = {"data-scientists", "ml-engineers"}
    for theirs, ours in ((["ops", "admins"], {"ml-engineers"}), ([], set()), (["ds", "ops"], both)):
        idp.user(ann, email="ann@example.org", email_verified=True, groups=theirs)
        log_in(browser(), idp, ann)
        assert platform.identities.groups_of("ann@example.org") == ours | {"business-analysts"}


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"claims": {"nonce": "guessed"}}, "nonce"),
        ({"without": ["nonce"]}, "nonce"),
        ({"claims": {"aud": "another-client"}}, "aud"),
        ({"claims": {"aud": ["boathouse", "another"], "azp": "another"}}, "another party"),
        ({"claims": {"iss": "https://evil.example.org"}}, "iss"),
        ({"claims": {"exp": 1_600_000_000}}, "expired"),
        ({"without": ["exp"]}, "exp"),
        ({"claims": {"iat": 9_999_999_999}}, "in the future"),
        ({"without": ["sub"]}, "sub"),
        ({"claims": {"sub": ""}}, "sub"),
        ({"how": "unsigned"}, "not good"),
        ({"how": "shared secret"}, "not good"),
        ({"how": "another's key"}, "not good"),
    ],
)
def test_a_token_that_is_wrong_lets_nobody_in(browser: Browser, idp: Any, ann: str, spoilt: dict[str, Any], reason: str) -> None:
    client = browser()
    idp.spoil(**spoilt)
    assert refused(log_in(client, idp, ann), client, reason)


def test_a_key_that_the_provider_has_changed_is_asked_for(browser: Browser, idp: Any, ann: str, platform: Platform) -> None:
    idp.spoil(how="new key")
    issuers: Issuers = platform.federation._issuers
    issuers._known[idp.url].at -= 61  # a minute later
    assert log_in(browser(), idp, ann).status_code == 303


def test_a_state_is_good_once_and_in_the_browser_where_it_began(browser: Browser, idp: Any, ann: str) -> None:
    mine, other = browser(), browser()
    back = idp.answer(mine.get("/login/oidc").headers["location"], ann)
    path = back[back.index(CALLBACK) :]
    other.get("/login/oidc")
    assert refused(other.get(path), other, "another browser")
    assert refused(mine.get(path), mine, "used already")  # the thief's try has used it up
    for forged in ("", "?state=&code=x", "?state=guessed&code=x", "?code=x"):
        assert refused(mine.get(CALLBACK + forged), mine, "used already")


def test_a_callback_that_was_followed_is_not_followed_again(browser: Browser, idp: Any, ann: str) -> None:
    client = browser()
    back = idp.answer(client.get("/login/oidc").headers["location"], ann)
    path = back[back.index(CALLBACK) :]
    assert client.get(path).status_code == 303
    assert said(client.get(path)).startswith("This login was used already")


def test_a_code_is_of_no_use_in_another_login(browser: Browser, idp: Any, ann: str) -> None:
    client, thief = browser(), browser()
    stolen = httpx.URL(idp.answer(client.get("/login/oidc").headers["location"], ann)).params["code"]
    state = httpx.URL(thief.get("/login/oidc").headers["location"]).params["state"]
    assert refused(thief.get(CALLBACK, params={"code": stolen, "state": state}), thief, "gave no token")


def test_a_no_at_the_provider_and_another_issuers_answer_are_a_no(browser: Browser) -> None:
    client = browser()
    for brought in ({"error": "access_denied"}, {"code": "x", "iss": "https://evil.example.org"}):
        state = httpx.URL(client.get("/login/oidc").headers["location"]).params["state"]
        assert refused(client.get(CALLBACK, params={"state": state, **brought}), client, "Example refused")


@pytest.mark.parametrize("target", ["https://example.org", "//example.org", "/\\example.org"])
def test_the_way_back_leads_nowhere_else(browser: Browser, idp: Any, ann: str, target: str) -> None:
    assert log_in(browser(), idp, ann, target).headers["location"] == "/"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email": "bob@example.org", "email_verified": False}, "with a verified e-mail address"),
        ({"email": "bob@example.org"}, "with a verified e-mail address"),
        ({"email": "bob@evil.org", "email_verified": True}, "only people of example.org"),
        ({"email": "bob@notexample.org", "email_verified": True}, "only people of example.org"),
        ({"email_verified": True}, "only people of example.org"),
    ],
)
def test_people_from_elsewhere_are_kept_out_and_not_made(
    browser: Browser, idp: Any, platform: Platform, claims: dict[str, Any], reason: str
) -> None:
    client = browser()
    idp.user("bob-1", **claims)
    assert refused(log_in(client, idp, "bob-1"), client, reason)
    assert not [p for p in platform.identities.principals("user") if "bob" in p.name]
    assert platform.audit.entries(1)[0].outcome == "denied"


def test_who_is_disabled_here_stays_out(browser: Browser, idp: Any, platform: Platform) -> None:
    idp.user("dan-1", email="dan@example.org", email_verified=True)
    assert log_in(browser(), idp, "dan-1").status_code == 303
    platform.identities.disable("dan@example.org")
    client = browser()
    assert refused(log_in(client, idp, "dan-1"), client, "may not log in")


def test_a_subject_keeps_its_user_whatever_its_address_becomes(browser: Browser, idp: Any, platform: Platform) -> None:
    idp.user("eva-1", email="eva@example.org", email_verified=True)
    log_in(browser(), idp, "eva-1")
    idp.user("eva-1", email="eva.new@example.org", email_verified=True)
    client = browser()
    log_in(client, idp, "eva-1")
    assert client.get("/api/v1/whoami").json()["principal"] == "eva@example.org"
    idp.user("eva-2", email="eva@example.org", email_verified=True)  # the address was given to another
    other = browser()
    assert refused(log_in(other, idp, "eva-2"), other, "is not tied to this account")


def test_a_user_whom_an_admin_made_is_tied_at_the_first_login(browser: Browser, idp: Any, platform: Platform) -> None:
    platform.identities.create("fay@example.org", "user")
    idp.user("fay-1", email="fay@example.org", email_verified=True)
    assert log_in(browser(), idp, "fay-1").status_code == 303
    with pytest.raises(AlreadyExists, match="tied to 'fay-1'"):
        platform.federation.link(_operator(platform), "fay@example.org", "fay-2")


def _operator(platform: Platform) -> Identity:
    return Identity(platform.operator, platform.identities.groups_of(platform.operator))


def _plain(tmp_path: Path, idp: Any, **settings: str) -> Platform:
    environ = {f"BOATHOUSE_OIDC_{k.upper()}": v for k, v in settings.items()}
    environ |= {"BOATHOUSE_OIDC_ISSUER": idp.url, "BOATHOUSE_OIDC_CLIENT_ID": "boathouse", "BOATHOUSE_OIDC_CLIENT_SECRET": "s"}
    return Platform(load(environ, home=str(tmp_path)))


def _through(platform: Platform, idp: Any, subject: str) -> str:
    """The user that a login ends with, without a browser."""
    address = platform.federation.provider().begin("http://127.0.0.1/back", "/", "browser")
    brought = dict(httpx.URL(idp.answer(address, subject)).params)
    return platform.federation.log_in(brought, "browser", "127.0.0.1")[0]


def test_a_name_that_people_choose_themselves_takes_nobodys_place(idp: Any, tmp_path: Path) -> None:
    with _plain(tmp_path, idp, username_claim="preferred_username", create_users="on") as platform:
        for number, name in enumerate((platform.operator, "admins", "prod-jobs")):
            idp.user(f"mallory-{number}", preferred_username=name)
            with pytest.raises(Exception, match="is there already and is not tied"):
                _through(platform, idp, f"mallory-{number}")
        idp.user("gus-1", preferred_username="gus")
        assert _through(platform, idp, "gus-1") == "gus"
        platform.federation.link(_operator(platform), platform.operator, "me-1")
        idp.user("me-1", preferred_username="whoever")
        assert _through(platform, idp, "me-1") == platform.operator
        with pytest.raises(InvalidInput):
            platform.federation.link(_operator(platform), "prod-jobs", "me-2")
        with pytest.raises(NotPermitted):
            platform.federation.link(Identity("gus"), "gus", "me-3")


def test_nobody_is_made_where_the_setting_is_off(idp: Any, ann: str, tmp_path: Path) -> None:
    with _plain(tmp_path, idp) as platform, pytest.raises(Exception, match=r"ann@example\.org is not known here"):
        _through(platform, idp, ann)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"client_id": "x"}, "belong together"),
        ({"issuer": "https://x", "client_id": "x", "groups": "a"}, "THEIRS=OURS"),
        ({"issuer": "https://x", "client_id": "x", "create_users": "2"}, "on or off"),
    ],
)
def test_settings_that_cannot_be_right_are_named(tmp_path: Path, settings: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Platform(load({f"BOATHOUSE_OIDC_{k.upper()}": v for k, v in settings.items()}, home=str(tmp_path)))


def test_an_issuer_must_be_itself_and_out_of_reach_of_others(idp: Any) -> None:
    with pytest.raises(InvalidInput, match="says that it is"):
        Issuers().metadata(f"{idp.url}/")
    for url in ("http://example.org", "ftp://x", "//x", ""):
        with pytest.raises(InvalidInput, match="must begin with https"):
            Issuers().metadata(url)
    with pytest.raises(Unavailable, match="does not answer as an OpenID Connect issuer"):
        Issuers().metadata("http://127.0.0.1:9")
