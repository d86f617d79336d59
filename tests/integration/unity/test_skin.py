"""The skin's own ways: error bodies, pages, dialects, who is told where files lie. Clients are run in tests/compat."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from boathouse.catalog import TableSpec
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.server.unity import PREFIX, PREFIXES
from boathouse.server.unity.securable import identifier
from boathouse.settings import load

SDK = {"User-Agent": "x/0 databricks-sdk-py/0.162.0 python/3.11"}
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(load({}, home=str(tmp_path_factory.mktemp("home")))) as opened:
        for name in ("ann", "bob"):
            opened.identities.create(name, "user")
        opened.identities.add_member("data-scientists", "ann")
        for table in ("a", "b", "c"):
            spec = TableSpec(f"dev.lab.{table}", pa.schema([("n", pa.int64()), ("secret", pa.string())]))
            opened.catalog.create_table(opened.service_identity("dev"), spec)
        opened.catalog.describe(opened.service_identity("dev"), "dev.lab.c", {"masks": {"secret": "'***'"}})
        yield opened


@pytest.fixture(scope="module")
def ask(platform: Platform) -> Iterator[Ask]:
    server = Server(platform)
    url = server.start()
    tokens = {name: platform.identities.issue(name) for name in ("ann", "bob")}
    tokens["root"] = platform.home.operator_token() or ""
    client = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def call(method: str, path: str, who: str = "ann", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tokens[who]}"} if who else {}
        path = path if path.startswith(("/api", "/.")) else PREFIX + path
        return client.request(method, path, headers=headers | options.pop("headers", {}), **options)

    yield call
    client.close()
    server.stop()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_both_prefixes_answer(ask: Ask, prefix: str) -> None:
    assert [c["name"] for c in ask("GET", f"{prefix}/catalogs").json()["catalogs"]] == ["dev", "prod", "staging"]


def test_an_error_has_code_message_and_details(ask: Ask) -> None:
    answer = ask("GET", "/tables/dev.lab.nothing")
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (404, "TABLE_NOT_FOUND")
    assert body["details"][0]["reason"] == "TABLE_NOT_FOUND"
    assert "dev.lab.nothing" in body["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [("GET", "/tables", None, 400, "INVALID_PARAMETER_VALUE"),
     ("GET", "/tables/dev.lab", None, 400, "INVALID_NAME"),
     ("GET", "/tables/dev.la%27b.x", None, 400, "INVALID_NAME"),
     ("GET", "/schemas?catalog_name=dev&page_token=%FF", None, 400, "INVALID_PARAMETER_VALUE"),
     ("GET", "/schemas?catalog_name=dev&max_results=-1", None, 400, "INVALID_PARAMETER_VALUE"),
     ("GET", "/schemas/dev.nothing", None, 404, "SCHEMA_NOT_FOUND"),
     ("POST", "/schemas", {"name": "lab", "catalog_name": "dev"}, 400, "SCHEMA_ALREADY_EXISTS"),
     ("POST", "/tables", {"name": "x", "catalog_name": "dev", "schema_name": "lab"}, 400, "INVALID_PARAMETER_VALUE"),
     ("PATCH", "/permissions/table/dev.lab.a", {"changes": [{"principal": "ann", "add": ["SELECT"]}]}, 403, "PERMISSION_DENIED"),
     ("GET", "/permissions/spaceship/x", None, 404, "RESOURCE_NOT_FOUND"),
     ("POST", "/temporary-table-credentials", {"table_id": "none", "operation": "READ"}, 404, "TABLE_NOT_FOUND"),
     ("POST", "/temporary-path-credentials", {"url": "file:///etc", "operation": "PATH_READ"}, 404, "PATH_NOT_FOUND"),
     ("POST", "/temporary-path-credentials", {"url": "file:///etc", "operation": "PATH_FORMAT"}, 400,
      "INVALID_PARAMETER_VALUE")],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_code_that_clients_know(
    ask: Ask, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = ask(method, path, json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_without_a_token_nothing_answers(ask: Ask) -> None:
    for path in ("/catalogs", "/tables/dev.lab.a", "/metastore_summary", "/api/2.0/preview/scim/v2/Me"):
        answer = ask("GET", path, who="")
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_lists_come_in_pages(ask: Ask) -> None:
    first = ask("GET", "/tables?catalog_name=dev&schema_name=lab&max_results=2").json()
    token = first["next_page_token"]
    second = ask("GET", f"/tables?catalog_name=dev&schema_name=lab&max_results=2&page_token={token}").json()
    assert [t["name"] for t in first["tables"] + second["tables"]] == ["a", "b", "c"]
    assert second["next_page_token"] is None


def test_privileges_are_spelled_as_the_client_spells_them(ask: Ask, platform: Platform) -> None:
    changes = {"changes": [{"principal": "bob", "add": ["USE_SCHEMA", "BROWSE", "APPROVE"], "remove": []}]}
    assert ask("PATCH", "/permissions/schema/dev.lab", who="root", json=changes).status_code == 200
    plain = ask("GET", "/permissions/schema/dev.lab", who="root").json()
    assert plain == {"privilege_assignments": [{"principal": "bob", "privileges": ["USE SCHEMA"]}]}
    sdk = ask("GET", "/permissions/schema/dev.lab", who="root", headers=SDK).json()
    assert sdk == {"privilege_assignments": [{"principal": "bob", "privileges": ["BROWSE", "USE_SCHEMA"]}]}


def test_a_change_of_grants_happens_as_a_whole_or_not_at_all(ask: Ask, platform: Platform) -> None:
    before = platform.access.grants("schema", "dev.lab")
    changes = {"changes": [{"principal": "ann", "add": ["SELECT"]}, {"principal": "ann", "add": ["FLY"]}]}
    assert ask("PATCH", "/permissions/schema/dev.lab", who="root", json=changes).status_code == 400
    assert platform.access.grants("schema", "dev.lab") == before


def test_only_who_reads_the_disk_anyway_is_told_where_files_lie(ask: Ask) -> None:
    told = {who: ask("GET", "/tables/dev.lab.a", who=who).json()["storage_location"] for who in ("root", "ann")}
    assert told["root"].startswith("file:///")
    assert told["ann"] is None
    body = {"table_id": identifier("table", "dev.lab.a"), "operation": "READ"}
    assert ask("POST", "/temporary-table-credentials", who="root", json=body).json()["expiration_time"] > 0
    assert "lies on this server's disk" in ask("POST", "/temporary-table-credentials", json=body).json()["message"]


def test_a_path_is_opened_as_the_table_or_the_external_location_that_lies_there(
    ask: Ask, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    admin = Identity(platform.operator, platform.identities.groups_of(platform.operator))
    platform.locations.create(admin, "outside", outside.as_uri())
    table = ask("GET", "/tables/dev.lab.a", who="root").json()["storage_location"]
    for url, operation, who, status in (
        (table, "PATH_READ", "root", 200), (table + "/", "PATH_READ_WRITE", "root", 200), (table, "PATH_READ", "ann", 403),
        (table + "/_delta_log", "PATH_READ", "root", 404),
        (table.rpartition("/")[0], "PATH_READ", "root", 404), (outside.as_uri() + "/new", "PATH_CREATE_TABLE", "root", 200),
        (outside.as_uri() + "/new", "PATH_READ", "bob", 404),
    ):  # fmt: skip
        answer = ask("POST", "/temporary-path-credentials", who=who, json={"url": url, "operation": operation})
        assert answer.status_code == status, (url, operation, who, answer.text)


def test_nobody_gets_files_of_a_table_with_masks(ask: Ask) -> None:
    found = ask("GET", "/tables/dev.lab.c", who="root").json()
    assert (found["storage_location"], found["columns"][1]["mask"]) == (None, {"function_name": "'***'"})
    body = {"table_id": found["table_id"], "operation": "READ"}
    answer = ask("POST", "/temporary-table-credentials", who="root", json=body)
    assert (answer.status_code, "masks" in answer.json()["message"]) == (403, True)


def test_handing_out_write_credentials_and_every_refusal_is_audited(ask: Ask, platform: Platform) -> None:
    body = {"table_id": identifier("table", "dev.lab.a"), "operation": "READ_WRITE"}
    ask("POST", "/temporary-table-credentials", who="bob", json=body)
    assert ask("POST", "/temporary-table-credentials", who="root", json=body).status_code == 200
    entries = [(e.principal, e.action) for e in platform.audit.entries(subject="dev.lab.a", limit=10)]
    assert (platform.operator, "hand out write credentials") in entries
    assert ("bob", "denied SELECT") in entries


def test_databricks_sdk_is_told_that_this_is_no_workspace_with_a_config(ask: Ask) -> None:
    assert ask("GET", "/.well-known/databricks-config", who="").status_code == 404


def test_me_names_the_caller_and_the_groups(ask: Ask) -> None:
    me = ask("GET", "/api/2.0/preview/scim/v2/Me").json()
    assert (me["userName"], [g["display"] for g in me["groups"]]) == ("ann", ["data-scientists"])
