"""The embedded online store: the contract of all stores, and what is its own."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from online_stores import TABLE, OnlineStoreBehaviour, batch, wanted

from boathouse.errors import InvalidInput, Unavailable
from boathouse.features import EmbeddedStore, OnlineStore, open_online_store

FILLING = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from boathouse.errors import Unavailable
from boathouse.features import EmbeddedStore, Publication

store = EmbeddedStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
rows = pa.RecordBatch.from_pydict({"tail": [f"M{i}" for i in range(50_000)], "seats": list(range(50_000))})
try:
    store.publish(Publication(table="prod.features.planes", keys=("tail",), version=2), [rows])
except Unavailable as error:
    print(error)
"""


class TestEmbeddedStore(OnlineStoreBehaviour):
    @pytest.fixture
    def store(self, tmp_path: Path) -> OnlineStore:
        return EmbeddedStore(tmp_path / "online", "prod")


def test_a_full_disk_is_told_and_the_old_rows_are_served(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.publish(wanted(1), [batch(seats=[1, 2])])
    said = subprocess.run([sys.executable, "-c", FILLING, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert "free some space and publish again" in said
    assert store.lookup(TABLE, [("N1",), ("M1",)]).rows == [(1,), None]
    store.publish(wanted(3), [batch(seats=[7, 8])])
    assert store.lookup(TABLE, [("N1",)]).rows == [(7,)]


def test_damaged_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no database" * 4096)
    with pytest.raises(Unavailable, match="remove that folder and publish again"):
        EmbeddedStore(tmp_path).lookup(TABLE, [("N1",)])


def test_stores_of_one_process_share_what_is_open(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path).publish(wanted(), [batch(seats=[1, 2])])
    first, second = EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)
    assert first.lookup(TABLE, [("N1",)]) == second.lookup(TABLE, [("N1",)])
    del first, second
    gc.collect()
    assert EmbeddedStore(tmp_path).lookup(TABLE, [("N1",)]).rows == [(1,)]


def test_a_location_says_which_store_it_is(tmp_path: Path) -> None:
    assert isinstance(open_online_store(str(tmp_path), "dev"), EmbeddedStore)
    with pytest.raises(InvalidInput, match=r"mysql://… is unknown: use embedded, or redis://"):
        open_online_store("mysql://somewhere", "dev")
