"""The lineage page: filters, columns, jobs, what is hidden, and pictures that stand alone."""

import re
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from boathouse.platform import Platform

SVG = "{http://www.w3.org/2000/svg}"
MODEL = "prod.flights.delay"
Browser = Any


@pytest.fixture(scope="module", autouse=True)
def noted(platform: Platform) -> None:
    """Lineage with columns, and a job that reads what it wrote."""
    warm = {"columns": {"temp": {"temp": "IDENTITY"}}, "rows": {"time_hour": ["FILTER"]}}
    platform.lineage.record([("prod.raw.weather", "1", "derived", warm)], ("prod.features.weather", "2"), "prod-jobs", None)
    platform.lineage.record([], ("prod.raw.weather", "9"), "prod-jobs", None, operation="WRITE")


def boxes(answer: httpx.Response) -> set[str]:
    return set(re.findall(r'data-key="([^"]+)"', answer.text))


def test_the_picture_shows_tables_models_and_jobs_with_versions(browser: Browser) -> None:
    page = browser("operator").get("/lineage", params={"name": "features.weather", "environment": "prod"})
    assert {"prod.raw.weather", "prod.features.weather", f"model:{MODEL}"} <= boxes(page)
    assert "older than its sources" in page.text
    assert "Every step, from source to target" in page.text
    jobs = browser("operator").get("/lineage", params={"name": "prod.features.weather", "jobs": "1"})
    assert any(key.startswith("job:prod.refresh#") for key in boxes(jobs))


def test_kinds_directions_and_steps_can_be_left_out(browser: Browser) -> None:
    client = browser("operator")
    assert f"model:{MODEL}" not in boxes(client.get("/lineage?name=prod.raw.weather&kind=table"))
    assert "prod.raw.weather" not in boxes(client.get("/lineage?name=prod.features.weather&direction=down"))
    near = boxes(client.get("/lineage?name=prod.raw.weather&depth=1"))
    assert (f"model:{MODEL}" in near, "prod.features.weather" in near) == (False, True)
    through = client.get("/lineage?name=prod.raw.weather&kind=model")
    assert "through" in through.text


def test_columns_open_and_one_column_can_be_followed(browser: Browser) -> None:
    client = browser("operator")
    opened = client.get("/lineage?name=prod.features.weather&open=prod.features.weather&open=prod.raw.weather")
    assert 'data-row="temp"' in opened.text
    assert "Hide the columns of weather" in opened.text
    column = client.get("/lineage?name=prod.features.weather.temp&direction=up")
    assert 'data-from-row="temp" data-to-row="temp"' in column.text
    assert "prod.raw.weather.time_hour → prod.features.weather.*: filter" in column.text


def test_a_script_gets_the_picture_alone_and_a_wrong_name_is_said(browser: Browser) -> None:
    client = browser("operator")
    part = client.get("/lineage?name=prod.raw.weather", headers={"X-Part": "1"})
    assert part.text.lstrip().startswith("<section")
    wrong = client.get("/lineage?name=prod.raw.nothing.at.all")
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (400, True)
    assert client.get("/lineage").status_code == 200
    assert "is no version" in client.get("/lineage?name=prod.raw.weather&at=yesterday").text


def test_who_may_not_see_sees_boxes_without_names(browser: Browser) -> None:
    page = browser("anna").get("/lineage?name=prod.reports.people&jobs=1")
    assert {"prod.reports.people", "(hidden 1)"} <= boxes(page)
    drawn = page.text.partition('id="lineage"')[2]
    assert not [secret for secret in ("raw.weather", "refresh", "features.weather", MODEL) if secret in drawn]
    assert browser("anna").get("/lineage?name=prod.raw.weather").status_code in (403, 404)


def test_a_picture_stands_alone_as_svg(browser: Browser) -> None:
    answer = browser("operator").get("/api/v1/lineage/prod.features.weather?direction=both&format=svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    root = ElementTree.fromstring(answer.text)
    assert root.tag == f"{SVG}svg"
    assert "--good" in (root.findtext(f"{SVG}style") or "")
    assert {g.get("data-key") for g in root.iter(f"{SVG}g")} >= {"prod.raw.weather", f"model:{MODEL}"}


def test_the_search_box_finds_by_column_and_only_what_may_be_seen(browser: Browser) -> None:
    page = browser("operator").get("/search", params={"q": "temp"}).text
    assert 'href="/tables/prod.features.weather"' in page
    assert "<code>temp</code>" in page
    assert "prod.features.weather" not in browser("anna").get("/search?q=temp").text.partition("<h1>")[2]
    assert browser("operator").get("/search", params={"q": "x" * 300}).status_code == 400
    assert 'action="/search"' in browser("operator").get("/").text
