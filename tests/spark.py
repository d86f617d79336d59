"""A Spark Connect server for tests: Sail, a program of its own in this process, on a free loopback port.

`BOATHOUSE_TEST_SPARK=sc://host:port` takes another one, such as Spark's own.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boathouse.lake import Cluster

# Spark's client takes a main module without a file, as workers of pytest-xdist have it, for a doctest of its own and
# ends the process.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)


APART = Path(sys.prefix) / "cluster"
"""Where `make test` puts Spark's client: apart, because MLflow takes a second longer wherever it finds it."""


@pytest.fixture(scope="session")
def spark_client() -> None:
    """Spark's client can be imported."""
    if APART.is_dir() and str(APART) not in sys.path:
        sys.path.append(str(APART))
    pytest.importorskip("pyspark.sql.connect.session", reason="needs the Spark client: pip install 'boathouse[spark]'")


@pytest.fixture(scope="session")
def spark_address(spark_client: None) -> Iterator[str]:
    """Where a server answers."""
    if given := os.environ.get("BOATHOUSE_TEST_SPARK"):
        yield given
        return
    os.environ.setdefault("SAIL_SPARK__SESSION_TIMEOUT_SECS", "7200")  # other tests may take long in between
    sail = pytest.importorskip("pysail.spark", reason="needs a Spark Connect server: pip install pysail")
    server = sail.SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    yield f"sc://127.0.0.1:{server.listening_address[1]}"
    server.stop()


@pytest.fixture(scope="session")
def cluster(spark_address: str) -> Iterator[Cluster]:
    """The cluster engine on that server."""
    made = Cluster(spark_address)
    yield made
    made.close()
