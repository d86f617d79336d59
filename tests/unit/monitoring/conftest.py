from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

N = 3000


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    yield connection
    connection.close()


@pytest.fixture
def log(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Three days of predictions of two models, as a frame and as the table `log`."""
    random = np.random.default_rng(7)
    score = random.random(N)
    x = random.normal(10, 3, N)
    x[:100] = np.nan
    start = datetime(2013, 7, 1)
    frame = pd.DataFrame(
        {
            "ts": [start + timedelta(seconds=float(s)) for s in random.random(N) * 3 * 86400],
            "x": x,
            "n": random.poisson(2, N),
            "constant": 5.0,
            "empty": pd.Series([None] * N, dtype="float64"),
            "origin": random.choice(["JFK", "LGA", "EWR"], N, p=[0.5, 0.3, 0.2]),
            "wet": random.random(N) < 0.3,
            "version": random.choice(["1", "2"], N),
            "score": score,
            "prediction": (score >= 0.5).astype("int64"),
            "label": (random.random(N) < score).astype("int64"),
        }
    )
    con.register("frame", frame)
    con.execute(
        "CREATE TABLE log AS SELECT * REPLACE (timezone('UTC', ts) AS ts,"
        " CASE WHEN row_number() OVER () % 10 > 0 THEN origin END AS origin,"
        " CASE WHEN row_number() OVER () % 7 = 0 THEN NULL ELSE x END AS x) FROM frame"
    )
    con.unregister("frame")
    return con.sql("FROM log").to_arrow_table().to_pandas()
