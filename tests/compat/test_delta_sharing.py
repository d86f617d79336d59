"""The stock delta-sharing client against a live server, with a profile file that the command line made."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.client import Http, Lake

Client = Callable[..., Any]
pytestmark = pytest.mark.xdist_group("compat")


@pytest.fixture(scope="module")
def shared(live: Any) -> Any:
    """A share `lab`, and a partner who may read its tables, but one."""
    with Lake(Http(live.url, live.tokens["root"]), "dev") as lake:
        lake.table("lab.trips").append(pa.table({"id": [5], "city": ["Rome"], "fare": [1.0]}))
        days = pa.table({"n": [1, 2, 3], "day": [date(2026, 1, 1), date(2026, 1, 2), None]})
        lake.create_table("lab.days", days.schema, partition_by=["day"])
        lake.table("lab.days").append(days)
        for name in ("lab.secret", "lab.odd"):
            lake.create_table(name, {"id": "bigint", "text": "string"})
            lake.table(name).append(pa.table({"id": [1], "text": [name]}))
        lake.http.call("POST", "/api/v1/principals", {"name": "partner", "kind": "service_principal"})
        selects = [("SELECT", "table", f"dev.lab.{t}") for t in ("trips", "days", "people", "odd")]
        for privilege, kind, name in (("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.lab"), *selects):
            body = {"principal": "partner", "privilege": privilege, "kind": kind, "securable": name}
            lake.http.call("POST", "/api/v1/grants", body)
        lake.http.call("POST", "/api/v1/shares/lab")
        for table in ("trips", "days", "people", "secret"):
            lake.http.call("POST", "/api/v1/shares/lab/tables", {"table": f"dev.lab.{table}"})
        lake.http.call("POST", "/api/v1/shares/lab/tables", {"table": "dev.lab.odd", "shared_as": "public.odd"})
    return live


@pytest.fixture(scope="module")
def profile(shared: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("partner") / "lab.share"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BOATHOUSE_")}
    command = [str(Path(sys.executable).with_name("boathouse")), "--home", str(shared.home), "shares", "profile", "lab",
               "--to", "partner", "--expires", "1h", "--out", str(path)]  # fmt: skip
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert "opens lab as partner" in done.stdout, done.stderr
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_the_stock_client_reads_lists_versions_and_changes(client: Client, profile: Path) -> None:
    said = client("delta_sharing_client", "bob", "works", str(profile))
    assert (said["shares"], said["schemas"]) == (["lab"], ["lab", "public"])
    assert said["tables"] == ["lab.days", "lab.people", "lab.trips", "public.odd"]  # not lab.secret: no SELECT on it
    assert [r["id"] for r in said["rows"]] == [1, 2, 3, 4, 5]
    assert said["rows"][3] == {"id": 4, "city": None, "fare": 8.0}
    assert (said["version"], said["since"]) == (2, 0)
    assert [r["id"] for r in said["first"]] == [1, 2, 3, 4]
    assert said["limit"] == 2
    assert said["changes"] == [["insert", 1, n] for n in (1, 2, 3, 4)] + [["insert", 2, 5]]


def test_partitions_come_back_as_columns_and_hints_leave_files_out(client: Client, profile: Path) -> None:
    said = client("delta_sharing_client", "bob", "works", str(profile))
    assert [(r["n"], str(r["day"])[:10]) for r in said["by_day"]] == [(1, "2026-01-01"), (2, "2026-01-02"), (3, "None")]
    assert [r["n"] for r in said["hinted"]] == [2]
    assert said["partitions"] == ["day"]


def test_masked_tables_are_shared_as_the_recipient_sees_them(client: Client, profile: Path) -> None:
    said = client("delta_sharing_client", "bob", "works", str(profile))
    assert said["masked"] == [{"name": "Ida", "email": "***"}]
    assert said["masked_before"] == []
    refused = client("delta_sharing_client", "bob", "outside", str(profile))
    assert "masks" in refused["masked_changes"]


def test_what_is_not_granted_or_not_in_the_share_is_refused(client: Client, profile: Path) -> None:
    said = client("delta_sharing_client", "bob", "outside", str(profile))
    assert "partner lacks SELECT on dev.lab.secret" in said["unlisted"]
    assert "404" in said["other_share"]


def test_a_revoked_profile_opens_nothing(client: Client, shared: Any, profile: Path, tmp_path: Path) -> None:
    body = {"principal": "partner", "expires": "1h"}
    made = shared.http("POST", "/api/v1/shares/lab/recipients", "root", json=body).json()
    path = tmp_path / "second.share"
    path.write_text(json.dumps(made["profile"]))
    shared.http("DELETE", f"/api/v1/shares/lab/recipients/{made['token']['id']}", "root")
    said = client("delta_sharing_client", "bob", "denied", str(path))
    assert "revoked or expired" in said["shares"]
    assert "401" in said["guessed"]
    assert said["expires"]
