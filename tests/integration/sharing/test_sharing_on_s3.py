"""On an object store links are the store's own: they open one file of the table, and nothing when changed."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_stores import ObjectStore

from boathouse.catalog import TableSpec
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.settings import load

TABLE = "/delta-sharing/shares/lab/schemas/lab/tables/open"


@pytest.fixture(scope="module")
def client(seaweed: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    kept = dict(os.environ)
    os.environ |= seaweed.environ | {"BOATHOUSE_STORAGE": f"s3://{seaweed.bucket()}/lake"}
    with Platform(load(home=str(tmp_path_factory.mktemp("home")))) as platform:
        jobs, rows = platform.service_identity("dev"), pa.table({"id": [1, 2], "day": ["a b", "c/d"]})
        platform.catalog.create_table(jobs, TableSpec("dev.lab.open", rows.schema, partition_by=("day",)))
        platform.catalog.folder("dev.lab.open").append(rows)
        platform.access.grant("root", ["dev-jobs"], ["CREATE SHARE"], "metastore", "boathouse")
        platform.sharing.shares.create(jobs, "lab")
        platform.sharing.shares.add(jobs, "lab", "dev.lab.open")
        secret, _ = platform.sharing.shares.invite(jobs, "lab", "dev-jobs", timedelta(hours=1))
        server = Server(platform)
        with httpx.Client(base_url=server.start(), headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as made:
            yield made
        server.stop()
    os.environ.clear()
    os.environ.update(kept)


def files(client: httpx.Client) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in client.post(f"{TABLE}/query", json={}).text.splitlines()]
    return [line["file"] for line in lines if "file" in line]


def test_links_lead_to_the_store_and_need_no_keys(client: httpx.Client, seaweed: ObjectStore) -> None:
    found = files(client)
    assert all(file["url"].startswith(seaweed.endpoint) for file in found)
    rows = [pq.read_table(pa.BufferReader(httpx.get(f["url"], trust_env=False).content)).to_pylist() for f in found]
    told = sorted((f["partitionValues"]["day"], r[0]["id"]) for f, r in zip(found, rows, strict=True))
    assert told == [("a b", 1), ("c/d", 2)]


def test_a_changed_link_opens_nothing(client: httpx.Client) -> None:
    first, second = (httpx.URL(file["url"]) for file in files(client))
    forged = first.copy_with(raw_path=second.raw_path.partition(b"?")[0] + b"?" + first.query)
    log = first.copy_with(raw_path=first.raw_path.partition(b"/day")[0] + b"/_delta_log/00000000000000000000.json?" + first.query)
    for url in (forged, log, str(first).partition("?")[0]):
        assert httpx.get(url, trust_env=False).status_code == 403
