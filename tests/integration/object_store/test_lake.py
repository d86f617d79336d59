"""What a user does with tables on an object store, under scoped credentials or through the server."""

import json
from typing import Any

import pytest
from object_stores import ObjectStore

from boathouse.client import Lake
from boathouse.errors import InvalidInput, NotFound


def log(store: ObjectStore, bucket: str, prefix: str, version: int) -> list[dict[str, Any]]:
    said = store.client().get_object(Bucket=bucket, Key=f"{prefix}/_delta_log/{version:020}.json")["Body"].read()
    return [json.loads(line) for line in said.splitlines()]


def test_a_table_there_works_as_one_on_disk_does(cloud_lake: Lake) -> None:
    table = cloud_lake.create_table("raw.trips", {"id": "bigint", "km": "double"}, primary_keys=["id"])
    table.append({"id": [1, 2], "km": [1.0, 2.0]})
    table.merge({"id": [2, 3], "km": [20.0, 30.0]})
    table.update({"km": "km + 1"}, where="id = 3")
    table.delete("id = 1")
    assert table.info.location.startswith(("s3://", "abfss://"))
    assert sorted(r["km"] for r in table.read()) == [20.0, 31.0]
    assert [r["id"] for r in table.read(columns=["id"], where="km > 25")] == [3]
    assert cloud_lake.sql("SELECT sum(km) AS km FROM raw.trips").to_dicts() == [{"km": 51.0}]
    assert [c["operation"] for c in table.history(2)] == ["DELETE", "UPDATE"]


def test_maintenance_of_a_table(cloud_lake: Lake) -> None:
    table = cloud_lake.create_table("raw.small", {"id": "bigint"})
    for number in range(3):
        table.append({"id": [number]})
    assert table.changes(since=1).count() == 2
    assert table.optimize().operation == "OPTIMIZE"
    assert len(table.vacuum(retention_hours=0).files) == 3
    assert table.read().count() == 3
    cloud_lake.drop_table("raw.small")
    with pytest.raises(NotFound):
        cloud_lake.table("raw.small")


def test_an_append_with_a_transaction_is_made_once(cloud_lake: Lake) -> None:
    table = cloud_lake.create_table("raw.once", {"id": "bigint"})
    for _ in range(2):
        table.append({"id": [1]}, transaction=("loader", 7))
    assert (table.read().count(), table.transaction_version("loader")) == (1, 7)


def test_a_refusal_reaches_the_caller_as_what_it_is(cloud_lake: Lake) -> None:
    table = cloud_lake.create_table("raw.strict", {"id": "bigint"}, constraints={"positive": "id > 0"})
    with pytest.raises(InvalidInput, match=r"dev\.raw\.strict"):
        table.append({"id": [-1]})


@pytest.mark.parametrize("cloud_lake", ["sts", "no sts"], indirect=True)
def test_a_selective_read_opens_only_the_files_it_needs(cloud_lake: Lake, seaweed: ObjectStore) -> None:
    table = cloud_lake.create_table("raw.pruned", {"id": "bigint", "name": "string"})
    for number in range(4):
        table.append({"id": [number * 10, number * 10 + 9], "name": ["a", "b"]})
    bucket, _, prefix = table.info.location.removeprefix("s3://").partition("/")
    files = [c["Key"] for c in seaweed.client().list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    needed = f"{prefix}/{next(a['add'] for a in log(seaweed, bucket, prefix, 3) if 'add' in a)['path']}"
    for key in files:
        if key.endswith(".parquet") and key != needed:
            seaweed.client().delete_object(Bucket=bucket, Key=key)
    assert table.read(where="id BETWEEN 20 AND 29").count() == 2
    assert cloud_lake.sql("SELECT id FROM raw.pruned WHERE id = 29 AND name = 'b'").to_dicts() == [{"id": 29}]
