"""Where tables lie on an object store, clients of people who do not run the server open files with scoped credentials."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from object_stores import ROLE, ObjectStore

from boathouse.catalog import TableSpec
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.settings import load

pytestmark = pytest.mark.xdist_group("compat")
SCRIPT = Path(__file__).parent / "clients" / "polars_on_s3.py"
TRIPS = {"id": [1, 2, 3, 4], "city": ["Oslo", "Rome", "Oslo", None], "fare": [10.5, 7.25, 3.0, 8.0]}


@pytest.fixture(scope="module")
def on_s3(seaweed: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, str]]:
    environ = seaweed.environ | {"BOATHOUSE_STORAGE": f"s3://{seaweed.bucket()}/lake", "BOATHOUSE_STORAGE_ROLE_ARN": ROLE}
    kept = dict(os.environ)
    os.environ |= environ
    with Platform(load(home=str(tmp_path_factory.mktemp("home")))) as platform:
        jobs = platform.service_identity("dev")
        rows = pa.table(TRIPS)
        platform.catalog.create_table(jobs, TableSpec("dev.lab.trips", rows.schema))
        platform.catalog.folder("dev.lab.trips").append(rows)
        platform.identities.create("ann", "user")
        platform.identities.create("bob", "user")
        platform.identities.add_member("data-scientists", "ann")
        platform.access.grant("root", ["bob"], ["USE CATALOG"], "catalog", "dev")
        server = Server(platform)
        yield platform, server.start()
        server.stop()
    os.environ.clear()
    os.environ.update(kept)


def polars(on_s3: tuple[Platform, str], python: Path, who: str, endpoint: str) -> Any:
    """What the client said, with no keys of its own."""
    platform, url = on_s3
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BOATHOUSE_"))}
    environ |= {"URL": url, "TOKEN": platform.identities.issue(who), "HOME": str(platform.settings.home)}
    command = [str(python), "-W", "ignore", str(SCRIPT), endpoint]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_polars_reads_and_writes_with_credentials_that_the_catalog_hands_out(
    on_s3: tuple[Platform, str], python: Path, seaweed: ObjectStore
) -> None:
    said = polars(on_s3, python, "ann", seaweed.endpoint)
    assert [r["id"] for r in said["rows"]] == [1, 2, 3, 4], said
    assert said["after"] == 5
    entries = [(e.principal, e.action) for e in on_s3[0].audit.entries(subject="dev.lab.trips")]
    assert ("ann", "hand out write credentials") in entries


def test_polars_without_the_grant_gets_none(on_s3: tuple[Platform, str], python: Path, seaweed: ObjectStore) -> None:
    assert "bob lacks USE SCHEMA on dev.lab" in polars(on_s3, python, "bob", seaweed.endpoint)["refused"]
