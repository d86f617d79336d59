"""Logging in by password, token and link; sessions and what protects them; the account page."""

import re
from html import unescape

import httpx
import pytest
from browsers import Browser

from boathouse.identity import form_token
from boathouse.platform import Platform

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def _password(platform: Platform) -> None:
    platform.logins.passwords.put("ada", PASSWORD)


def fields(client: httpx.Client, path: str = "/login", **values: str) -> dict[str, str]:
    """What a form of a page sends, with these values."""
    page = client.get(path).text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    return {"csrf": token[1] if token else "", **values}


def log_in(client: httpx.Client, user: str, password: str, **values: str) -> httpx.Response:
    """Fill in the form as a browser does."""
    client.headers.pop("X-CSRF-Token", None)
    return client.post("/login", data=fields(client, username=user, password=password, **values))


def said(answer: httpx.Response) -> str:
    """What a page complains of."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return unescape(found[1]) if found else ""


@pytest.mark.usefixtures("_password")
def test_a_password_opens_a_session_that_no_script_can_read(browser: Browser) -> None:
    client = browser()
    answer = log_in(client, "ada", PASSWORD, next="/tables?q=x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tables?q=x")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("boathouse_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "bh_" not in cookie
    assert ">ada</a>" in client.get("/").text


@pytest.mark.usefixtures("_password")
def test_a_wrong_password_and_nobody_are_told_the_same(browser: Browser) -> None:
    answers = [log_in(browser(), user, "wrong words entirely") for user in ("ada", "nobody", "prod-jobs", "admins")]
    assert {(a.status_code, said(a)) for a in answers} == {(401, "The name or the password is wrong.")}
    assert all("boathouse_session" not in str(a.headers) for a in answers)


@pytest.mark.usefixtures("_password")
def test_guessing_is_slowed_down_and_the_operators_link_still_works(browser: Browser, platform: Platform) -> None:
    answers = [log_in(browser(), "ada", f"wrong {n}") for n in range(7)]
    assert [a.status_code for a in answers] == [401] * 5 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) <= 6
    assert log_in(browser(), "ada", PASSWORD).status_code == 429
    assert browser().get(platform.operator_link()).status_code == 303


@pytest.mark.usefixtures("_password")
def test_failures_and_successes_are_in_the_audit_and_passwords_are_not(browser: Browser, platform: Platform) -> None:
    log_in(browser(), PASSWORD, "typed into the wrong field")
    log_in(browser(), "ada", "wrong words")
    log_in(browser(), "ada", PASSWORD)
    entries = [e for e in platform.audit.entries(10) if e.action == "login"][:3]
    assert [(e.principal, e.outcome) for e in entries] == [("ada", "done"), ("ada", "denied"), ("unknown", "denied")]
    assert entries[1].details == {"method": "password", "address": "127.0.0.1", "reason": "wrong"}
    assert PASSWORD not in str(platform.audit.entries(2000))


@pytest.mark.usefixtures("_password")
def test_logging_in_makes_a_new_session_and_ends_the_one_before(browser: Browser) -> None:
    client = browser("ada")
    before = client.cookies["boathouse_session"]
    log_in(client, "ada", PASSWORD)
    other = browser()
    other.cookies["boathouse_session"] = before
    assert other.get("/account").status_code == 303
    assert client.get("/account").status_code == 200


def test_a_cookie_that_somebody_planted_is_never_a_session(browser: Browser, platform: Platform) -> None:
    client = browser()
    for planted in ("bhs_planted", platform.home.operator_token() or "", "x" * 5000, "é".encode().hex()):
        client.cookies["boathouse_session"] = planted
        assert client.get("/account").status_code == 303
        assert client.get("/api/v1/whoami").status_code == 401


def test_a_link_lets_in_once(browser: Browser, platform: Platform) -> None:
    link, client = platform.operator_link(), browser()
    answer = client.get(link + "&next=/audit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    assert client.get(link).headers["location"] == "/"  # followed again where it let in
    late = browser().get(link)
    assert late.status_code == 401
    assert "was used already" in said(late)


def test_a_link_on_another_site_asks_first_and_a_prefetch_uses_up_nothing(browser: Browser, platform: Platform) -> None:
    link, client = platform.operator_link(), browser()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"}):
        shown = client.get(link, headers=headers)
        assert shown.status_code == 200
        assert "Log in by this link" in shown.text
        assert "boathouse_session" not in client.cookies
    sent = fields(client, link + "&", once=link.partition("once=")[2])
    assert sent["csrf"] == ""  # that GET was a plain one and used the link: the browser is in
    assert client.get("/audit").status_code == 200


def test_a_token_opens_a_session_only_where_it_is_good_everywhere(browser: Browser, platform: Platform) -> None:
    def answer(**options: str) -> httpx.Response:
        client = browser()
        secret = platform.identities.issue("ada", **options)  # type: ignore[arg-type]
        return client.post("/login", data=fields(client, token=secret))

    assert answer().status_code == 303
    for options in ({"environment": "dev"}, {"run_id": "r1"}, {"origin": "workload"}):
        refused = answer(**options)
        assert refused.status_code == 403
        assert "opens no session" in said(refused)


def test_a_wrong_token_is_told_so(browser: Browser) -> None:
    client = browser()
    answer = client.post("/login", data=fields(client, token="bh_wrong"))
    assert answer.status_code == 401
    assert "unknown, revoked or expired" in said(answer)


@pytest.mark.parametrize(
    "target", ["https://example.org", "//example.org", "/\\example.org", "javascript:x", "/\t/example.org", "\\\\example.org",
               "/x\r\nSet-Cookie: a=b", "", " //example.org"],
)  # fmt: skip
def test_the_login_leads_nowhere_else(browser: Browser, platform: Platform, target: str) -> None:
    client = browser()
    sent = fields(client, token=platform.identities.issue("ada"), next=target)
    answer = client.post("/login", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.usefixtures("_password")
def test_a_login_form_of_another_site_or_another_browser_is_refused(browser: Browser) -> None:
    victim, mallory = browser(), browser()
    theirs = fields(mallory, username="ada", password=PASSWORD)
    fields(victim)
    assert victim.post("/login", data=theirs).status_code == 403
    mine = fields(victim, username="ada", password=PASSWORD)
    for origin in ("https://example.org", "null"):
        assert victim.post("/login", data=mine, headers={"Origin": origin}).status_code == 403
    del victim.headers["Origin"]
    assert victim.post("/login", data=mine).status_code == 403
    assert "boathouse_session" not in victim.cookies


def test_every_form_carries_the_sessions_token_and_no_change_is_made_without(browser: Browser) -> None:
    client = browser("operator")
    token = client.headers.pop("X-CSRF-Token")
    for path in ("/account", "/access", "/access/principals/ada", "/releases"):
        page = client.get(path).text
        assert page.count(f'name="csrf" value="{token}"') == page.count('method="post"') > 0
    other = form_token(browser("operator").cookies["boathouse_session"])
    for given in ("", other, token[:-1]):
        assert client.post("/account/sessions/end", data={"csrf": given}).status_code == 403
        assert client.post("/account/sessions/end", headers={"X-CSRF-Token": given}).status_code == 403
    assert client.request("DELETE", "/api/v1/sessions").status_code == 403
    assert client.request("DELETE", "/api/v1/sessions", headers={"X-CSRF-Token": token}).status_code == 200


def test_pages_are_framed_by_nobody_and_run_no_foreign_script(browser: Browser) -> None:
    for client in (browser(), browser("operator")):
        for path in ("/login", "/account", "/nothing", "/api/docs"):
            headers = client.get(path, follow_redirects=True).headers
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
            assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_the_account_page_makes_a_token_and_shows_it_once(browser: Browser, platform: Platform) -> None:
    client = browser("ada")
    answer = client.post("/account/tokens", data={"comment": "laptop", "expires": "7d", "environment": "dev"})
    found = re.search(r'readonly value="(bh_[^"]+)"', answer.text)
    assert found
    assert platform.identities.authenticate(found[1]).environment == "dev"
    page = client.get("/account").text
    assert found[1] not in page
    assert f"{found[1][:8]}…" in page
    for wrong in ("soon", "900d"):
        assert client.post("/account/tokens", data={"comment": "x", "expires": wrong}).status_code == 400


def test_the_account_page_ends_sessions_here_and_elsewhere(browser: Browser) -> None:
    here, there, third = browser("grace"), browser("grace"), browser("grace")
    page = here.get("/account").text
    (one, *_) = re.findall(r"/account/sessions/(\w+)/end", page)
    assert "this one" in page
    assert browser("ada").post(f"/account/sessions/{one}/end").status_code == 404
    assert here.post(f"/account/sessions/{one}/end").status_code == 303
    assert sorted(c.get("/account").status_code for c in (there, third)) == [200, 303]
    assert here.post("/account/sessions/end").headers["location"] == "/login"
    assert [c.get("/account").status_code for c in (here, there, third)] == [303] * 3


def test_a_changed_password_ends_the_other_sessions(browser: Browser, platform: Platform) -> None:
    platform.logins.passwords.put("anna", PASSWORD)
    here, there = browser("anna"), browser("anna")
    fresh = "another good sentence"
    tries = [
        ({"current": "wrong", "password": fresh, "again": fresh}, 401, "The name or the password is wrong"),
        ({"current": PASSWORD, "password": fresh, "again": "other"}, 400, "the two new passwords differ"),
        ({"current": PASSWORD, "password": "short", "again": "short"}, 400, "a password has 12 to 1000 characters"),
    ]
    for sent, status, reason in tries:
        answer = here.post("/account/password", data=sent)
        assert answer.status_code == status
        assert reason.lower() in said(answer).lower()
    assert here.post("/account/password", data={"current": PASSWORD, "password": fresh, "again": fresh}).status_code == 303
    assert "The password is changed" in here.get("/account").text
    assert there.get("/account").status_code == 303
    assert log_in(browser(), "anna", fresh).status_code == 303


def test_admins_make_show_out_and_delete_people_on_their_page(browser: Browser, platform: Platform) -> None:
    client, page = browser("operator"), "/access/principals/zoe"
    assert client.post("/access/principals", data={"kind": "user", "name": "zoe"}).headers["location"] == page
    client.post("/access/principals/data-scientists/members", data={"member": "zoe"})
    assert "data-scientists" in client.get(page).text
    assert client.post(f"{page}/password", data={"password": PASSWORD}).status_code == 303
    zoe = browser("zoe")
    assert zoe.get("/").status_code == 200
    assert client.post(f"{page}/disable").status_code == 303
    assert zoe.get("/").status_code == 303
    assert "disabled" in client.get("/access").text
    assert log_in(browser(), "zoe", PASSWORD).status_code == 401
    assert client.post(f"{page}/enable").status_code == 303
    assert client.post(f"{page}/delete").headers["location"] == "/access"
    assert client.get(page).status_code == 404


def test_others_than_admins_see_people_and_change_nobody(browser: Browser) -> None:
    client = browser("ada")
    page = client.get("/access/principals/grace").text
    assert "ml-engineers" in page
    assert "Disable" not in page
    assert "New token" not in page
    for verb in ("password", "disable", "delete", "tokens", "members"):
        sent = {"password": PASSWORD, "member": "ada", "comment": "x"}
        assert client.post(f"/access/principals/grace/{verb}", data=sent).status_code in (400, 403), verb
    assert client.post("/access/principals", data={"kind": "user", "name": "mallory"}).status_code == 403


def test_mlflow_knows_the_session_and_takes_it_for_no_token(browser: Browser) -> None:
    anna = browser("anna")  # who may use no environment: the guard knows her, and lets nothing through
    answer = anna.get("/mlflow/ajax-api/2.0/mlflow/experiments/search")
    assert (answer.status_code, "anna lacks USE CATALOG" in answer.text) == (403, True)
    cookie = anna.cookies["boathouse_session"]
    bare = browser()
    for headers in ({"Authorization": f"Bearer {cookie}"}, {"Authorization": f"Bearer {cookie}@dev"}, {}):
        assert bare.get("/mlflow/ajax-api/2.0/mlflow/experiments/search", headers=headers).status_code == 401
    foreign = anna.post("/mlflow/ajax-api/2.0/mlflow/runs/search", json={}, headers={"Origin": "https://example.org"})
    assert foreign.status_code == 403
    anna.post("/account/sessions/end")
    ended = browser()
    ended.cookies["boathouse_session"] = cookie
    page = ended.get("/mlflow/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/mlflow/")


def test_a_session_is_no_token_at_our_own_api(browser: Browser) -> None:
    cookie = browser("ada").cookies["boathouse_session"]
    assert browser().get("/api/v1/whoami", headers={"Authorization": f"Bearer {cookie}"}).status_code == 401
