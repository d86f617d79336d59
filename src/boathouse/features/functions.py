"""On-demand features: Python functions whose code travels with the spec, so that every mode runs the same.

A function is called row by row with plain Python values; null is None, a map a dict. What it returns is brought to its
declared type, or the error names the function.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from boathouse.errors import InvalidInput
from boathouse.features.arguments import as_arguments
from boathouse.features.as_of_frames import quoted
from boathouse.features.data_types import feature_type
from boathouse.features.point_in_time import quote
from boathouse.features.specs import FeatureSpec, FunctionFacts, InputColumn
from boathouse.lake import Engine, duckdb_type, type_named

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame

Function = Callable[..., Any]


def compiled(name: str, facts: FunctionFacts) -> Function:
    """The callable behind a function. Raises InvalidInput when its code cannot be loaded."""
    namespace: dict[str, Any] = {"__name__": f"boathouse.functions.{name}"}
    try:
        exec(compile(facts.source, f"<function {name}>", "exec"), namespace)
        function: Function = namespace[facts.entry]
    except Exception as error:
        raise InvalidInput(f"the function {name} cannot be loaded: {type(error).__name__}: {error}") from error
    return function


def with_functions_sql(engine: Engine, spec: FeatureSpec, query: str) -> str:
    """The query with a column for each of the spec's functions, computed on `engine` as rows stream by."""
    for column in spec.functions:
        facts = spec.function_facts[column.udf_name]
        types = [duckdb_type(type_named(kind)) for kind in facts.parameter_types]
        bound = [
            f"{quote(column.input_bindings[parameter])}::{kind}"
            for parameter, kind in zip(facts.parameters, types, strict=True)
        ]
        # without an argument DuckDB would not say for how many rows it asks
        called = engine.define(
            _on_batches(column.udf_name, facts), types or ["BOOLEAN"], duckdb_type(type_named(facts.data_type))
        )
        query = f"SELECT *, {called}({', '.join(bound or ['true'])}) AS {quote(column.name)} FROM ({query})"
    return query


def with_functions_frame(frame: "DataFrame", spec: FeatureSpec) -> "DataFrame":
    """The Spark frame with a column for each of the spec's functions; their code goes to the cluster with the query.

    What fails there is an error of Spark's that names the function.
    """
    from pyspark.sql import functions as f

    for column in spec.functions:
        facts = spec.function_facts[column.udf_name]
        arguments = []
        for parameter, kind in zip(facts.parameters, facts.parameter_types, strict=True):
            given = f.col(quoted(column.input_bindings[parameter])).cast(feature_type(kind))
            arguments.append(f.unix_micros(given) if feature_type(kind) == "timestamp" else given)
        result = feature_type(facts.data_type)
        called = f.udf(there(column.udf_name, facts), "long" if result == "timestamp" else result, useArrow=False)(*arguments)
        frame = frame.withColumn(column.name, f.timestamp_micros(called) if result == "timestamp" else called)
    return frame


def there(name: str, facts: FunctionFacts) -> Function:
    """A function as a cluster calls it: with the values that it gets here, and its results brought to their type as here.

    Times travel as microseconds, since workers tell them in a zone of their own. Spark would make null of a result whose
    type is another. It goes over by value: a cluster has PyArrow, and nothing of ours.
    """
    function, result = compiled(name, facts), type_named(facts.data_type)
    times = [feature_type(kind) == "timestamp" for kind in facts.parameter_types]
    published = feature_type(facts.data_type)

    def call(*row: Any) -> Any:
        from datetime import UTC, datetime, timedelta

        import pyarrow

        start = datetime(1970, 1, 1, tzinfo=UTC)
        plain: list[Any] = [bytes(value) if isinstance(value, bytearray) else value for value in row]
        given = [start + timedelta(microseconds=v) if t and v is not None else v for t, v in zip(times, plain, strict=True)]
        try:
            value = function(*given)
        except Exception as error:
            raise ValueError(f"the function {name} failed: {type(error).__name__}: {error}") from error
        try:
            brought = pyarrow.array([value], result, from_pandas=True)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError) as error:
            raise ValueError(f"the function {name} should return {published}: {error}") from error
        return (brought.cast(pyarrow.int64()) if published == "timestamp" else brought)[0].as_py()

    return call


class OnlineFunctions:
    """A spec's functions, loaded once, for rows that come one by one."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._functions = {
            name: (compiled(name, facts), facts) for name, facts in spec.function_facts.items()
        }

    def compute(self, column: InputColumn, rows: Mapping[str, Sequence[Any]], count: int) -> pa.Array:
        """One value for each of the `count` rows; `rows` holds the columns that the function is bound to. Raises InvalidInput."""
        function, facts = self._functions[column.udf_name]
        bound = [
            as_arguments(column.udf_name, parameter, rows[column.input_bindings[parameter]], kind)
            for parameter, kind in zip(facts.parameters, facts.parameter_types, strict=True)
        ]
        given = list(zip(*bound, strict=True)) if bound else [()] * count
        return _called(column.udf_name, function, given, type_named(facts.data_type))


def _on_batches(name: str, facts: FunctionFacts) -> Function:
    function, result = compiled(name, facts), type_named(facts.data_type)

    def call(*columns: pa.ChunkedArray) -> pa.Array:
        given = [column.to_pylist(maps_as_pydicts="lossy") for column in columns]
        rows = list(zip(*given, strict=True)) if facts.parameters else [()] * len(columns[0])
        return _called(name, function, rows, result)

    return call


def _called(name: str, function: Function, rows: Sequence[Sequence[Any]], result: pa.DataType) -> pa.Array:
    try:
        values = [function(*row) for row in rows]
    except Exception as error:
        raise InvalidInput(f"the function {name} failed: {type(error).__name__}: {error}") from error
    try:
        return pa.array(values, result, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InvalidInput(f"the function {name} should return {feature_type(str(result))}: {error}") from error
