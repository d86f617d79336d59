"""ONNX graphs: rows as their inputs want them, and what their outputs say. MLflow's own wrapper flattens probabilities."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_TYPES = {"float": "float32", "double": "float64", "int64": "int64", "int32": "int32", "bool": "bool", "string": "object"}


def session_of(raw: Any) -> Any:
    """The session of a model that MLflow made of an ONNX graph, or None."""
    about = getattr(raw, "metadata", None)
    return raw.get_raw_model() if "onnx" in (getattr(about, "flavors", None) or ()) else None


def inputs_of(session: Any, rows: "pd.DataFrame", matrix: "Callable[[pd.DataFrame], pd.DataFrame]") -> dict[str, Any]:
    """Feeds of a graph: its one tensor holds all columns as `matrix` makes them numbers, or each input is the column of its name.

    Raises InvalidInput for an input that no column has the name of.
    """
    wanted = session.get_inputs()
    if len(wanted) == 1 and wanted[0].name not in rows:
        return {wanted[0].name: matrix(rows).to_numpy().astype(_type(wanted[0]))}
    fed = {}
    for one in wanted:
        if one.name not in rows:
            raise InvalidInput(f"the graph has an input {one.name!r}, and there is no such column: name its inputs as "
                               f"the columns ({', '.join(map(str, rows.columns))}), or give it one tensor for all")  # fmt: skip
        column = rows[one.name].to_numpy().astype(_type(one))
        fed[one.name] = column.reshape(-1, 1) if len(one.shape) == 2 else column
    return fed


def _type(one: Any) -> str:
    kind = one.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _TYPES:
        raise InvalidInput(f"the graph's input {one.name!r} is of type {one.type}, which no column has; inputs may be "
                           f"{', '.join(_TYPES)}")  # fmt: skip
    return _TYPES[kind]


def outputs_of(answer: Mapping[str, Any]) -> tuple[Any, "np.ndarray[Any, Any] | None", list[Any] | None]:
    """(answers, probabilities (n, k) or None, their classes or None), of a graph's outputs by name.

    One output is the answer. Of two, as classifiers have them, one is the classes, and the other has their probabilities,
    by class or in columns. Raises InvalidInput for others.
    """
    import numpy as np

    if len(answer) == 1:
        return next(iter(answer.values())), None, None
    found = {name: value if _by_class(value) else np.asarray(value) for name, value in answer.items()}
    likely = [name for name, value in found.items() if _by_class(value) or (value.ndim == 2 and value.shape[1] > 1)]
    if len(answer) != 2 or len(likely) != 1:
        raise InvalidInput(f"the graph has the outputs {', '.join(answer)}: leave it the one that is its answer, or a "
                           "classifier's two, the classes and their probabilities")  # fmt: skip
    said = next(value for name, value in found.items() if name not in likely)
    chances = found[likely[0]]
    said = said.reshape(len(said), -1)[:, 0]
    if _by_class(chances):
        classes = list(chances[0])
        return said, np.asarray([[row[c] for c in classes] for row in chances], dtype=float), classes
    counted = list(range(chances.shape[1]))
    return said, chances, counted if set(said.tolist()) <= set(counted) else None


def _by_class(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
