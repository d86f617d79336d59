"""The cluster engine: Spark behind a Spark Connect address. It reads tables by their place; commits stay with delta-rs."""

import socket
import time
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa

from boathouse.errors import InvalidInput, MissingExtra, Unavailable
from boathouse.lake.frames import Frame, batches, is_spark, normalised

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.session import SparkSession


_PORT = 15002
"""Where Spark Connect listens when an address does not say."""
_IDLE = 60.0
"""Seconds without a call after which the server is asked whether it still knows the session: those that idle are ended."""


class Cluster:
    """Spark at `sc://host:port`; the session is made when first needed, and anew when the server has ended it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._session: SparkSession | None = None
        self._used = 0.0

    @property
    def session(self) -> "SparkSession":
        """A session of our own, in UTC. Raises MissingExtra, Unavailable."""
        idle, self._used = time.monotonic() - self._used, time.monotonic()
        if self._session is None or (idle > _IDLE and not _is_running(self._session)):
            self._session = self._begun()
        return self._session

    def _begun(self) -> "SparkSession":
        try:
            from pyspark.sql.connect.session import SparkSession
        except ImportError as error:
            raise MissingExtra("the Spark client is not installed: run `pip install 'boathouse[spark]'`") from error
        except SystemExit as end:
            raise Unavailable("Spark's client ends a process that has no main file, as `python -c`: run a file") from end
        from pyspark.errors import PySparkException

        try:
            self._reach()
            made = SparkSession.builder.remote(self.address).create()
            made.conf.set("spark.sql.session.timeZone", "UTC")
        except (PySparkException, OSError, RuntimeError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise Unavailable(f"Spark Connect at {self.address} does not answer ({said}); see the setting `engine`") from error
        return made

    def _reach(self) -> None:
        """Raises OSError at once where nobody listens; Spark's client would ask again for minutes."""
        place = urlsplit(self.address.partition(";")[0])
        socket.create_connection((place.hostname or "", place.port or _PORT), timeout=10).close()

    def scan(self, location: str, version: int) -> "DataFrame":
        """One version of the Delta table at a place that the cluster reaches too."""
        reader = self.session.read.format("delta").option("versionAsOf", str(version))
        rows = reader.load(location)
        if self._is_spark:  # which refuses a schema here
            return rows
        from pyspark.sql.types import StructField, StructType

        # Sail 0.7 cannot read a NOT NULL text column of files that a merge wrote
        return reader.schema(StructType([StructField(f.name, f.dataType, True) for f in rows.schema.fields])).load(location)

    @cached_property
    def _is_spark(self) -> bool:
        """Whether Spark itself answers: others call themselves by its version, but not in SQL."""
        found = self.session.sql("SELECT version()").first()
        return found is not None and str(found[0]).startswith(str(self.session.version))

    def frame(self, df: Frame) -> "DataFrame":
        """A Spark frame as it is, any other sent to the cluster in Delta's types. Raises InvalidInput for another session's."""
        if is_spark(df):
            if df.sparkSession is not self.session:
                raise InvalidInput(
                    "the frame is another Spark session's: make it with `lake.cluster.session`, or give df.toArrow()"
                )
            if df.isStreaming:
                raise InvalidInput("a streaming frame of Spark is never complete: follow a table with lake.table(…).stream()")
            made: DataFrame = df
            return made
        rows = batches(df).read_all()
        rows = rows.cast(normalised(rows.schema))
        if rows.num_rows:
            return self.session.createDataFrame(rows)
        from pyspark.sql.pandas.types import from_arrow_schema

        return self.session.createDataFrame([], from_arrow_schema(rows.schema))

    def schema(self, frame: "DataFrame") -> pa.Schema:
        """A frame's columns in Delta's types."""
        return normalised(frame.limit(0).toArrow().schema)

    def close(self) -> None:
        """End the session, if there is one."""
        session, self._session = self._session, None
        if session and _is_running(session):
            session.stop()


def _is_running(session: "SparkSession") -> bool:
    """Whether the server still knows a session. It ends for good, with the frames that were made in it."""
    from pyspark.errors import PySparkException

    try:
        session.conf.get("spark.sql.session.timeZone")
    except PySparkException:
        return False
    return True


def cluster_at(engine: str) -> Cluster | None:
    """The cluster that the setting `engine` names; None for `duckdb`. Raises InvalidInput."""
    if engine == "duckdb":
        return None
    if not engine.startswith("sc://"):
        raise InvalidInput(f"the setting engine is {engine!r}; it is duckdb, or sc://host:port for Spark Connect")
    return Cluster(engine)
