"""JSON has one kind of number; a model's signature has four."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowException
from mlflow.models import infer_signature

from boathouse.scoring import Model
from boathouse.scoring.model import load_folder

FRAME = pd.DataFrame({"double": [1.5], "float": np.float32([1.5]), "integer": np.int32([3]), "long": [3]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder: Path = tmp_path_factory.mktemp("model") / "sum"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, of its own types
        import mlflow.pyfunc

        class Sum(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
                return model_input.sum(axis=1).to_numpy()

        signature = infer_signature(FRAME, np.array([1.0]))
        mlflow.pyfunc.save_model(str(folder), python_model=Sum(), signature=signature, pip_requirements=[])
        return load_folder(folder, "shop.sum", "1")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("columns", "sums"), [
    ({"double": [2, 3], "float": [2, 3], "integer": [2, 3], "long": [2, 3]}, [8, 12]),
    ({"double": [2.5, 3], "float": [2.5, 3], "integer": [2, 3], "long": [2, 3]}, [9, 12]),
    ({"double": [2, None], "float": [2, 0], "integer": [2, 0], "long": [2, 0]}, [8, 0]),
])  # fmt: skip
def test_whole_numbers_are_numbers(model: Model, columns: dict[str, list[Any]], sums: list[float]) -> None:
    assert model.predict(pd.DataFrame(columns)).listed() == sums


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrong", [
    {"integer": [2**40]}, {"integer": [2.5]}, {"long": [2.5]}, {"double": ["2"]}, {"double": [True]},
])  # fmt: skip
def test_what_would_become_another_value_is_refused(model: Model, wrong: dict[str, list[Any]]) -> None:
    with pytest.raises(MlflowException, match="convert"):
        model.predict(pd.DataFrame({"double": [1.5], "float": [1.5], "integer": [1], "long": [1]} | wrong))
