"""MLflow's loader of feature-aware models. This module's path stands in every packaged model: never move it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boathouse import context
from boathouse.features import FeatureSpec
from boathouse.scoring.answers import predict_raw
from boathouse.scoring.completion import complete
from boathouse.scoring.model import RAW_FOLDER, SPEC_FILE, load_raw

if TYPE_CHECKING:
    import pandas as pd


class PackagedModel:
    """What `mlflow.pyfunc.load_model` gives for a feature-aware model."""

    def __init__(self, spec: FeatureSpec, raw: Any) -> None:
        self.spec = spec
        self.raw = raw

    def predict(self, rows: "pd.DataFrame", params: dict[str, Any] | None = None) -> Any:
        """Probabilities of the positive class where the model gives them, else its predictions.

        Features that the rows lack are looked up in the connected lakehouse.
        """
        if any(c not in rows for c in self.spec.model_columns):
            rows = complete(context.current(), self.spec, rows)[0].to_pandas()
        answer = predict_raw(self.raw, rows[list(self.spec.model_columns)], params)
        return answer.values if answer.probabilities is None else answer.probabilities

    def get_raw_model(self) -> Any:
        """The library's own object."""
        return self.raw


def _load_pyfunc(path: str) -> PackagedModel:
    folder = Path(path)
    spec = FeatureSpec.from_yaml((folder / SPEC_FILE).read_text())
    return PackagedModel(spec, load_raw(folder / RAW_FOLDER))
