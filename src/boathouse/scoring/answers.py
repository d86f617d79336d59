"""What a library's model answers, in one shape: arrays, series, frames and lists of numbers, texts, truth values or vectors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boathouse.errors import InvalidInput
from boathouse.scoring.graphs import inputs_of, outputs_of, session_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PREDICTION, PROBABILITIES = "prediction", ("prediction_probability", "probability")
"""Columns by which a model that answers with a frame of several says which is which."""
CLASS_PROBABILITIES = "prediction_probabilities"
"""The column of scored rows that holds the probability of each of three and more classes, by the class as text."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of n rows: `values` (n,), and for binary classifiers `probabilities` (n,) of the positive class.

    Values are numbers, truth values, or texts (dtype object); of a model that answers with several numbers a row (n, k).
    Classifiers that tell have `classes` (k,) and `class_probabilities` (n, k) in their order.
    """

    values: "np.ndarray[Any, Any]"
    probabilities: "np.ndarray[Any, Any] | None"
    classes: "np.ndarray[Any, Any] | None" = None
    class_probabilities: "np.ndarray[Any, Any] | None" = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Three and more classes with probabilities, as texts; empty for two, of which `probabilities` says all, and for none."""
        if self.class_probabilities is None or self.classes is None or len(self.classes) < 3:
            return ()
        return tuple(_text(c) for c in self.classes.tolist())

    def take(self, rows: "np.ndarray[Any, Any]") -> "Prediction":
        """The same of some rows."""
        one, all_ = self.probabilities, self.class_probabilities
        return Prediction(
            self.values[rows], None if one is None else one[rows], self.classes, None if all_ is None else all_[rows]
        )

    def listed(self) -> list[Any]:
        """The values as Python's own numbers, texts, truth values and lists of numbers; None where there is none."""
        found: list[Any] = self.values.tolist()
        return [None if _missing(v) else v for v in found] if self.values.ndim == 1 else found


def predict_raw(raw: Any, rows: "pd.DataFrame", params: Mapping[str, Any] | None = None) -> Prediction:
    """Predictions, with probabilities where the library gives them: n rows of k columns that sum to one are those.

    A model's `classes_` name the columns, as scikit-learn's do; without them they are 0 to k - 1. Raises InvalidInput for
    `params` that the model's signature does not declare, for columns that are no numbers where a network is asked, and for
    a frame of several columns of which none is named `prediction` and not all are numbers.
    """
    import numpy as np

    _check(raw, params)
    if (session := session_of(raw)) is not None:
        return _of_graph(session, rows)
    told = _classes(raw)
    if _takes_a_matrix(raw):
        rows = as_matrix(rows)
    if hasattr(raw, "predict_proba"):
        each = raw.predict_proba(rows)
        if not isinstance(each, list):  # scikit-learn's answer for several outputs at once
            each = np.asarray(each)
            return _chosen(np.arange(each.shape[1]) if told is None else told, each)
    answer = raw.predict(rows, params=dict(params)) if params else raw.predict(rows)
    if isinstance(answer, Mapping) or (isinstance(answer, list) and answer and isinstance(answer[0], Mapping)):
        answer = _frame(answer)
    if hasattr(answer, "columns"):
        return _of_frame(answer, told)
    values = plain(answer)
    if values.ndim == 2:
        return _of_columns(values, told)
    two = np.arange(2) if _is_binary_booster(raw) else None
    if two is None and told is not None and len(told) == 2 and _is_chance(values, told):
        two = told
    return Prediction(values, None) if two is None else _of_two(values, two)


def _of_graph(session: Any, rows: "pd.DataFrame") -> Prediction:
    names = [output.name for output in session.get_outputs()]
    said, chances, classes = outputs_of(dict(zip(names, session.run(None, inputs_of(session, rows, as_matrix)), strict=True)))
    values = plain(said)
    if chances is None:
        return _of_columns(values, None) if values.ndim == 2 else Prediction(values, None)
    known = None if classes is None else plain(classes)
    exact = chances.astype(float)  # a graph's are of single precision
    chances = exact / exact.sum(axis=1, keepdims=True)
    return Prediction(values, chances[:, 1] if chances.shape[1] == 2 else None, known, None if known is None else chances)


def as_matrix(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The same columns, all of float32, as a network takes them: numbers and truth values, NaN where there is none.

    Raises InvalidInput naming a column that holds something else.
    """
    import numpy as np
    import pandas as pd

    made = {}
    for name in rows.columns:
        column = rows[name]
        try:
            if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
                raise ValueError
            if column.dtype.kind == "O" and column.map(lambda v: isinstance(v, str)).any():
                raise ValueError  # "1" would become a number
            made[name] = column.to_numpy(dtype=np.float32, na_value=np.nan)
        except (TypeError, ValueError) as error:
            known = column.dropna()
            held = f"holds {known.iloc[0]!r}" if len(known) else f"is of type {column.dtype}"
            raise InvalidInput(f"the column {name!r} {held}, and a network takes numbers: turn it into some before, or wrap the "
                               "network and what turns it in a mlflow.pyfunc.PythonModel") from error  # fmt: skip
    return pd.DataFrame(made, index=rows.index)


def plain(answer: Any) -> "np.ndarray[Any, Any]":
    """An array of numbers, truth values or Python's texts, whatever holds them; missing numbers are NaN, missing texts None."""
    import numpy as np
    import pandas as pd

    if isinstance(answer, pd.Series) and not isinstance(answer.dtype, np.dtype):
        number = pd.api.types.is_numeric_dtype(answer.dtype)
        found = answer.to_numpy(dtype=float, na_value=np.nan) if number else answer.to_numpy()
    else:
        found = np.asarray(answer)
    if found.dtype.kind in "US":
        return found.astype(str).astype(object)
    if found.dtype.kind != "O" or found.ndim != 1:
        return found
    known = [v for v in found.tolist() if not _missing(v)]
    if known and all(isinstance(v, list | tuple | np.ndarray) for v in known):
        return np.asarray([np.asarray(v, dtype=float) for v in found])
    if known and not any(isinstance(v, str) for v in known):
        return np.asarray([np.nan if _missing(v) else float(v) for v in found])
    texts = np.empty(len(found), dtype=object)
    texts[:] = [None if _missing(v) else str(v) for v in found.tolist()]
    return texts


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _check(raw: Any, params: Mapping[str, Any] | None) -> None:
    if not params:
        return
    signature = getattr(getattr(raw, "metadata", None), "signature", None)
    known = [p.name for p in (getattr(signature, "params", None) or ())]
    if unknown := [name for name in params if name not in known]:
        have = f"its parameters are {', '.join(known)}" if known else "it declares none"
        raise InvalidInput(f"the model's predict takes no parameter {unknown[0]!r}: {have}. Log it with flavor=mlflow.pyfunc and "
                           "signature=infer_signature(X, y, params={…}), which declares them")  # fmt: skip


_NETWORKS = frozenset({"pytorch"})


def _takes_a_matrix(raw: Any) -> bool:
    """Whether MLflow made the model of a network, and no signature of its own says which types its columns have."""
    about = getattr(raw, "metadata", None)
    own = getattr(getattr(about, "signature", None), "inputs", None)
    return own is None and not _NETWORKS.isdisjoint(getattr(about, "flavors", None) or ())


def _classes(raw: Any) -> "np.ndarray[Any, Any] | None":
    """The classes that a model tells: its own, or those of the object that MLflow's wrapper holds."""
    try:
        own = raw if hasattr(raw, "classes_") else raw.get_raw_model() if hasattr(raw, "get_raw_model") else None
        found = getattr(own, "classes_", None)
    except Exception:  # a wrapper around nothing; a pipeline whose last step has no classes
        return None
    each_output = isinstance(found, list) and not all(isinstance(c, str | int | float | bool) for c in found)
    return None if found is None or each_output else plain(found)


def _frame(answer: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(answer)


def _of_frame(answer: "pd.DataFrame", told: "np.ndarray[Any, Any] | None") -> Prediction:
    import numpy as np
    import pandas as pd

    if PREDICTION in answer:
        chance = next((plain(answer[c]).astype(float) for c in PROBABILITIES if c in answer), None)
        return Prediction(plain(answer[PREDICTION]), chance)
    if answer.shape[1] == 1:
        return _of_columns(plain(answer.iloc[:, 0]).reshape(len(answer), -1), told)
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in answer.dtypes):
        raise InvalidInput(f"the model answers with the columns {', '.join(map(str, answer.columns))}: name the one that is its "
                           f"answer {PREDICTION!r}, and a probability {PROBABILITIES[0]!r}")  # fmt: skip
    named = [str(c) for c in answer.columns]
    whole = all(n.lstrip("-").isdigit() for n in named)
    return _of_columns(answer.to_numpy(dtype=float), told, np.asarray([int(n) for n in named]) if whole else plain(named))


def _of_columns(values: "np.ndarray[Any, Any]", told: "np.ndarray[Any, Any] | None",
                named: "np.ndarray[Any, Any] | None" = None) -> Prediction:  # fmt: skip
    """Of (n, k): one column is the answer; several are probabilities where rows sum to one, scores where classes are told."""
    import numpy as np

    count = values.shape[1]
    if count == 1:
        alone = plain(values[:, 0])
        two = told is not None and len(told) == 2 and _is_chance(alone, told)
        return _of_two(alone, told) if two and told is not None else Prediction(alone, None)
    own = told if told is not None and len(told) == count else None
    classes = own if own is not None else named if named is not None else np.arange(count)
    if _shares(values):
        exact = values.astype(float)  # a network's are of single precision and sum to one within that
        return _chosen(classes, exact / exact.sum(axis=1, keepdims=True))
    return Prediction(values, None) if own is None else Prediction(_likeliest(own, values), None, own)


def _chosen(classes: "np.ndarray[Any, Any]", each: "np.ndarray[Any, Any]") -> Prediction:
    return Prediction(_likeliest(classes, each), each[:, 1] if each.shape[1] == 2 else None, classes, each)


def _likeliest(classes: "np.ndarray[Any, Any]", each: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The class of the highest column; none where a network answers that it does not know, as it does of rows with gaps."""
    import numpy as np

    return _without(classes[each.argmax(axis=1)], np.isnan(each).any(axis=1))


def _without(best: "np.ndarray[Any, Any]", lost: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    if lost.any():
        best = best.astype(float if best.dtype.kind in "iuf" else object)
        best[lost] = np.nan if best.dtype.kind == "f" else None
    return best


def _of_two(chance: "np.ndarray[Any, Any]", classes: "np.ndarray[Any, Any]") -> Prediction:
    import numpy as np

    said = _without(classes[(chance >= 0.5).astype(int)], np.isnan(chance))
    return Prediction(said, chance, classes, np.column_stack([1 - chance, chance]))


def _is_chance(values: "np.ndarray[Any, Any]", classes: "np.ndarray[Any, Any]") -> bool:
    """Whether one number a row is a probability, and not one of the two classes itself."""
    import numpy as np

    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values[:0]
    if not len(known) or set(known.tolist()) <= set(classes.tolist()):
        return False
    return bool((known >= 0).all() and (known <= 1).all())


def _shares(values: "np.ndarray[Any, Any]") -> bool:
    import numpy as np

    if not np.issubdtype(values.dtype, np.number):
        return False
    known = values[~np.isnan(values).any(axis=1)]
    return bool(len(known) and (known >= 0).all() and np.allclose(known.sum(axis=1), 1, atol=1e-3))


def _is_binary_booster(raw: Any) -> bool:
    parameters = getattr(raw, "params", None)
    return isinstance(parameters, dict) and parameters.get("objective") == "binary"
