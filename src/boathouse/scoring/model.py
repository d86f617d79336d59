"""A model version in memory: its features, its inputs, and predictions from complete rows."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from numbers import Number
from pathlib import Path
from reprlib import repr as shown
from typing import TYPE_CHECKING, Any

from boathouse.context import Context
from boathouse.errors import InvalidInput, NotFound
from boathouse.features import FeatureSpec, OnlineFunctions
from boathouse.scoring.answers import Prediction, predict_raw
from boathouse.scoring.files import Files

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_LOGGED = re.compile(r"runs:/|models:/m-[0-9a-f]{32}$")
"""How MLflow names a model by the run that logged it, or by itself."""
SPEC_FILE = "feature_store/feature_spec.yaml"
RAW_FOLDER = "raw_model"
CLASSES_FILE = "boathouse_classes.json"
"""What a module's outputs mean, beside its traced graph, which keeps no attributes."""

_TAKES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("integer", "long", "float", "double"), (Number,)),
    "string": (str,), "boolean": (int,), "datetime": (str, date), "binary": (bytes, str),
}  # fmt: skip
"""By the types of MLflow's signatures, what rows of a request hold of them."""
_NUMBERS = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
"""The types of numbers that MLflow's signatures know, as NumPy calls them."""


@dataclass(frozen=True)
class Model:
    """One loaded version; `raw` is None where a feature spec is served without a model."""

    name: str
    version: str
    run_id: str | None
    spec: FeatureSpec | None
    inputs: tuple[str, ...]
    raw: Any
    signature: Any
    functions: OnlineFunctions | None = None
    files: Files | None = None
    """Held because libraries may read on while they predict."""

    def predict(self, rows: "pd.DataFrame", params: Mapping[str, Any] | None = None) -> Prediction:
        """Predictions for complete rows. Raises InvalidInput naming a column that is missing, or a parameter that it has not."""
        columns = list(self.spec.model_columns) if self.spec else [c for c in self.inputs if c in rows] or [str(c) for c in rows]
        if missing := [c for c in columns if c not in rows]:
            raise InvalidInput(f"{self.name} version {self.version} needs the column {missing[0]!r}, which the rows lack")
        return predict_raw(self.raw, self._typed(rows[columns]), params)

    def _typed(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """The rows with numbers in the width that MLflow insists on: JSON writes 2 for 2.0 too, and knows no width."""
        import numpy as np

        other = {}
        for name in rows.columns:
            want, given = self._numbers.get(name), rows[name].dtype
            if want is None or want == given or not isinstance(given, np.dtype) or given.kind not in "iuf":
                continue
            if want.kind == "f" or (given.kind in "iu" and rows[name].isin(rows[name].astype(want)).all()):
                other[name] = want
        return rows.astype(other) if other else rows

    @cached_property
    def _numbers(self) -> "dict[str, np.dtype[Any]]":
        """What MLflow checks before it lets the model predict: the columns of numbers, and their types."""
        import numpy as np

        schema = self.raw.metadata.get_input_schema() if hasattr(self.raw, "metadata") else None
        if schema is None or not schema.has_input_names() or schema.is_tensor_spec():
            return {}
        kinds = {column.name: _NUMBERS.get(getattr(column.type, "name", "")) for column in schema.inputs}
        return {name: np.dtype(kind) for name, kind in kinds.items() if kind}

    def misfit(self, columns: Mapping[str, Sequence[Any]]) -> str | None:
        """What the signature says against these columns, in words: a column that lacks, or a value of another type."""
        declared = [c for c in (self.signature.inputs.inputs if self.signature and self.signature.inputs else ()) if c.name]
        if missing := [c.name for c in declared if c.required and c.name not in columns]:
            return f"the rows lack {missing[0]!r}; the model takes {', '.join(c.name for c in declared)}"
        for column in declared:
            kind = getattr(column.type, "name", "")
            takes = _TAKES.get(kind, (object,))
            for at, value in enumerate(columns.get(column.name, ())):
                if value is not None and not isinstance(value, takes):
                    return f"row {at} has {shown(value)} in the column {column.name!r}, which takes the type {kind}"
        return None


@dataclass(frozen=True)
class Fetched:
    """A version's files on this machine, not loaded yet."""

    files: Files
    name: str
    version: str
    run_id: str | None

    def load(self) -> Model:
        """The version in memory."""
        return replace(load_folder(self.folder, self.name, self.version, self.run_id), files=self.files)

    @property
    def folder(self) -> Path:
        """Where they lie, as long as this or the loaded model is held."""
        return self.files.folder


def load(context: Context, model_uri: str) -> Model:
    """The version a URI names: `models:/schema.model@champion`, `/3` or `/Production`; or what a run logged.

    Raises NotFound, NotPermitted.
    """
    return fetch(context, model_uri).load()


def fetch(context: Context, model_uri: str) -> Fetched:
    """The files of the version a URI names. Raises NotFound, NotPermitted."""
    context.point_mlflow_here()
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(context.tracking_uri)
    mlflow.set_registry_uri(context.tracking_uri)
    if _LOGGED.match(model_uri):
        return _logged(model_uri)
    name, reference = parse_uri(context, model_uri)
    facts = context.call("GET", f"/api/v1/models/{name}/versions/{reference}")
    try:
        files = Files(f"models:/{name}/{facts['version']}")
    except MlflowException as error:
        raise NotFound(f"{name} version {facts['version']} has no artifacts: {error.message}") from error
    return Fetched(files, name, str(facts["version"]), facts.get("run_id"))


def _logged(model_uri: str) -> Fetched:
    """A model that was logged, registered or not, as MLflow's guard lets the caller read it."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model as Packaged

    try:
        files = Files(model_uri)
        return Fetched(files, model_uri, "", Packaged.load(str(files.folder)).run_id)
    except (MlflowException, OSError) as error:
        raise NotFound(f"there is no model at {model_uri} that you may read: {error}") from error


def load_folder(folder: Path, name: str, version: str, run_id: str | None = None) -> Model:
    """A version from its downloaded folder."""
    from mlflow.models import Model as Packaged

    packaged = Packaged.load(str(folder))
    signature = packaged.signature
    inputs = tuple(signature.inputs.input_names()) if signature and signature.inputs else ()
    data = folder / str(packaged.flavors.get("python_function", {}).get("data", ""))
    spec_file = data / SPEC_FILE
    spec = FeatureSpec.from_yaml(spec_file.read_text()) if spec_file.is_file() else None
    raw_folder = data / RAW_FOLDER if spec else folder
    functions = OnlineFunctions(spec) if spec and spec.functions else None
    return Model(name, version, run_id, spec, inputs, load_raw(raw_folder), signature, functions)


def spec_alone(name: str, version: str, spec: FeatureSpec) -> Model:
    """A feature spec as what an endpoint serves: it completes rows, and nothing predicts."""
    functions = OnlineFunctions(spec) if spec.functions else None
    return Model(name, version, None, spec, spec.required_inputs, None, None, functions)


def load_raw(folder: Path) -> Any:
    """What predicts, from the folder that the library's module saved it to."""
    import mlflow.pyfunc

    raw = native(mlflow.pyfunc.load_model(str(folder)))
    if (told := folder / CLASSES_FILE).is_file():
        raw.classes_ = json.loads(told.read_text())
    return raw


def native(loaded: Any) -> Any:
    """The library's own object behind a pyfunc where it predicts rows by itself, since pyfunc hides probabilities."""
    try:
        raw = loaded.get_raw_model()
    except Exception:
        return loaded
    return raw if predicts(raw) else loaded


def predicts(raw: Any) -> bool:
    """Whether an object takes rows by itself: a PyTorch module does not; MLflow's PythonModel wants its context first."""
    return hasattr(raw, "predict") and not hasattr(raw, "load_context")


def parse_uri(context: Context, model_uri: str) -> tuple[str, str]:
    """(full model name, version or stage or `@alias`). Raises InvalidInput."""
    path = model_uri.removeprefix("models:/")
    if path == model_uri or not path:
        raise InvalidInput(f"{model_uri!r} is no model URI: write models:/schema.model@champion or models:/schema.model/3")
    name, at, alias = path.partition("@")
    if at:
        return context.complete(name), f"@{alias}"
    name, slash, version = path.rpartition("/")
    if not slash:
        raise InvalidInput(f"{model_uri!r} names no version: add @champion, /Production or a number")
    return context.complete(name), version


