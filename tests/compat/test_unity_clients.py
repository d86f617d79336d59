"""Stock clients of Unity Catalog against a live server: what they can do, and what they are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from boathouse.server.unity.securable import identifier

pytestmark = pytest.mark.xdist_group("compat")
Client = Callable[..., Any]
ROWS = [{"id": 1, "city": "Oslo", "fare": 10.5}, {"id": 2, "city": "Rome", "fare": 7.25}, {"id": 3, "city": "Oslo", "fare": 3.0},
        {"id": 4, "city": None, "fare": 8.0}]  # fmt: skip
MANY = 103
"""More tables in `dev.many` than a page holds."""
REFUSED = [403, "PERMISSION_DENIED"]


def test_polars_reads_makes_writes_and_drops_tables(client: Client) -> None:
    said = client("polars_catalog", "root", "works")
    assert said["catalogs"] == ["dev", "prod", "staging"]
    assert (said["schemas"], said["left"], said["many"]) == (["lab", "many"], ["lab", "many"], MANY)
    assert said["columns"] == [["id", "LONG"], ["city", "STRING"], ["fare", "DOUBLE"]]
    assert said["rows"] == ROWS
    assert (said["made"], said["written"]) == (["counts", "MANAGED", True], 4)
    assert (said["external"], said["stays"]) == (["EXTERNAL", 6], 6)
    assert "no external location" in said["elsewhere"]


def test_polars_gets_no_files_of_masked_tables_and_none_of_a_disk_that_is_not_its_users(client: Client) -> None:
    assert "storage" in client("polars_catalog", "root", "works")["masked"]
    said = client("polars_catalog", "ann", "reads")
    assert said["tables"] == ["people", "trips"]
    assert said["scan"] != "done"


def test_polars_without_grants_sees_nothing(client: Client) -> None:
    said = client("polars_catalog", "bob", "denied")
    assert said["catalogs"] == []
    assert all("lacks USE CATALOG on dev" in said[asked] for asked in ("tables", "table", "drop"))


def test_daft_lists_and_reads(client: Client) -> None:
    said = client("daft_catalog", "root", "works")
    assert said["schemas"] == ["dev.lab", "dev.many"]
    assert (said["many"], said["rows"], said["through_catalog"], said["there"]) == (MANY, ROWS, 4, True)


def test_daft_without_grants_sees_nothing(client: Client) -> None:
    said = client("daft_catalog", "bob", "denied")
    assert said["catalogs"] == []
    assert said["tables"].startswith("PermissionDeniedError")
    assert said["table"].startswith("PermissionDeniedError")


def test_unitycatalog_client_does_all_that_the_caller_may(client: Client) -> None:
    said = client("unitycatalog_client", "ann", "works")
    assert (said["catalogs"], said["catalog"]) == (["dev", "prod", "staging"], "admins")
    assert (said["schema"], said["described"]) == (["dev.oss", "ann", "made by a client"], "described")
    things = [["id", "bigint", True], ["tags", "array<struct<k:string,v:decimal(8,2)>>", True]]
    assert said["table"] == ["MANAGED", {"team": "lab"}, things]
    assert (said["again"], said["listed"]) == ([400, "TABLE_ALREADY_EXISTS"], ["things"])
    assert said["pages"] == [50, "t049", "t050", 3, None]
    assert said["granted"] == [["bob", ["SELECT", "USE SCHEMA"]]]
    assert said["own"] == ["data-scientists"]  # what others hold on a catalog that ann does not manage is not shown
    assert (said["model"], said["versions"]) == (["dev.oss.delay", "delay"], [])
    assert said["foreign_source"] == [400, "INVALID_PARAMETER_VALUE"]
    assert (said["volume"], said["volumes"]) == (["dev.oss.files", "more pictures"], ["files"])
    assert said["volume_credentials"] == REFUSED
    assert len(said["metastore"]) == 36


def test_unitycatalog_client_hears_the_codes_it_knows(client: Client) -> None:
    said = client("unitycatalog_client", "ann", "works")
    assert said["missing"] == [404, "TABLE_NOT_FOUND"]
    assert said["not_empty"] == [409, "RESOURCE_CONFLICT"]
    assert said["no_catalog"] == REFUSED
    assert said["credentials"] == REFUSED  # ann's programs do not run as the user who owns the disk


def test_unitycatalog_client_governs_catalogs_as_an_admin(client: Client) -> None:
    said = client("unitycatalog_client", "root", "governs")
    assert (said["made"], said["described"]) == (["archive", "old years"], "older years")
    assert said["environment"] == [409, "RESOURCE_CONFLICT"]
    assert said["credentials"] == [True, True, None]


def test_unitycatalog_client_without_grants_is_refused_everywhere(client: Client) -> None:
    said = client("unitycatalog_client", "bob", "denied")
    assert said["catalogs"] == []
    assert {asked: answer for asked, answer in said["refused"].items() if answer != REFUSED} == {}


def test_databricks_sdk_does_all_that_the_caller_may(client: Client) -> None:
    said = client("databricks_sdk", "ann", "works")
    assert (said["me"], said["catalogs"]) == (["ann", ["data-scientists"]], ["dev", "prod", "staging"])
    assert said["schema"] == "dev.sdk"
    assert said["table"] == ["dev.sdk.events", "ann", [["id", "bigint", None], ["day", "date", 0]]]
    assert (said["exists"], said["many"], said["summaries"]) == ([True, False], MANY, ["dev.lab.trips"])
    assert (said["key"], said["tags"]) == (["events_pk", ["id"]], [["team", "lab"]])
    assert (said["token"], said["revoked"]) == (["ann", True], "Unauthenticated UNAUTHENTICATED")
    assert (said["metastore"], said["not_found"]) == (["boathouse", "dev"], "NotFound TABLE_NOT_FOUND")
    assert said["given_away"] == ["bob", "NotFound PRINCIPAL_NOT_FOUND"]


def test_databricks_sdk_grants_and_sees_where_privileges_come_from(client: Client) -> None:
    said = client("databricks_sdk", "ann", "works")
    assert said["granted"] == [["bob", ["MANAGE", "SELECT"]]]
    assert said["inherited"] == "SELECT CATALOG dev"
    assert not said["taken"]


def test_databricks_sdk_without_grants_is_refused_everywhere(client: Client) -> None:
    said = client("databricks_sdk", "bob", "denied", identifier("table", "dev.lab.trips"))
    assert (said["me"], said["catalogs"], said["exists"]) == ("bob", [], False)
    assert set(said["refused"].values()) == {"PermissionDenied PERMISSION_DENIED"}


def test_clients_register_versions_and_move_aliases_which_moves_stages(client: Client, live: Any) -> None:
    registered = client("unitycatalog_client", "ann", "registers")
    assert registered["versions"] == [[1, "READY", None], [2, "READY", None]]
    assert (registered["described"], registered["upload"]) == ("minutes late", [400, "INVALID_PARAMETER_VALUE"])
    said = client("databricks_sdk", "ann", "models", "dev.lab.delay")
    assert (said["versions"], said["by_alias"]) == ([1, 2], 1)
    assert said["aliases"] == [["candidate", 1], ["champion", 2]]
    assert (said["comment"], said["listed"]) == ("the first", ["dev.lab.delay"])
    assert said["champion_kept"].startswith("ResourceConflict")
    shown = live.http("GET", "/api/v1/models/dev.lab.delay").json()
    assert (shown["production"], shown["aliases"]) == (2, {"champion": 2})
