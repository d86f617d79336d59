"""What scoped credentials open at a store that enforces them, and who gets none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.exceptions
import pytest
from object_stores import ROLE, ObjectStore

from boathouse.catalog import Table, TableAccess
from boathouse.client import Http, Lake
from boathouse.errors import NotPermitted, Unavailable
from boathouse.lake import assume, storages

pytestmark = pytest.mark.xdist_group("object stores")
S3 = Any


@pytest.fixture(scope="module")
def tables(cloud_lake: Lake) -> Lake:
    for name in ("raw.events", "raw.events2", "raw.secret"):
        cloud_lake.create_table(name, {"id": "bigint"}).append({"id": [1]})
    return cloud_lake


def opened(lake: Lake, name: str, *privileges: str) -> TableAccess:
    return TableAccess.from_dict(lake.call("POST", f"/api/v1/tables/{name}/open", {"privileges": privileges}))


def client(store: ObjectStore, access: TableAccess) -> S3:
    return store.client(
        aws_access_key_id=access.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=access.credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=access.credentials["AWS_SESSION_TOKEN"],
    )


def place(access: TableAccess) -> tuple[str, str]:
    bucket, _, prefix = access.info.location.removeprefix("s3://").partition("/")
    return bucket, prefix


def refused(act: Callable[[], Any]) -> bool:
    try:
        act()
    except botocore.exceptions.ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


@pytest.mark.parametrize("cloud_lake", ["sts"], indirect=True)
class TestWithSts:
    """The store gives sessions of a role."""

    def test_a_reader_reads_its_table_and_changes_nothing(self, tables: Lake, seaweed: ObjectStore) -> None:
        access = opened(tables, "dev.raw.events", "SELECT")
        (bucket, prefix), s3 = place(access), client(seaweed, access)
        log = f"{prefix}/_delta_log/00000000000000000000.json"
        assert s3.get_object(Bucket=bucket, Key=log)["ContentLength"] > 0
        assert refused(lambda: s3.put_object(Bucket=bucket, Key=f"{prefix}/x", Body=b"x"))
        assert refused(lambda: s3.delete_object(Bucket=bucket, Key=log))

    @pytest.mark.parametrize("other", ["events2", "secret"])
    def test_a_writer_reaches_no_other_table(self, tables: Lake, seaweed: ObjectStore, other: str) -> None:
        access = opened(tables, "dev.raw.events", "SELECT", "MODIFY")
        (bucket, prefix), s3 = place(access), client(seaweed, access)
        theirs = f"{prefix.removesuffix('events')}{other}/_delta_log/00000000000000000000.json"
        s3.put_object(Bucket=bucket, Key=f"{prefix}/mine", Body=b"x")
        for act in (
            lambda: s3.get_object(Bucket=bucket, Key=theirs),
            lambda: s3.put_object(Bucket=bucket, Key=theirs, Body=b"{}"),
            lambda: s3.delete_object(Bucket=bucket, Key=theirs),
            lambda: s3.copy_object(Bucket=bucket, Key=f"{prefix}/stolen", CopySource=f"{bucket}/{theirs}"),
            lambda: s3.list_objects_v2(Bucket=bucket, Prefix=theirs.rpartition("/")[0]),
            lambda: s3.list_objects_v2(Bucket=bucket),
        ):
            assert refused(act)

    def test_the_servers_own_keys_are_in_no_answer(self, tables: Lake, seaweed: ObjectStore) -> None:
        answer = tables.http.text("/api/v1/tables/dev.raw.events").text + str(
            tables.call("POST", "/api/v1/tables/dev.raw.events/open", {"privileges": ["SELECT", "MODIFY"]})
        )
        assert seaweed.environ["AWS_SECRET_ACCESS_KEY"] not in answer
        assert "AWS_SESSION_TOKEN" in answer

    def test_credentials_live_for_minutes_and_are_shared_by_openings(self, tables: Lake) -> None:
        first, second = (opened(tables, "dev.raw.secret", "SELECT") for _ in range(2))
        assert first.credentials == second.credentials
        assert first.expires_at is not None
        assert timedelta(minutes=25) < first.expires_at - datetime.now(UTC) <= timedelta(minutes=30)
        assert "AWS_SECRET_ACCESS_KEY" not in repr(first)

    def test_an_issue_of_credentials_is_audited(self, tables: Lake) -> None:
        opened(tables, "dev.raw.events2", "SELECT", "MODIFY")
        entries = tables.call("GET", "/api/v1/audit?subject=dev.raw.events2")
        assert ("issue credentials", True) in [(e["action"], e["details"].get("write")) for e in entries]

    def test_a_table_with_a_mask_comes_through_the_server(self, tables: Lake) -> None:
        tables.create_table("raw.masked", {"id": "bigint"}).append({"id": [7]})
        tables.describe_table("raw.masked", masks={"id": "0"})
        access = opened(tables, "dev.raw.masked", "SELECT")
        assert (access.through, access.credentials) == ("server", {})
        assert tables.table("raw.masked").read().to_dicts() == [{"id": 0}]

    def test_a_writer_without_select_works_through_the_server(self, tables: Lake) -> None:
        tables.call("POST", "/api/v1/principals", {"name": "wren", "kind": "user"})
        for privilege, kind, name in (
            ("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.raw"), ("MODIFY", "table", "dev.raw.secret"),
        ):  # fmt: skip
            body = {"principal": "wren", "privilege": privilege, "kind": kind, "securable": name}
            tables.call("POST", "/api/v1/grants", body)
        token = tables.call("POST", "/api/v1/tokens", {"comment": "wren's", "principal": "wren"})
        with Lake(Http(tables.http.url, token.get("token") or token.get("secret")), "dev") as wren:
            table = wren.table("raw.secret")
            assert opened(wren, "dev.raw.secret", "MODIFY").credentials == {}
            assert table.append({"id": [2]}).operation == "WRITE"
            with pytest.raises(NotPermitted, match="SELECT"):
                table.read()
        assert tables.table("raw.secret").read().count() == 2

    def test_a_table_is_opened_anew_before_its_keys_expire(self, tables: Lake) -> None:
        old = opened(tables, "dev.raw.events", "SELECT")
        asked: list[str] = []

        def reopen(privilege: str) -> TableAccess:
            asked.append(privilege)
            return opened(tables, "dev.raw.events", privilege)

        dying = TableAccess(old.info, old.privileges, "files", {"AWS_ACCESS_KEY_ID": "dead"}, datetime.now(UTC))
        assert Table(dying, tables, tables.engine, reopen).read().count() == 1
        assert asked == ["SELECT"]


@pytest.mark.parametrize("cloud_lake", ["no sts"], indirect=True)
def test_where_the_store_has_no_sts_nobody_gets_keys(tables: Lake) -> None:
    access = opened(tables, "dev.raw.events", "SELECT", "MODIFY")
    assert (access.through, access.credentials, access.expires_at) == ("server", {}, None)


def test_moto_gives_credentials_of_the_same_shape(moto: ObjectStore) -> None:
    place = storages(f"s3://{moto.bucket()}", {}, moto.environ).default.child("t")
    found = assume(place, ROLE, "ann@run/1", timedelta(minutes=15), write=True)
    assert found.options.keys() > {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"}
    assert found.options["AWS_ACCESS_KEY_ID"] != moto.environ["AWS_ACCESS_KEY_ID"]
    assert timedelta(minutes=14) < found.expires_at - datetime.now(UTC) <= timedelta(minutes=15)


def test_a_role_that_refuses_is_named(seaweed: ObjectStore) -> None:
    place = storages(f"s3://{seaweed.bucket()}", {}, seaweed.environ).default
    with pytest.raises(Unavailable, match=r"storage_role_arn \(arn:aws:iam::1:role/Other\)") as refused:
        assume(place, "arn:aws:iam::1:role/Other", "ann", timedelta(minutes=15), write=False)
    assert "server-secret" not in str(refused.value)
