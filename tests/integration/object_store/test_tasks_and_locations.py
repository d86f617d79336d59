"""Tasks on S3 hold keys of their own table only; tables of other buckets are registered, read and let go."""

from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from object_stores import ObjectStore
from obstore.exceptions import PermissionDeniedError

from boathouse.client import Lake
from boathouse.errors import Conflict, NotPermitted
from boathouse.lake import storages

pytestmark = pytest.mark.xdist_group("object stores")

BUNDLE = """
bundle: {name: cloud}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    load: {tasks: [{task_key: write, spark_python_task: {python_file: write.py}}]}
"""
TASK = """
import os
import boathouse
lake = boathouse.connect()
table = lake.create_table("raw.loaded", {"n": "bigint"}, exists_ok=True)
table.append({"n": [1, 2, 3]})
print("rows", table.read().count(), "sum", lake.sql("SELECT sum(n)::INT AS n FROM raw.loaded").to_dicts())
print("own keys", sorted(k for k in os.environ if k.startswith("AWS_")))
print("server's secret seen", "server-secret" in str(os.environ) or "server-secret" in str(vars(table._access)))
print("through", table._access.through, bool(table._access.credentials))
"""


@pytest.mark.parametrize("cloud_lake", ["sts", "no sts"], indirect=True)
def test_a_task_reads_and_writes_without_the_servers_keys(cloud_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text(BUNDLE)
    (tmp_path / "write.py").write_text(TASK)
    cloud_lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    run = cloud_lake.jobs.run("load", params={})
    log = cloud_lake.jobs.log(run["id"], "write")
    assert "rows 3 sum [{'n': 6}]" in log
    assert "own keys []" in log
    assert "server's secret seen False" in log
    assert "through files True" in log or "through server False" in log


@pytest.mark.parametrize("cloud_lake", ["sts"], indirect=True)
def test_a_table_in_another_bucket_is_registered_under_its_own_keys(cloud_lake: Lake, seaweed: ObjectStore) -> None:
    bucket = seaweed.bucket()
    options: Any = dict(storages(f"s3://{bucket}", {}, seaweed.environ).default.options)
    write_deltalake(f"s3://{bucket}/trips", pa.table({"id": [1, 2]}), storage_options=options)
    cloud_lake.call("POST", "/api/v1/locations", {"name": "landing", "url": f"s3a://{bucket}/"})
    table = cloud_lake.register_table("raw.outside", f"s3://{bucket}/trips/", primary_keys=["id"])
    table.append({"id": [3]})
    assert (table.info.table_type, table.read().count()) == ("EXTERNAL", 3)
    with pytest.raises(Conflict, match="reached through them"):
        cloud_lake.location("landing")
    cloud_lake.drop_table("raw.outside")
    assert seaweed.client().list_objects_v2(Bucket=bucket)["KeyCount"] > 2


@pytest.mark.parametrize("cloud_lake", ["sts"], indirect=True)
def test_files_of_a_location_are_opened_for_minutes(cloud_lake: Lake, seaweed: ObjectStore) -> None:


    bucket = seaweed.bucket()
    cloud_lake.call("POST", "/api/v1/locations", {"name": "drop", "url": f"s3://{bucket}/in"})
    obstore.put(cloud_lake.location("drop", write=True).store(), "a/b.txt", b"hello")
    reading = cloud_lake.location("drop").store()
    assert bytes(obstore.get(reading, "a/b.txt").bytes()) == b"hello"
    with pytest.raises(PermissionDeniedError):
        obstore.put(reading, "a/c.txt", b"no")
    assert "server-secret" not in str(cloud_lake.call("POST", "/api/v1/locations/drop/open", {"write": True}))


@pytest.mark.parametrize("cloud_lake", ["sts"], indirect=True)
def test_managed_storage_cannot_be_named_from_outside(cloud_lake: Lake) -> None:
    own = cloud_lake.create_table("raw.guarded", {"id": "bigint"}).info.location
    with pytest.raises(Exception, match="overlaps the lakehouse") as refused:
        cloud_lake.call("POST", "/api/v1/locations", {"name": "sly", "url": own.rpartition("/dev/")[0]})
    assert not isinstance(refused.value, NotPermitted)
