"""Several processes write one table on S3 at once: conditional puts keep every commit."""

import subprocess
import sys

import pytest
from object_stores import ObjectStore

from boathouse.lake import DeltaFolder, Engine, schema_of, storages

pytestmark = pytest.mark.xdist_group("processes")

WRITER = """
import os, sys
from boathouse.lake import DeltaFolder, storages
place = storages(sys.argv[1], {}, os.environ).default
folder, me = DeltaFolder(place.url, "dev.raw.events", place.options), int(sys.argv[2])
for number in range(6):
    folder.append({"id": [me * 100 + number], "writer": [me]})
    folder.merge({"id": [-1 - number], "writer": [me]}, ["id"])
"""


def test_nothing_is_lost_and_nothing_doubled(seaweed: ObjectStore) -> None:
    url = f"s3://{seaweed.bucket()}/events"
    place = storages(url, {}, seaweed.environ).default
    folder = DeltaFolder(url, "dev.raw.events", place.options)
    folder.create(schema_of({"id": "bigint", "writer": "bigint"}))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(me)], env=seaweed.environ) for me in range(3)]
    assert [writer.wait(200) for writer in writers] == [0, 0, 0]
    engine = Engine()
    rows = engine.relation(f"SELECT id FROM {engine.scan(folder.table())} ORDER BY id").to_dicts()
    assert [r["id"] for r in rows] == [*range(-6, 0), *(me * 100 + n for me in range(3) for n in range(6))]
    assert folder.version() == 36
