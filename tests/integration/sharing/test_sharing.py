"""Abusing Delta Sharing: links and tokens open what they were made for, while the grant lasts, and nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boathouse.catalog import TableSpec
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.server.sharing.links import Pass
from boathouse.server.sharing.visit import links_of
from boathouse.settings import load

TABLE = "/delta-sharing/shares/lab/schemas/lab/tables/open"
Ask = Callable[..., httpx.Response]


@contextmanager
def furnished(home: Any) -> Iterator[Platform]:
    """A share `lab` of two tables, one of which its recipient may read."""
    with Platform(load({}, home=str(home))) as opened:
        jobs = opened.service_identity("dev")
        for name in ("open", "closed"):
            rows = pa.table({"id": [1, 2], "text": [name, "x"]})
            opened.catalog.create_table(jobs, TableSpec(f"dev.lab.{name}", rows.schema))
            opened.catalog.folder(f"dev.lab.{name}").append(rows)
        opened.identities.create("partner", "service_principal")
        opened.access.grant("root", ["partner"], ["USE CATALOG", "USE SCHEMA"], "catalog", "dev")
        opened.access.grant("root", ["partner"], ["SELECT"], "table", "dev.lab.open")
        opened.access.grant("root", ["dev-jobs"], ["CREATE SHARE"], "metastore", "boathouse")
        opened.sharing.shares.create(jobs, "lab")
        for name in ("open", "closed"):
            opened.sharing.shares.add(jobs, "lab", f"dev.lab.{name}")
        yield opened


@contextmanager
def asking(platform: Platform) -> Iterator[Ask]:
    """Requests with the recipient's token, or another."""
    server = Server(platform)
    client = httpx.Client(base_url=server.start(), trust_env=False, timeout=60)
    secret, _ = platform.sharing.shares.invite(platform.service_identity("dev"), "lab", "partner", timedelta(hours=1))

    def call(method: str, path: str, token: str = secret, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.request(method, path, headers=headers | options.pop("headers", {}), **options)

    yield call
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with furnished(tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture(scope="module")
def ask(platform: Platform) -> Iterator[Ask]:
    with asking(platform) as call:
        yield call


@pytest.fixture
def fresh(tmp_path: Any) -> Iterator[tuple[Platform, Ask]]:
    """A home of one's own, to change."""
    with furnished(tmp_path / "home") as platform, asking(platform) as ask:
        yield platform, ask


def links(answer: httpx.Response) -> list[str]:
    """The paths of the files in an answer."""
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return [urlsplit(line["file"]["url"]).path for line in lines if "file" in line]


def shown(ask: Ask, body: Any = None) -> list[dict[str, Any]]:
    """The rows behind the links of an answer."""
    answer = ask("POST", f"{TABLE}/query", json=body or {})
    assert answer.status_code == 200, answer.text
    files = [ask("GET", path, token="").content for path in links(answer)]
    rows = [row for file in files for row in pq.read_table(pa.BufferReader(file)).to_pylist()]
    return sorted(rows, key=lambda row: int(row["id"]))


def test_a_link_gives_the_file_whole_or_in_ranges_without_a_token(ask: Ask) -> None:
    [path] = links(ask("POST", f"{TABLE}/query", json={}))
    whole = ask("GET", path, token="")
    assert pq.read_table(pa.BufferReader(whole.content)).column("text").to_pylist() == ["open", "x"]
    part = ask("GET", path, token="", headers={"Range": "bytes=-4"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    assert int(ask("HEAD", path, token="").headers["content-length"]) == len(whole.content)


def test_a_link_does_not_open_another_table_file_or_time(ask: Ask, platform: Platform) -> None:
    [path] = links(ask("POST", f"{TABLE}/query", json={}))
    signer, link = links_of(platform), path.rpartition("/")[2]
    given = signer.read(link)
    body, _, signature = link.partition(".")
    for forged in (f"{body[:-2]}AA.{signature}", f"{body}.{signature[:-2]}AA", body, "x.y"):
        assert ask("GET", f"/delta-sharing/files/{forged}", token="").status_code == 403
    # even with the key at hand, what a link opens is asked again
    for changed, status in (({"table": "dev.lab.closed"}, 403), ({"file": "../closed/_delta_log/0.json"}, 404),
                            ({"file": "_delta_log/00000000000000000000.json"}, 404), ({"expires": 1}, 403),
                            ({"token_id": "0" * 16}, 401), ({"spooled": True}, 404)):  # fmt: skip
        other = replace(given, **changed)
        assert ask("GET", f"/delta-sharing/files/{signer.sign(other)}", token="").status_code == status


@pytest.mark.parametrize("ending", ["revoked", "ungranted", "unshared", "disabled", "masked"])
def test_a_link_ends_with_what_it_rests_on(fresh: tuple[Platform, Ask], ending: str) -> None:
    platform, ask = fresh
    jobs, shares = platform.service_identity("dev"), platform.sharing.shares
    [path] = links(ask("POST", f"{TABLE}/query", json={}))
    assert ask("GET", path, token="").status_code == 200
    if ending == "revoked":
        shares.revoke(jobs, "lab", shares.tokens(jobs, "lab")[0].id)
    elif ending == "ungranted":
        platform.access.revoke("root", "partner", "SELECT", "table", "dev.lab.open")
    elif ending == "unshared":
        shares.remove(jobs, "lab", "lab.open")
    elif ending == "disabled":
        platform.people.disable(Identity(platform.operator, frozenset({"admins"})), "partner")
    else:
        platform.catalog.describe(jobs, "dev.lab.open", {"masks": {"text": "'***'"}})
    assert ask("GET", path, token="").status_code in (401, 403)


def test_masked_rows_are_made_for_the_recipient_and_for_no_other(fresh: tuple[Platform, Ask]) -> None:
    platform, ask = fresh
    mask = {"masks": {"text": "CASE WHEN is_member('partner') THEN 'yours' ELSE 'no' END"}, "row_filter": "id = 2"}
    platform.catalog.describe(platform.service_identity("dev"), "dev.lab.open", mask)
    answer = ask("POST", f"{TABLE}/query", json={"predicateHints": ["id = 1"]})
    [path] = links(answer)
    rows = pq.read_table(pa.BufferReader(ask("GET", path, token="").content)).to_pylist()
    assert rows == [{"id": 2, "text": "yours"}]
    signer = links_of(platform)
    given: Pass = signer.read(path.rpartition("/")[2])
    assert given.spooled
    platform.identities.create("team", "group")
    platform.identities.add_member("team", "partner")  # sees something else now, perhaps
    assert ask("GET", path, token="").status_code == 403


def test_old_versions_of_masked_tables_are_masked_too(fresh: tuple[Platform, Ask]) -> None:
    platform, ask = fresh
    jobs = platform.service_identity("dev")
    platform.catalog.folder("dev.lab.open").append(pa.table({"id": [3], "text": ["new"]}))
    platform.catalog.describe(jobs, "dev.lab.open", {"masks": {"text": "'***'"}})
    for version, ids in ((1, [1, 2]), (None, [1, 2, 3])):
        assert shown(ask, {"version": version}) == [{"id": n, "text": "***"} for n in ids]
    assert ask("GET", f"{TABLE}/changes?startingVersion=1").status_code == 400


def test_a_view_is_shared_as_rows_and_its_links_end_with_masks_below_it(fresh: tuple[Platform, Ask]) -> None:
    platform, ask = fresh
    jobs = platform.service_identity("dev")
    rows = pa.schema([("id", pa.int64()), ("text", pa.string())])
    platform.catalog.drop_table(jobs, "dev.lab.open")
    platform.catalog.create_table(jobs, TableSpec("dev.lab.open", rows, view="SELECT * FROM dev.lab.closed WHERE id = 1"))
    platform.access.grant("root", ["partner"], ["SELECT"], "table", "dev.lab.open")
    platform.sharing.shares.add(jobs, "lab", "dev.lab.open")
    assert shown(ask) == [{"id": 1, "text": "closed"}]
    first = ask("GET", f"{TABLE}/version").headers["delta-table-version"]
    [path] = links(ask("POST", f"{TABLE}/query", json={}))
    platform.catalog.describe(jobs, "dev.lab.closed", {"masks": {"text": "'***'"}})
    assert ask("GET", path, token="").status_code == 403
    assert shown(ask) == [{"id": 1, "text": "***"}]
    platform.catalog.folder("dev.lab.closed").append(pa.table({"id": [1], "text": ["more"]}))
    assert len(shown(ask)) == 2
    assert int(ask("GET", f"{TABLE}/version").headers["delta-table-version"]) == int(first) + 1
    assert ask("POST", f"{TABLE}/query", json={"version": 0}).status_code == 400


def test_invitations_are_for_principals_there_are_and_by_those_who_may_act_for_them(platform: Platform) -> None:
    jobs, shares = platform.service_identity("dev"), platform.sharing
    with pytest.raises(NotFound, match="nobody"):
        shares.invite(jobs, "lab", "nobody")
    with pytest.raises(NotPermitted, match="MANAGE on partner"):
        shares.invite(jobs, "lab", "partner")
    with pytest.raises(InvalidInput, match="365 days"):
        shares.invite(jobs, "lab", "dev-jobs", timedelta(days=4000))
    with pytest.raises(NotPermitted, match="a run"):
        shares.invite(replace(jobs, via="run"), "lab", "dev-jobs")


def test_a_share_token_opens_the_share_and_no_other_door(ask: Ask, platform: Platform) -> None:
    for path in ("/api/v1/whoami", "/api/v1/tables", "/api/2.1/unity-catalog/catalogs", "/api/2.0/mlflow/experiments/search"):
        assert ask("GET", path).status_code in (401, 405)
    operator = platform.home.operator_token() or ""
    assert ask("GET", "/delta-sharing/shares", token=operator).status_code == 401
    assert ask("GET", "/delta-sharing/shares", token="").json()["errorCode"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [("GET", "/delta-sharing/shares/other", None, 404), ("GET", "/delta-sharing/shares/other/all-tables", None, 404),
     ("GET", "/delta-sharing/shares/lab/schemas/lab/tables/nothing/metadata", None, 404),
     ("GET", "/delta-sharing/shares/lab/schemas/lab/tables/closed/version", None, 403),
     ("POST", f"{TABLE}/query", {"version": 99}, 404), ("POST", f"{TABLE}/query", {"version": -1}, 400),
     ("POST", f"{TABLE}/query", {"version": 1, "timestamp": "2026-01-01"}, 400),
     ("POST", f"{TABLE}/query", {"timestamp": "yesterday"}, 400),
     ("GET", f"{TABLE}/version?startingTimestamp=2999-01-01", None, 400),
     ("GET", f"{TABLE}/changes", None, 400), ("GET", f"{TABLE}/changes?startingVersion=1&endingVersion=9", None, 400),
     ("GET", "/delta-sharing/shares?pageToken=%21", None, 400)],
)  # fmt: skip
def test_what_is_not_there_is_refused_in_the_protocols_words(ask: Ask, method: str, path: str, body: Any, status: int) -> None:
    answer = ask(method, path, json=body)
    assert (answer.status_code, set(answer.json())) == (status, {"errorCode", "message"})


@pytest.mark.parametrize(
    "hint", ["1=1) OR read_csv('/etc/passwd') IS NOT NULL --", "id = (SELECT 1)", "'", "id = 1; DROP TABLE x", "id ="]
)
def test_hostile_hints_leave_nothing_out_and_reach_nothing(ask: Ask, hint: str) -> None:
    assert len(links(ask("POST", f"{TABLE}/query", json={"predicateHints": [hint]}))) == 1


def test_every_handing_out_and_every_denial_is_audited(ask: Ask, platform: Platform) -> None:
    ask("POST", f"{TABLE}/query", json={})
    ask("POST", TABLE.replace("open", "closed") + "/query", json={})
    handed = platform.audit.entries(subject="dev.lab.open")[0]
    assert (handed.principal, handed.action) == ("partner", "read shared table")
    assert (handed.details["share"], handed.details["files"]) == ("lab", 1)
    denied = platform.audit.entries(subject="dev.lab.closed")[0]
    assert (denied.principal, denied.outcome) == ("partner", "denied")
