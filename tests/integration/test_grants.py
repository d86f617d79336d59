"""Grants and owners over HTTP and the command line: what is inherited, why, and hand over."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from boathouse import context
from boathouse.cli import main
from boathouse.cli.session import options
from boathouse.client import Lake

pytestmark = pytest.mark.xdist_group("grants")
TABLE = "dev.shop.orders"


@pytest.fixture(scope="module")
def people(lake: Lake) -> Iterator[dict[str, httpx.Client]]:
    """The operator, who owns the table; ann of the data scientists; bob of nothing."""
    found = {}
    for name in ("ann", "bob"):
        lake.call("POST", "/api/v1/principals", {"name": name})
        secret = lake.call("POST", "/api/v1/tokens", {"principal": name})["token"]
        found[name] = httpx.Client(base_url=lake.http.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
    lake.call("PUT", "/api/v1/groups/data-scientists/members/ann")
    lake.create_table("shop.orders", {"id": "bigint"})
    yield found
    for client in found.values():
        client.close()


@pytest.fixture
def cli(lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command against the server; (exit code, what it printed)."""
    monkeypatch.setenv("BOATHOUSE_URL", lake.http.url)
    monkeypatch.setenv("BOATHOUSE_TOKEN", str(lake.http.token))
    monkeypatch.setattr(options, "env", None)
    monkeypatch.setattr(context, "in_process", lambda: None)  # a command is a process of its own

    def run(*words: str) -> tuple[int, str]:
        try:
            main(list(words))
        except SystemExit as end:
            out = capsys.readouterr()
            return int(end.code or 0), out.out + out.err
        out = capsys.readouterr()
        return 0, out.out + out.err

    return run


def effective(who: httpx.Client, **asked: str) -> list[tuple[str, str, str | None]]:
    rows: list[dict[str, Any]] = who.get("/api/v1/effective-grants", params={"name": TABLE, **asked}).json()
    return [(r["principal"], r["privilege"], r["inherited_from"]) for r in rows]


def test_effective_grants_name_from_where_each_is_inherited(lake: Lake, people: dict[str, httpx.Client]) -> None:
    lake.call("POST", "/api/v1/grants", {"principal": "bob", "privilege": "SELECT", "kind": "table", "securable": TABLE})
    found = effective(lake.http._client)
    assert ("bob", "SELECT", None) in found
    assert ("data-scientists", "SELECT", "dev") in found
    assert (lake.principal, "OWNER", None) in found
    of_ann = effective(lake.http._client, principal="ann")
    assert {p for p, _, _ in of_ann} == {"data-scientists"}


def test_of_others_only_who_may_grant_is_told(people: dict[str, httpx.Client]) -> None:
    assert {p for p, _, _ in effective(people["ann"])} == {"data-scientists"}
    assert people["bob"].get("/api/v1/effective-grants", params={"name": TABLE}).status_code == 404
    ask = {"principal": "bob", "privilege": "SELECT", "name": TABLE}
    assert people["ann"].get("/api/v1/grants/check", params=ask).status_code == 403
    assert people["ann"].get("/api/v1/grants/check", params={**ask, "principal": "ann"}).json()["allowed"]


def test_check_says_yes_and_by_which_grant_or_no_and_what_is_lacking(cli: Callable[..., tuple[int, str]], people: Any) -> None:
    code, said = cli("grants", "check", "ann", "select", TABLE)
    assert code == 0, said
    assert "yes: ann and SELECT on table dev.shop.orders" in said
    assert "USE SCHEMA on dev.shop: data-scientists was granted USE SCHEMA on dev" in said
    code, said = cli("grants", "check", "bob", "MODIFY", TABLE)
    assert code == 1
    assert "USE CATALOG on dev: not held" in said


def test_a_group_becomes_owner_and_the_former_owner_is_one_no_more(
    cli: Callable[..., tuple[int, str]], lake: Lake, people: dict[str, httpx.Client]
) -> None:
    assert cli("grants", "owner", TABLE) == (0, f"{lake.principal}\n")
    assert people["ann"].put(f"/api/v1/securables/table/{TABLE}/owner", json={"owner": "ann"}).status_code == 403
    assert cli("grants", "owner", TABLE, "--to", "data-scientists")[0] == 0
    alter = {"description": "ours"}
    assert people["ann"].patch(f"/api/v1/tables/{TABLE}", json=alter).status_code == 200
    newest = next(e for e in lake.call("GET", f"/api/v1/audit?subject={TABLE}") if e["details"].get("owner"))
    assert newest["details"] == {"owner": "data-scientists", "former_owner": lake.principal}
    assert cli("grants", "owner", TABLE, "--to", "nobody")[0] == 1


def test_create_catalog_is_granted_on_the_metastore(cli: Callable[..., tuple[int, str]]) -> None:
    assert cli("grants", "add", "CREATE CATALOG", "--metastore", "--to", "data-scientists")[0] == 0
    assert "CREATE CATALOG" in cli("grants", "list", "boathouse", "--effective")[1]
    code, said = cli("grants", "add", "SELECT", "--metastore", "--to", "data-scientists")
    assert code == 1
    assert "SELECT cannot be granted on a metastore; it can on a catalog or a schema or a table" in said


def test_what_is_not_there_cannot_be_granted(cli: Callable[..., tuple[int, str]]) -> None:
    code, said = cli("grants", "add", "RUN", "--job", "dev.nothing", "--to", "data-scientists")
    assert code == 1
    assert "no job is named dev.nothing" in said
