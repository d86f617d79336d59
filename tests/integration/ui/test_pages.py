"""The web UI over a real server: what it shows, to whom, and what its forms do."""

import gzip
import html
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from browsers import Browser

from boathouse import clock
from boathouse.delivery import Health, Reading, RolloutAsked, bin_of
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.platform.run_hooks import test_label as label_of_test
from boathouse.server.ui.static import vega
from boathouse.serving.states import States

MODEL, RUN = "prod.flights.delay", "0123456789abcdef"
HERE = f"/models/{MODEL}"
MONITOR = "/monitoring/prod/delay"
PAGES = (
    "/", "/tables", "/tables?environment=prod&q=weather", "/tables/prod.features.weather", "/models", HERE,
    "/features", "/features?environment=prod&q=weather&tag=team&owner=prod-jobs", "/features/prod.features.weather",
    f"{HERE}?version=1", "/jobs", "/runs", "/runs?environment=prod&state=FAILED", f"/runs/{RUN}",
    f"/runs/{RUN}?task=ingest", "/monitoring", MONITOR, f"{MONITOR}?granularity=1+week", "/endpoints",
    "/requests", "/releases", "/sql", "/sql?environment=prod&q=select+count(*)+from+features.weather",
    "/trace", "/access", "/access?principal=prod-jobs", "/access/principals/ada", "/access/principals/admins", "/account",
    "/audit", "/audit/verify", "/volumes/prod.raw.images", "/volumes/prod.raw.images?folder=cats", "/endpoints/staging/delay",
    "/trace?environment=prod&id=r7",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_an_admin(browser: Browser, path: str) -> None:
    answer = browser("operator").get(path)
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text
    assert answer.text.count("<h1>") == 1
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_no_page_lets_names_and_comments_become_markup(browser: Browser, path: str) -> None:
    assert "<script>alert" not in browser("operator").get(path).text


def test_no_page_links_to_what_is_not_there(browser: Browser) -> None:
    client = browser("operator")
    links = {link.partition("#")[0] for path in PAGES for link in re.findall(r'href="(/[^"]*)"', client.get(path).text)}
    ours = sorted(html.unescape(link) for link in links if not link.startswith(("/mlflow", "/static")))
    assert [(link, status) for link in ours if (status := client.get(link).status_code) >= 400] == []


def test_what_people_wrote_is_shown_as_they_wrote_it(browser: Browser) -> None:
    client = browser("operator")
    for path in ("/tables/prod.features.weather", "/tables/prod.reports.people", HERE, f"/runs/{RUN}"):
        assert "&lt;script&gt;alert" in client.get(path).text


def test_features_are_found_by_word_tag_and_owner(browser: Browser, platform: Platform) -> None:
    client, link = browser("operator"), 'href="/features/prod.features.weather"'
    owner = platform.catalog.table("prod.features.weather").owner
    platform.catalog.describe(Identity(owner), "prod.features.weather", {"tags": {"team": "ops"}, "freshness": 3600})
    for found in ("", "?q=temp+weather", "?tag=team=ops", "?tag=team", f"?owner={owner}", "?environment=prod"):
        assert link in client.get(f"/features{found}").text, found
    for other in ("?q=carrier", "?tag=team=sales", "?owner=nobody", "?environment=dev"):
        assert link not in client.get(f"/features{other}").text, other
    assert "prod.raw.weather" not in client.get("/features").text  # no keys, no features


def test_a_feature_table_shows_keys_freshness_sources_and_models(browser: Browser, platform: Platform) -> None:
    shown = browser("operator").get("/features/prod.features.weather").text
    assert "2013-04-01 23:00" in shown  # the newest event
    assert ">late</span>" in shown
    assert 'href="/tables/prod.raw.weather"' in shown
    assert f'href="/models/{MODEL}"' in shown
    rule = {"warm": {"expr": "temp > -90", "action": "fail"}}
    platform.catalog.describe(platform.service_identity("prod"), "prod.features.weather", {"expectations": rule})
    for place in ("features", "tables"):
        assert "<code>temp &gt; -90</code> else fail" in browser("operator").get(f"/{place}/prod.features.weather").text
    hidden = browser("anna").get("/features/prod.features.weather")
    assert hidden.status_code == 404


@pytest.mark.parametrize("path", ["/tables/prod.features.weather?x=1", "/runs", f"{HERE}"])
def test_without_an_identity_a_page_leads_to_the_login_and_back(browser: Browser, path: str) -> None:
    answer = browser().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=/")
    assert answer.next_request is not None
    assert answer.next_request.url.params["next"] == path


@pytest.mark.parametrize("origin", ["https://example.org", "null", ""])
def test_a_form_on_a_foreign_page_changes_nothing(browser: Browser, origin: str) -> None:
    client = browser("operator")
    client.headers["Origin"] = origin
    answer = client.post(f"{HERE}/rollback", data={"reason": "mischief"})
    assert answer.status_code == 403
    assert "must come from this server" in answer.text


def test_a_volume_shows_its_files_folder_by_folder_to_whom_may_read_it(browser: Browser) -> None:
    client = browser("operator")
    assert 'href="/volumes/prod.raw.images"' in client.get("/tables").text
    top = client.get("/volumes/prod.raw.images").text
    assert 'folder=cats#files">cats/</a>' in top
    inside = client.get("/volumes/prod.raw.images?folder=cats").text
    (link,) = re.findall(r'href="(/api/v1/volumes/[^"]+)" download', inside)
    assert client.get(link).content == b"miaow"
    assert "no volume" in browser("anna").get("/volumes/prod.raw.images").text


def test_an_analyst_sees_what_was_granted_and_nothing_else(browser: Browser) -> None:
    client = browser("anna")
    listed = client.get("/tables").text
    assert "reports.people" in listed
    assert "features.weather" not in listed
    assert "flights.delay" not in client.get("/models").text
    for path in ("/tables/prod.features.weather", HERE, "/endpoints/prod/delay", "/monitoring/staging/delay"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "that you may see" in answer.text
    assert "staging" not in client.get("/").text
    assert client.get(f"{MONITOR}/charts.json").status_code == 403


def test_runs_of_other_environments_are_hidden(browser: Browser, platform: Platform) -> None:
    platform.access.revoke(platform.operator, "business-analysts", "USE CATALOG", "catalog", "prod")
    try:
        client = browser("anna")
        assert client.get(f"/runs/{RUN}").status_code == 404
        assert client.get(f"/runs/{RUN}/state").status_code == 404
        assert RUN[:8] not in client.get("/runs").text
        assert "refresh" not in client.get("/jobs").text
    finally:
        platform.access.grant(platform.operator, ["business-analysts"], ["USE CATALOG"], "catalog", "prod")


def test_lineage_does_not_name_what_is_hidden(browser: Browser) -> None:
    text = browser("anna").get("/tables/prod.reports.people").text
    assert "raw.weather" not in text
    assert "1 of these you may not see" in text
    seen = browser("operator").get("/tables/prod.reports.people").text
    assert 'href="/tables/prod.raw.weather"' in seen


def test_masks_hold_in_the_rows_of_a_table(browser: Browser) -> None:
    text = browser("anna").get("/tables/prod.reports.people").text
    assert "<td>masked</td>" in text
    assert "ann@example.org" not in text
    assert "is_member" not in text
    assert "ann@example.org" in browser("operator").get("/tables/prod.reports.people").text


def test_sql_runs_under_the_caller_and_only_reads(browser: Browser) -> None:
    query = {"q": "select max(temp) as warmest from features.weather", "environment": "prod"}
    assert ">23</td>" in browser("operator").get("/sql", params=query).text
    refused = browser("anna").get("/sql", params=query)
    assert refused.status_code == 400
    assert "anna lacks" in refused.text
    query["q"] = "delete from features.weather"
    assert "where one only reads" in browser("operator").get("/sql", params=query).text


def test_rows_of_a_query_are_downloaded_under_the_caller(browser: Browser) -> None:
    asked = {"q": "select max(temp) as warmest from features.weather", "environment": "prod", "form": "csv"}
    answer = browser("operator").post("/sql/download", data=asked)
    assert (answer.text, answer.headers["content-disposition"]) == ('"warmest"\n23\n', 'attachment; filename="rows.csv"')
    assert browser("anna").post("/sql/download", data=asked).status_code == 403
    asked["q"] = "delete from features.weather"
    assert browser("operator").post("/sql/download", data=asked).status_code == 400


def test_a_query_can_be_canceled_by_its_id(browser: Browser, platform: Platform) -> None:
    client, query_id = browser("operator"), uuid.uuid4().hex
    endless = {"q": "select count(*) from range(1e7::bigint) a, range(1e7::bigint) b where (a.range * 7 + b.range) % 11 = 12",
               "environment": "dev", "query_id": query_id}  # fmt: skip
    with ThreadPoolExecutor(1) as beside:
        page = beside.submit(client.get, "/sql", params=endless)
        while not any(q.id == query_id and q.state == "RUNNING" for q in platform.sql.queries(Identity(platform.operator))):
            assert not page.done()
        assert browser("anna").delete(f"/api/v1/sql/{query_id}").status_code == 404
        assert browser("operator").delete(f"/api/v1/sql/{query_id}").json()["id"] == query_id
        assert "canceled the query" in page.result(20).text


def test_a_version_whose_tests_run_says_so_and_which_run_it_is(browser: Browser, platform: Platform) -> None:
    row = {
        "id": "7e57", "environment": "prod", "project": "flights", "job": label_of_test(MODEL.partition(".")[2]), "scratch": "",
        "commit_id": None, "dirty": False, "source": "/nowhere", "parameters": {}, "trigger": "manual", "state": "RUNNING",
        "principal": "prod-jobs", "submitted_by": "prod-jobs",
        "definition": {"tasks": [{"builtin_task": {"name": "deliver", "parameters": [MODEL, "1"]}}]},
    }  # fmt: skip
    platform.runs.add(row, ["deliver"])
    client = browser("operator")
    assert client.get(f"/api/v1/models/{MODEL}/versions/1").json()["testing"] == "7e57"
    assert [v["testing"] for v in client.get(f"/api/v1/models/{MODEL}").json()["versions"] if v["testing"]] == ["7e57"]
    assert "tests it now" in client.get(f"{HERE}?version=1").text
    platform.runs.update("7e57", state="SUCCESS")
    assert client.get(f"/api/v1/models/{MODEL}/versions/1").json()["testing"] is None
    assert "tests it now" not in client.get(f"{HERE}?version=1").text


def test_a_version_that_waits_is_approved_by_who_may(browser: Browser, platform: Platform) -> None:
    registry = platform.registry
    registry.transition(MODEL, 3, "Staging", principal="delivery")
    checks = [{"name": "approval", "outcome": "hold", "reason": "none was given yet"}]
    evidence = {
        "candidate": {"roc_auc": 0.7},
        "champion": {"roc_auc": 0.69},
        "champion_version": "2",
        "rows": 10,
    }
    verdict = {"outcome": "hold", "checks": checks, "reasons": [], "evidence": evidence}
    registry.record_verdict(MODEL, 3, "prod", verdict)
    assert "v3 waits for approval" in browser("operator").get("/").text
    assert "takes APPROVE on the model" in browser("ada").get(HERE).text
    assert browser("ada").post(f"{HERE}/versions/3/approve").status_code == 403
    client = browser("grace")
    assert 'class="num better">0.7<' in client.get(HERE).text
    answer = client.post(f"{HERE}/versions/3/approve", data={"reason": "looked at the slices"})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    assert "Version 3 is approved" in page
    assert "approved: looked at the slices" in page
    assert registry.model(MODEL).production == 3


def test_rolling_back_brings_the_former_version_and_says_so_once(
    browser: Browser, platform: Platform
) -> None:
    platform.registry.promote(MODEL, 1, principal="t")
    platform.registry.promote(MODEL, 2, principal="t")
    client = browser("grace")
    answer = client.post(f"{HERE}/rollback", data={"reason": "worse on Mondays"})
    assert answer.status_code == 303
    assert platform.registry.model(MODEL).production == 1
    assert "version 1 is Production again" in client.get(HERE).text
    assert "version 1 is Production again" not in client.get(HERE).text


def test_a_monitor_shows_numbers_without_scripts_and_charts_with(browser: Browser) -> None:
    client = browser("operator")
    page = client.get(MONITOR).text
    assert "<noscript>" in page
    assert "2013-04-08" in page
    assert "roc_auc &lt; 0.9" in page
    specs = client.get(f"{MONITOR}/charts.json").json()
    assert {"roc_auc_score", "log_loss", "rate", "volume", "drift"} <= set(specs)
    marks = [layer["mark"] for layer in specs["roc_auc_score"]["layer"]]
    assert [m["type"] for m in marks] == ["rect", "line", "rule", "rule", "text"]
    rows = [row for values in specs["roc_auc_score"]["datasets"].values() for row in values]
    assert {"v1", "v2"} <= {row.get("label") for row in rows}
    assert any(row.get("limit") == 0.9 for row in rows)


def test_a_trace_leads_back_as_far_as_the_caller_may_see(browser: Browser, platform: Platform) -> None:
    where = {"environment": "prod", "id": "r7"}
    whole = browser("operator").get("/trace", params=where).text
    assert '<a href="/tables/prod.features.weather">' in whole
    assert "prod.raw.weather" in whole
    assert browser("anna").get("/trace", params=where).status_code == 404
    places = (("schema", "prod.flights", "USE SCHEMA"), ("table", f"{MODEL}_inference", "SELECT"))
    for kind, name, privilege in places:
        platform.access.grant(platform.operator, ["anna"], [privilege], kind, name)
    text = browser("anna").get("/trace", params=where).text
    assert "2 of the tables behind it you may not see" in text
    assert "weather@" not in text
    assert 'href="/tables/prod.features.weather"' not in text
    for kind, name, privilege in places:
        platform.access.revoke(platform.operator, "anna", privilege, kind, name)


def test_an_endpoint_that_does_not_answer_says_why_and_keeps_what_was_typed(browser: Browser) -> None:
    body = '{"dataframe_records": [{"origin": "JFK"}]}'
    answer = browser("operator").post("/endpoints/staging/delay", data={"body": body})
    assert answer.status_code == 503
    assert "does not answer yet" in answer.text
    assert "&#34;JFK&#34;" in answer.text
    assert browser("anna").post("/endpoints/staging/delay", data={"body": body}).status_code == 404


def test_a_rollout_is_shown_while_it_goes_on_and_can_be_ended(browser: Browser, platform: Platform) -> None:
    champion = platform.registry.model(MODEL).production
    assert champion
    asked = RolloutAsked(percent=25.0, error_rate=0.05)
    platform.delivery.rollouts.begin(MODEL, 3, champion, asked, principal="grace", why="better")
    client = browser("operator")
    text = client.get(f"/models/{MODEL}").text
    assert "Version 3 takes 25 % of the requests beside version" in text
    assert "0 failed (limit 5 %)" in text
    client.post(f"/models/{MODEL}/rollback", data={"reason": "complaints"})
    text = client.get(f"/models/{MODEL}").text
    assert "Last rollout: version 3" in text
    assert "complaints" in text
    assert platform.registry.model(MODEL).production == champion


def test_an_endpoint_shows_the_share_and_health_of_each_version(browser: Browser, platform: Platform) -> None:
    states = States(platform.database)
    states.note("staging", "delay", state="READY", model="staging.flights.delay", served_version=1)
    for slot, version, percent in (("champion", 1, 90.0), ("next", 2, 10.0)):
        states.note_version("staging", "delay", slot, version=version, percent=percent, state="READY")
    health = Health(1234, 17, {bin_of(5): 1234})
    reading = Reading("staging", "delay", "staging.flights.delay", 2, "served", clock.millis(), health)
    platform.delivery.rollouts.note([reading])
    text = browser("operator").get("/endpoints/staging/delay").text
    assert re.search(r">v2</a>.*?10 %.*?1,?234.*?17", text, re.DOTALL)
    states.drop("staging", "delay")


def test_a_monitor_before_its_first_refresh_says_so(browser: Browser) -> None:
    answer = browser("operator").get("/monitoring/staging/delay")
    assert answer.status_code == 200
    assert "was not refreshed yet" in answer.text


def test_the_changing_part_of_a_run_says_when_it_is_over(browser: Browser) -> None:
    answer = browser("operator").get(f"/runs/{RUN}/state", params={"task": "ingest"})
    assert answer.headers["x-run-done"] == "true"
    assert answer.headers["x-run-task"] == "features"
    assert answer.text.index("task=ingest") < answer.text.index("task=features")


def test_others_than_auditors_see_their_own_entries(browser: Browser) -> None:
    text = browser("anna").get("/audit").text
    assert "prod-jobs" not in text
    assert browser("anna").get("/audit/verify").status_code == 403
    whole = browser("grace").get("/audit/verify").text
    assert "No entry was changed" in whole


def test_grants_are_given_by_who_manages(browser: Browser, platform: Platform) -> None:
    body = {"principal": "ada", "privilege": "SELECT", "kind": "schema", "securable": "prod.reports"}
    assert browser("ada").post("/access/grants", data=body).status_code == 403
    client = browser("operator")
    assert client.post("/access/grants", data=body).status_code == 303
    assert "ada now holds SELECT" in client.get("/access").text
    assert client.post("/access/revoke", data=body).status_code == 303
    assert not [g for g in platform.access.grants("schema", "prod.reports") if g.principal == "ada"]
    wrong = client.post("/access/grants", data={**body, "securable": "prod"})
    assert wrong.status_code == 400


def test_errors_are_pages_for_people_and_json_for_programs(browser: Browser) -> None:
    client = browser("operator")
    page = client.get("/nothing/here")
    assert page.status_code == 404
    assert "Not here</h1>" in page.text
    assert client.get("/runs?limit=many").status_code == 400
    assert client.get("/api/v1/nothing").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert client.get("/api/v1/runs/nothing").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert browser().get("/api/v1/whoami").status_code == 401


def test_files_are_kept_by_browsers_and_change_their_address_with_their_content(browser: Browser) -> None:
    client = browser()
    address = re.search(r'href="(/static/style\.css\?v=\w+)"', client.get("/login").text)
    assert address
    answer = client.get(address[1])
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/nothing.css").status_code == 404
    assert client.get("/static/..%2Fpage.py").status_code == 404


def test_the_chart_library_is_served_from_the_home(browser: Browser, platform: Platform) -> None:
    made = platform.settings.path("cache", vega().rpartition("/")[2] + ".gz")
    made.parent.mkdir(exist_ok=True)
    made.write_bytes(gzip.compress(b"window.vegaEmbed = 1"))
    client = browser()
    assert client.get(vega()).text == "window.vegaEmbed = 1"
    plain = client.get(vega(), headers={"Accept-Encoding": "identity"})
    assert plain.text == "window.vegaEmbed = 1"
    assert "content-encoding" not in plain.headers


def test_a_model_is_described_tagged_and_commented_by_those_who_may(browser: Browser, platform: Platform) -> None:
    client = browser("operator")
    client.post(f"{HERE}/describe", data={"version": "1", "description": "Of the winter"})
    client.post(f"{HERE}/tags", data={"key": "season", "value": "winter"})
    client.post(f"{HERE}/comments", data={"version": "1", "text": "Late in <January>"})
    page = client.get(f"{HERE}?version=1").text
    for text in ("Of the winter", "season=winter", "Late in &lt;January&gt;", "Owned by"):
        assert text in page
    client.post(f"{HERE}/tags", data={"key": "season", "value": ""})
    assert platform.registry.model(MODEL).tags.get("season") is None
    refused = browser("anna").post(f"{HERE}/tags", data={"key": "season", "value": "summer"})
    assert refused.status_code in (403, 404)
