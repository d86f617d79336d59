"""The as-of join as Spark DataFrame code: what `point_in_time` says in DuckDB's SQL, for a cluster.

Spine and features are laid together and read in order of time within each key: a row of the spine takes the last feature
row before it. That costs one shuffle and one sort a lookup, however many rows a key has, and never multiplies rows.
The session's time zone is UTC, so that times without one are UTC here too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from boathouse.errors import InvalidInput
from boathouse.features.point_in_time import AsOf, FeatureSide, doubled, micros, wanted_joins

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.connect.dataframe import DataFrame

_ROW, _SPINE = "__row", "__spine"


def as_of_join_frame(
    spine: "DataFrame", joins: Sequence[AsOf], tables: Mapping[str, "DataFrame"], keep: Sequence[str] | None = None
) -> "DataFrame":
    """The rows that `as_of_join_sql` gives, in its order; `side.relation` names a frame of `tables`.

    Run `check_duplicate_rows` where nothing else keeps keys unique: of rows with equal times this takes one.
    Raises DuplicateKey when two rows of a static table share a key, InvalidInput.
    """
    from pyspark.sql import functions as f

    wanted = wanted_joins(joins, spine.columns if keep is None else keep)
    own = list(spine.columns if keep is None else keep)
    if keep is None and (lost := {o for j in joins for _, o in j.columns} & set(own)):
        raise InvalidInput(f"the spine has a column {min(lost)!r} already: rename the output")
    used = list(dict.fromkeys([*(n for j in wanted for n in j.on), *(j.at for j in wanted if j.at)]))
    place = {name: f"__used_{i}" for i, name in enumerate(used)}
    frame = spine.select(
        f.monotonically_increasing_id().alias(_ROW),
        f.struct(*[_named(name) for name in own]).alias(_SPINE),
        *[_named(name).alias(place[name]) for name in used],
    )
    for i, join in enumerate(wanted):
        if join.side.time is None:
            check_duplicate_rows(tables[join.side.relation], join.side, join.side.relation)
        frame = _joined(frame, join, tables[join.side.relation], place, f"__found_{i}")
    kept = [f.col(_SPINE).getField(name).alias(name) for name in own]
    outputs = [
        _output(join, tables[join.side.relation], f"__found_{i}", place, *column)
        for i, join in enumerate(wanted)
        for column in join.columns
    ]
    return frame.orderBy(_ROW).select(*kept, *outputs)


def newest_known_rows(rows: "DataFrame", keys: Sequence[str], known_time: str) -> "DataFrame":
    """Of each key the row that became known last."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    latest = Window.partitionBy(*[_named(key) for key in keys]).orderBy(_named(known_time).desc_nulls_last())
    return rows.withColumn("__number", f.row_number().over(latest)).where("`__number` = 1").drop("__number")


def check_duplicate_rows(rows: "DataFrame", side: FeatureSide, table: str) -> None:
    """Raises DuplicateKey, naming an example, when two rows share keys, event time and known time."""
    from pyspark.sql import functions as f

    names = [*side.keys, *(name for name in (side.event_time, side.known_time) if name)]
    present = rows.select(*[_named(name) for name in names]).dropna()
    for found in present.groupBy(*present.columns).agg(f.count("*").alias("__count")).where("`__count` > 1").take(1):
        *values, count = found
        raise doubled(table, names, values, count)


def chosen_columns(frame: "DataFrame", names: Iterable[str]) -> "DataFrame":
    """The frame's columns of these very names, dots and all, in this order."""
    return frame.select(*map(_named, names))


def _joined(frame: "DataFrame", join: AsOf, rows: "DataFrame", place: Mapping[str, str], found: str) -> "DataFrame":
    """The frame with the feature row of each of its rows, as a struct: null where there is none."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    keys = [f"__key_{i}" for i in range(len(join.on))]
    features = _features(join.side, rows, keys, [feature for feature, _ in join.columns], found)
    time = f.col(place[join.at]).cast("timestamp") if join.at and join.side.time else f.lit(None).cast("timestamp")
    asking = frame.select(
        "*", *[f.col(place[on]).alias(key) for on, key in zip(join.on, keys, strict=True)],
        time.alias("__visible"), f.lit(None).cast("timestamp").alias("__known"), f.lit(1).alias("__asks"),
    )  # fmt: skip
    # a static row stands before all that ask, whose time is null
    order = ["__visible", "__asks", "__known"] if join.side.time else ["__asks"]
    before = Window.partitionBy(*keys).orderBy(*[f.col(name).asc_nulls_first() for name in order])
    last = f.last(found, ignorenulls=True).over(before.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    both = _with_columns_of(asking, features).unionByName(_with_columns_of(features, asking))
    return both.withColumn(found, last).where(f.col("__asks") == 1).select(*frame.columns, found)


def _with_columns_of(frame: "DataFrame", other: "DataFrame") -> "DataFrame":
    """The frame with a null column, of the right type, for each that only the other has."""
    from pyspark.sql import functions as f

    lacking = [column for column in other.schema.fields if column.name not in frame.columns]
    return frame.select("*", *[f.lit(None).cast(column.dataType).alias(column.name) for column in lacking])


def _features(side: FeatureSide, rows: "DataFrame", keys: Sequence[str], columns: Sequence[str], found: str) -> "DataFrame":
    """Keys, the times that order rows, and a struct of what is looked up; without rows that can match nothing.

    Rows older in event time than one visible before them are left out, as `point_in_time` explains.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    none = f.lit(None).cast("timestamp")
    event = _named(side.time).cast("timestamp") if side.time else none
    known = _named(side.known_time).cast("timestamp") if side.bitemporal and side.known_time else event
    payload = f.struct(event.alias("__event"), *[_named(name).alias(f"__{i}") for i, name in enumerate(columns)])
    chosen = rows.select(
        *[_named(name).alias(key) for name, key in zip(side.keys, keys, strict=True)],
        event.alias("__event"), f.greatest(event, known).alias("__visible"), known.alias("__known"),
        payload.alias(found), f.lit(0).alias("__asks"),
    ).dropna(subset=[*keys, *(("__event", "__known") if side.time else ())])  # fmt: skip
    if side.bitemporal:
        seen = Window.partitionBy(*keys).orderBy("__visible").rangeBetween(Window.unboundedPreceding, Window.currentRow)
        newest = chosen.withColumn("__newest", f.max("__event").over(seen))
        chosen = newest.where(f.col("__event") == f.col("__newest")).drop("__newest")
    return chosen.drop("__event")


def _output(
    join: AsOf, rows: "DataFrame", found: str, place: Mapping[str, str], feature: str, output: str
) -> "Column":
    from pyspark.sql import functions as f

    features = [name for name, _ in join.columns]
    value = f.col(found).getField(f"__{features.index(feature)}")
    if join.lookback is not None and join.at and join.side.time:
        # The age decides, not the value: a stored null stays a null.
        asked = f.unix_micros(f.col(place[join.at]).cast("timestamp"))
        age = asked - f.unix_micros(f.col(found).getField("__event"))
        value = f.when(age <= micros(join.lookback), value)
    if (default := join.defaults.get(output)) is not None:
        value = f.coalesce(value, f.lit(default).cast(rows.schema[feature].dataType))
    return value.alias(output)


def _named(name: str) -> "Column":
    """A column by its very name, dots and all."""
    from pyspark.sql import functions as f

    return f.col(quoted(name))


def quoted(name: str) -> str:
    """A column's name as Spark's SQL takes it for one, dots and all."""
    return "`" + name.replace("`", "``") + "`"
