"""Whatever a model answers with becomes numbers, texts, truth values or vectors, with probabilities where there are some."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boathouse.errors import InvalidInput
from boathouse.scoring import Prediction, predict_raw

ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0]})


class Says:
    """A model that answers what it was made with."""

    def __init__(self, answer: Any, classes: Any = None) -> None:
        self._answer = answer
        if classes is not None:
            self.classes_ = classes

    def predict(self, rows: pd.DataFrame) -> Any:
        return self._answer


def of(answer: Any, classes: Any = None) -> Prediction:
    return predict_raw(Says(answer, classes), ROWS)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.array([1, 0, 1]), [1, 0, 1]),
        ([True, False, True], [True, False, True]),
        (pd.Series([0.5, None, 1.5]), [0.5, None, 1.5]),
        (pd.Series([1, None, 3], dtype="Int64"), [1.0, None, 3.0]),
        (["very late", "on time", "very late"], ["very late", "on time", "very late"]),
        (np.array(["a", "b", "a"]), ["a", "b", "a"]),
        (pd.Series(["a", None, "b"]), ["a", None, "b"]),
        (pd.Series(["a", "b", "a"], dtype="category"), ["a", "b", "a"]),
        (np.array([[1.0], [2.0], [3.0]]), [1.0, 2.0, 3.0]),
        (pd.DataFrame({"anything": ["a", "b", "c"]}), ["a", "b", "c"]),
        ({"prediction": [1, 2, 3]}, [1, 2, 3]),
        ([{"prediction": "a"}, {"prediction": "b"}, {"prediction": "c"}], ["a", "b", "c"]),
        (np.array([[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]]), [[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]]),
        ([[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]]),
        (pd.DataFrame({"mean": [1.0, 2.0, 3.0], "spread": [9.0, 8.0, 7.0]}), [[1.0, 9.0], [2.0, 8.0], [3.0, 7.0]]),
    ],
)
def test_values_are_what_the_model_says(answer: Any, expected: list[Any]) -> None:
    assert of(answer).listed() == expected


def test_texts_are_pythons_own() -> None:
    values = of(np.array(["a", "b", "a"])).values
    assert values.dtype == object
    assert {type(v) for v in values} == {str}


SHARES = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]


@pytest.mark.parametrize(
    ("answer", "classes", "expected"),
    [
        (np.array(SHARES), None, [0, 1, 2]),
        (np.array(SHARES), ["low", "mid", "high"], ["low", "mid", "high"]),
        (pd.DataFrame(SHARES), None, [0, 1, 2]),
        (pd.DataFrame(SHARES, columns=["4", "5", "6"]), None, [4, 5, 6]),
        (pd.DataFrame(SHARES, columns=["low", "very high", "mid"]), None, ["low", "very high", "mid"]),
    ],
)
def test_rows_that_sum_to_one_are_probabilities_of_classes(answer: Any, classes: Any, expected: list[Any]) -> None:
    said = of(answer, classes)
    assert said.listed() == expected
    assert said.class_probabilities is not None
    assert said.class_probabilities.tolist() == [pytest.approx(row) for row in SHARES]
    assert said.probabilities is None


def test_scores_of_told_classes_are_the_highest_one_without_probabilities() -> None:
    said = of(np.array([[5.0, -1.0], [0.0, 2.0], [-3.0, 1.0]]), ["no", "yes"])
    assert said.listed() == ["no", "yes", "yes"]
    assert said.class_probabilities is None


def test_one_number_of_two_told_classes_is_the_probability_of_the_second() -> None:
    said = of(np.array([[0.2], [0.9], [0.5]]), ["no", "yes"])
    assert said.listed() == ["no", "yes", "yes"]
    assert said.probabilities is not None
    assert said.probabilities.tolist() == [0.2, 0.9, 0.5]
    assert of(np.array([0.0, 1.0, 1.0]), [0.0, 1.0]).probabilities is None  # the classes themselves


def test_a_frame_says_by_name_which_column_is_the_answer() -> None:
    frame = pd.DataFrame({"day": ["a", "b", "c"], "prediction": ["yes", "no", "no"], "probability": [0.9, 0.1, 0.4]})
    said = of(frame)
    assert said.listed() == ["yes", "no", "no"]
    assert said.probabilities is not None
    assert said.probabilities.tolist() == [0.9, 0.1, 0.4]
    with pytest.raises(InvalidInput, match="day, yhat: name the one that is its answer 'prediction'"):
        of(pd.DataFrame({"day": ["a", "b", "c"], "yhat": [1.0, 2.0, 3.0]}))


def test_parameters_that_no_signature_declares_are_refused() -> None:
    with pytest.raises(InvalidInput, match="takes no parameter 'threshold': it declares none"):
        predict_raw(Says([1, 2, 3]), ROWS, {"threshold": 0.5})


class Network:
    """As MLflow loads one: its flavors are told, no signature is; it answers with what it was given, summed to one."""

    def __init__(self, flavor: str, signature: Any = None) -> None:
        self.metadata = SimpleNamespace(flavors={flavor: {}, "python_function": {}}, signature=signature)
        self.classes_ = ["early", "late"]

    def predict(self, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        self.given = rows
        first = rows.to_numpy()[:, :1]
        return np.hstack([first, 1 - first])


def test_a_network_is_asked_with_one_matrix_of_floats_in_the_columns_order() -> None:
    whole = pd.array([1, None, 0], dtype="Int64")
    rows = pd.DataFrame({"z": whole, "a": [True, False, None], "price": [Decimal("1.5"), None, Decimal(2)]})
    asked = Network("pytorch")
    said = predict_raw(asked, rows)
    assert list(asked.given.columns) == ["z", "a", "price"]
    assert asked.given.to_numpy().dtype == np.float32
    assert np.array_equal(asked.given.to_numpy(), [[1, 1, 1.5], [np.nan, 0, np.nan], [0, np.nan, 2]], equal_nan=True)
    assert said.listed() == ["early", None, "late"]  # nothing is said of a row with a gap, and the others are as they were
    assert said.probabilities is not None
    assert np.array_equal(said.probabilities, [0, np.nan, 1], equal_nan=True)


@pytest.mark.parametrize("held", [["1", "2"], pd.to_datetime(["2024-01-01", "2024-01-02"]), [[1.0], [2.0]]])
def test_a_column_that_is_no_number_is_named(held: Any) -> None:
    with pytest.raises(InvalidInput, match=r"the column 'port' holds .* and a network takes numbers"):
        predict_raw(Network("pytorch"), pd.DataFrame({"x": [0.1, 0.2], "port": held}))


def test_a_model_with_types_of_its_own_and_other_models_get_their_rows_as_they_are() -> None:
    rows = pd.DataFrame({"x": [1, 0]})
    for asked in (Network("pytorch", SimpleNamespace(inputs=["x"], params=None)), Network("sklearn")):
        predict_raw(asked, rows)
        assert asked.given is rows


def test_a_chance_that_is_not_known_is_no_class() -> None:
    asked = Network("pytorch")
    asked.predict = lambda rows: np.array([[0.75], [np.nan], [0.5]])  # type: ignore[method-assign]
    said = predict_raw(asked, pd.DataFrame({"x": [1.0, np.nan, 2.0]}))
    assert (said.listed(), said.probabilities is not None) == (["late", None, "late"], True)
