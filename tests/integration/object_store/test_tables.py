"""The life of a table on S3 and Azure."""

from typing import Any

import pyarrow as pa
import pytest
from object_stores import Azure, ObjectStore

from boathouse.errors import Unavailable
from boathouse.lake import DeltaFolder, Engine, Storage, schema_of, storages

SAID = ("version", "timestamp", "operation", "operationParameters")


@pytest.fixture(params=["seaweed", "moto"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["seaweed", "moto", "azurite"])
def place(request: pytest.FixtureRequest) -> Storage:
    store: Any = request.getfixturevalue(request.param)
    root = store.container() if isinstance(store, Azure) else f"s3://{store.bucket()}"
    return storages(f"{root}/a lake", {}, store.environ).of("dev")


def test_a_store_is_checked_and_left_as_it_was(place: Storage) -> None:
    place.check()
    assert not place.holds_anything()


def test_a_missing_bucket_is_named(store: ObjectStore) -> None:
    with pytest.raises(Unavailable, match="there is no such bucket"):
        storages("s3://nowhere-to-be-found", {}, store.environ).default.check()


def test_a_table_is_made_changed_read_and_removed(place: Storage) -> None:
    folder = DeltaFolder(place.child("raw", "events").url, "dev.raw.events", place.options)
    folder.create(schema_of({"id": "bigint", "who": "string"}))
    folder.append({"id": [1, 2], "who": ["a", "b"]})
    folder.merge(pa.table({"id": [2, 3], "who": ["B", "c"]}), ["id"])
    folder.delete("id = 1")
    assert _rows(folder) == [{"id": 2, "who": "B"}, {"id": 3, "who": "c"}]
    assert _rows(folder, version=1) == [{"id": 1, "who": "a"}, {"id": 2, "who": "b"}]
    folder.optimize()
    assert folder.vacuum(0) != []
    folder.remove()
    assert not folder.exists()


def _rows(folder: DeltaFolder, version: int | None = None) -> list[dict[str, Any]]:
    engine = Engine()
    return engine.relation(f"SELECT * FROM {engine.scan(folder.table(version))} ORDER BY id").to_dicts()


def test_history_is_what_delta_itself_says(place: Storage) -> None:
    folder = DeltaFolder(place.child("raw", "told").url, "dev.raw.told", place.options)
    folder.create(schema_of({"id": "bigint"}))
    folder.append({"id": [1]})
    folder.delete("id = 1")
    for limit in (None, 1):
        ours, deltas = folder.history(limit), folder.table().history(limit)
        assert [{k: c[k] for k in SAID} for c in ours] == [{k: c[k] for k in SAID} for c in deltas]


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "check AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "check AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "check AWS_ENDPOINT_URL"),
    ],
)
def test_what_is_wrong_with_a_store_is_said_with_advice(seaweed: ObjectStore, change: dict[str, str], advice: str) -> None:
    with pytest.raises(Unavailable, match=advice) as refused:
        storages(f"s3://{seaweed.bucket()}", {}, seaweed.environ | change).default.check()
    assert "server-secret" not in str(refused.value)


def test_a_table_whose_store_is_gone_is_named() -> None:
    options = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "k",
               "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "max_retries": "0"}  # fmt: skip
    with pytest.raises(Unavailable, match=r"dev\.raw\.events cannot be reached: nothing answers"):
        DeltaFolder("s3://lake/events", "dev.raw.events", options).table()
