"""A CI system's identity token stands for a service principal: whose, for how long, and what is refused."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from boathouse.cli.app import app
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.identity import Identity, Workload, fits
from boathouse.platform import Platform
from boathouse.server import Server

MAIN = "repo:example/shop:ref:refs/heads/main"
EXCHANGE = "/api/v1/login/oidc-token"


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Identity:
    return Identity(platform.operator, platform.identities.groups_of(platform.operator))


@pytest.fixture(scope="module", autouse=True)
def _ci(platform: Platform, admin: Identity, idp: Any) -> None:
    """A service principal that trusts main of one repository, in staging; another that trusts releases everywhere."""
    for name in ("ci", "cd"):
        platform.identities.create(name, "service_principal")
    trust = platform.federation.trust
    trust(admin, "ci", idp.url, "boathouse", MAIN, claims={"repository_owner": "example"}, environment="staging")
    trust(admin, "cd", idp.url, "boathouse-cd", "repo:example/shop:ref:refs/heads/release/*")


def exchange(server: Server, token: str, **more: str) -> httpx.Response:
    return httpx.post(server.url + EXCHANGE, json={"token": token, **more}, trust_env=False)


def test_a_trusted_token_is_exchanged_for_one_of_an_hour_in_one_environment(server: Server, platform: Platform, idp: Any) -> None:
    answer = exchange(server, idp.sign(sub=MAIN, aud="boathouse", repository_owner="example"))
    assert answer.json()["expires_in"] == 3600
    who = platform.identities.authenticate(answer.json()["token"])
    assert (who.principal, who.environment, who.via, who.bound) == ("ci", "staging", "workload", True)
    newest = platform.audit.entries(1)[0]
    assert (newest.principal, newest.action, newest.details["subject"]) == ("ci", "login", MAIN)


def test_such_a_token_makes_no_tokens_no_sessions_and_no_passwords(server: Server, idp: Any) -> None:
    token = exchange(server, idp.sign(sub="repo:example/shop:ref:refs/heads/release/1.0", aud="boathouse-cd")).json()["token"]
    client = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    tries = [client.post("/api/v1/tokens", json={}), client.post("/api/v1/login/link"),
             client.put("/api/v1/users/cd/password", json={"password": "correct horse battery"})]  # fmt: skip
    assert [t.status_code for t in tries] == [403] * 3
    client.close()


def test_a_ci_job_logs_in_with_it_and_its_commands_are_the_service_principals(
    server: Server, idp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOATHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("BOATHOUSE_URL", server.url)
    monkeypatch.delenv("BOATHOUSE_TOKEN", raising=False)
    good = idp.sign(sub=MAIN, aud="boathouse", repository_owner="example")
    log_in = ["login", server.url, "--identity-token"]
    told = CliRunner().invoke(app, log_in, input=f"{good}\n")
    assert (told.exit_code, "as ci" in told.output) == (0, True), told.output
    who = json.loads(CliRunner().invoke(app, ["whoami", "--json"]).output)
    assert (who["principal"], who["environment"]) == ("ci", "staging")
    other = idp.sign(sub=MAIN.replace("main", "other"), aud="boathouse", repository_owner="example")
    refused = CliRunner().invoke(app, log_in, input=other)
    assert "no service principal trusts 'repo:example/shop:ref:refs/heads/other'" in str(refused.exception)
    assert "trusts" in str(CliRunner().invoke(app, [*log_in, "--user", "prod-jobs"], input=good).exception)


def test_keys_that_the_issuer_changed_are_asked_for(server: Server, platform: Platform, idp: Any) -> None:
    assert exchange(server, idp.sign(sub=MAIN, aud="boathouse", repository_owner="example")).status_code == 200
    platform.federation._issuers._known[idp.url].at -= 61  # a minute later
    idp.spoil(how="new key")
    answer = exchange(server, idp.sign(sub=MAIN, aud="boathouse", repository_owner="example"))
    idp.spoil()
    assert answer.status_code == 200, answer.text


def test_an_issuer_that_is_down_is_said_to_be(server: Server, platform: Platform, admin: Identity, idp: Any) -> None:
    away = "http://127.0.0.1:9"
    rule = platform.federation.trust(admin, "cd", away, "boathouse", MAIN)
    answer = exchange(server, idp.sign(iss=away, sub=MAIN, aud="boathouse"))
    platform.federation.distrust(admin, "cd", rule.id)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert f"{away} does not answer as an OpenID Connect issuer" in answer.json()["message"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"sub": "repo:example/shop:ref:refs/heads/other"}, "no service principal trusts 'repo:example/shop"),
        ({"sub": f"{MAIN}x"}, "no service principal trusts"),
        ({"sub": "repo:evil/shop:ref:refs/heads/main"}, "no service principal trusts"),
        ({"repository_owner": "evil"}, "no service principal trusts"),
        ({"repository_owner": None}, "no service principal trusts"),
        ({"aud": "boathouse-cd"}, "no service principal trusts"),
        ({"aud": "sts.amazonaws.com"}, "is for the audience sts.amazonaws.com, which no service principal trusts"),
        ({"aud": []}, "of nobody"),
        ({"exp": 1_600_000_000}, "expired"),
        ({"iss": "https://unknown.example.org"}, "trusts the issuer"),
    ],
)
def test_a_token_that_no_rule_trusts_is_refused(server: Server, idp: Any, claims: dict[str, Any], reason: str) -> None:
    token = idp.sign(**{"sub": MAIN, "aud": "boathouse", "repository_owner": "example", **claims})
    answer = exchange(server, token)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert reason in answer.json()["message"]


@pytest.mark.parametrize("how", ["unsigned", "shared secret", "another's key"])
def test_a_forged_token_is_refused(server: Server, idp: Any, how: str) -> None:
    idp.spoil(how=how)
    answer = exchange(server, idp.sign(sub=MAIN, aud="boathouse", repository_owner="example"))
    idp.spoil()
    assert answer.status_code == 401
    assert "is not good" in answer.json()["message"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "ey" * 20_000, "é.é.é"])
def test_what_is_no_token_is_refused(server: Server, token: str) -> None:
    assert exchange(server, token).status_code == 401


def test_where_several_could_be_meant_one_is_named(server: Server, platform: Platform, admin: Identity, idp: Any) -> None:
    rule = platform.federation.trust(admin, "cd", idp.url, "boathouse", MAIN)
    token = idp.sign(sub=MAIN, aud="boathouse", repository_owner="example")
    assert "say which `principal` is meant: cd, ci" in exchange(server, token).json()["message"]
    assert exchange(server, token, principal="cd").json()["principal"] == "cd"
    assert exchange(server, token, principal="prod-jobs").status_code == 401
    platform.federation.distrust(admin, "cd", rule.id)
    assert exchange(server, token).json()["principal"] == "ci"


def test_who_is_disabled_gets_no_token(server: Server, platform: Platform, idp: Any) -> None:
    platform.identities.disable("ci")
    try:
        answer = exchange(server, idp.sign(sub=MAIN, aud="boathouse", repository_owner="example"))
        assert (answer.status_code, "may not log in" in answer.json()["message"]) == (401, True)
    finally:
        platform.identities.enable("ci")


def test_rules_are_made_by_who_manages_the_service_principal(platform: Platform, admin: Identity, idp: Any) -> None:
    ada, grace = (Identity(name, platform.identities.groups_of(name)) for name in ("ada", "grace"))
    platform.access.grant(platform.operator, ["grace"], ["MANAGE"], "service_principal", "cd")
    rule = platform.federation.trust(grace, "cd", idp.url, "x", "repo:example/other:*")
    assert rule in platform.federation.trusted(grace, "cd")
    federation = platform.federation
    for attempt in (
        lambda: federation.trust(ada, "cd", idp.url, "x", "repo:evil/*"),
        lambda: federation.trusted(ada, "cd"),
        lambda: federation.distrust(ada, "cd", rule.id),
        lambda: federation.trust(grace, "ci", idp.url, "x", "y"),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    platform.federation.distrust(grace, "cd", rule.id)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"subject": "*"}, "does not begin with"),
        ({"subject": "*:main"}, "does not begin with"),
        ({"audience": ""}, "needs an audience"),
        ({"issuer": "http://example.org"}, "https"),
        ({"subject": "a*b*c*d*e"}, "three"),
        ({"environment": "test"}, "no environment"),
    ],
)
def test_a_rule_that_trusts_too_much_is_refused(platform: Platform, admin: Identity, change: dict[str, str], reason: str) -> None:
    rule = {"issuer": "https://ci.example.org", "audience": "x", "subject": "repo:example/*", **change}
    environment = rule.pop("environment", None)
    with pytest.raises(InvalidInput, match=reason):
        platform.federation.trust(admin, "ci", **rule, environment=environment)


@pytest.mark.parametrize(
    ("pattern", "subject", "fit"),
    [
        ("repo:a/b:*", "repo:a/b:ref:x", True), ("repo:a/b:*", "repo:a/bc:ref:x", False), ("a.c", "abc", False),
        ("a*c", "abc", True), ("a*c", "ac", True), ("a*c", "xac", False), ("a*c", "acx", False), ("abc", "ABC", False),
        ("a[b]", "ab", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_any_characters_and_nothing_else_is_special(pattern: str, subject: str, fit: bool) -> None:
    rule = Workload("1", "ci", "https://x", "us", pattern)
    assert fits(rule, {"iss": "https://x", "aud": ["them", "us"], "sub": subject}) is fit


def test_rules_are_made_listed_and_removed_from_the_command_line(
    server: Server, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOATHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("BOATHOUSE_URL", server.url)
    monkeypatch.setenv("BOATHOUSE_TOKEN", platform.home.operator_token() or "")

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["principals", *words])
        assert result.exit_code == 0, result.output
        return result.output

    rule = ["--issuer", "https://ci.example.org", "--subject", "repo:example/*", "--audience", "us", "--claim", "ref=main"]
    run("trust", "cd", *rule)
    rules = json.loads(run("trusted", "cd", "--json"))
    (made,) = [r for r in rules if r["issuer"] == "https://ci.example.org"]
    assert (made["claims"], made["environment"]) == ({"ref": "main"}, None)
    run("distrust", "cd", made["id"])
    assert made["id"] not in run("trusted", "cd", "--json")
