"""Logging a feature-aware model: the raw model, its feature spec, its signature and its record, in one package."""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from boathouse.context import Context
from boathouse.features import USES, FeatureSpec, uses_of
from boathouse.scoring import CLASSES_FILE, load_raw, predict_raw, predicts
from boathouse.training import FOLDER, TrainingSet, own_parameters, record_of, tags, write_record
from boathouse.training import pip_requirements as installed

_LOADER = "boathouse.scoring.packaged"
_SAMPLE = 200
_TRACED_ROWS = 2  # of one row the tracer would make a constant
_LIBRARIES = {"sklearn": ["scikit-learn", "pandas", "numpy", "skops"],
              "lightgbm": ["lightgbm", "scikit-learn", "pandas", "numpy"]}  # fmt: skip
_HARMLESS_TYPES = ("numpy.dtype",)
"""What scikit-learn's own imputers and encoders are made of, and skops does not trust by itself."""
_MLFLOW_TYPES = {
    "byte": "integer", "short": "integer", "int": "integer", "long": "long", "float": "float", "double": "double",
    "string": "string", "boolean": "boolean", "binary": "binary", "date": "datetime", "timestamp": "datetime",
    "timestamp_ntz": "datetime",
}  # fmt: skip
"""Features' types by their published names, as signatures call them."""
_KNOWN = frozenset({"sklearn", "numpy", "scipy", "lightgbm", "xgboost"})


def log_model(context: Context, model: Any, artifact_path: str, flavor: Any, training_set: TrainingSet,
              registered_model_name: str | None, *, pip_requirements: Sequence[str] | None, extra: Sequence[str],
              options: Mapping[str, Any], output_schema: Any = None) -> Any:  # fmt: skip
    """Package, log and register; MLflow's ModelInfo."""
    context.point_mlflow_here()
    import mlflow

    mlflow.set_tracking_uri(context.tracking_uri)
    mlflow.set_registry_uri(context.tracking_uri)
    spec = training_set.feature_spec
    sample = training_set.load_df().limit(_SAMPLE).toPandas()
    requirements = list(pip_requirements or _requirements(flavor)) + list(extra)
    record = record_of(context, training_set.versions, training_set.query)
    with tempfile.TemporaryDirectory() as scratch, _run(mlflow), warnings.catch_warnings():
        # MLflow hints at input examples and integer columns; our signature already says which inputs may lack
        warnings.simplefilter("ignore", UserWarning)
        data = Path(scratch) / "data"
        (data / "feature_store").mkdir(parents=True)
        (data / "feature_store" / "feature_spec.yaml").write_text(spec.to_yaml())
        raw_folder = data / "raw_model"
        if flavor.__name__.endswith(".pytorch"):
            _save_module(flavor, model, raw_folder, len(spec.model_columns), {"pip_requirements": requirements, **options})
        else:
            _save(flavor, model, str(raw_folder), pip_requirements=requirements, **_trusting(flavor, options))
        raw = model if predicts(model) else load_raw(raw_folder)
        signature = _signature(raw, spec, sample, output_schema)
        mlflow.set_tags({**tags(record), USES: uses_of(spec).to_tag()})
        if context.run.autolog != "off":
            with suppress(mlflow.exceptions.MlflowException):  # of a second model in one run: the first one's stand
                mlflow.log_params(own_parameters(model))
        (Path(scratch) / FOLDER).mkdir()
        write_record(record, context.run, Path(scratch) / FOLDER)
        mlflow.log_artifacts(str(Path(scratch) / FOLDER), FOLDER)
        mlflow.log_text(training_set.query, "training_set.sql")
        info = mlflow.pyfunc.log_model(
            name=artifact_path, loader_module=_LOADER, data_path=str(data), pip_requirements=requirements,
            signature=signature,
            registered_model_name=context.complete(registered_model_name) if registered_model_name else None,
        )  # fmt: skip
    if registered_model_name:
        name = f"model:{context.complete(registered_model_name)}"
        context.note_lineage(name, str(info.registered_model_version), training_set.origin)
    return info


def _run(mlflow: Any) -> Any:
    return nullcontext() if mlflow.active_run() else mlflow.start_run()


def _save(flavor: Any, model: Any, folder: str, **options: Any) -> None:
    """By the library's own module; MLflow's pyfunc takes its model by name."""
    from mlflow.exceptions import MlflowException

    if flavor.__name__.endswith("pyfunc"):
        flavor.save_model(path=folder, python_model=model, **options)
        return
    try:
        flavor.save_model(model, folder, **options)
    except MlflowException as error:
        if "untrusted types" not in str(error):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        trusted = [*(options.pop("skops_trusted_types", None) or ()), *_of_libraries(model)]
        flavor.save_model(model, folder, skops_trusted_types=list(dict.fromkeys(trusted)), **options)


def _save_module(flavor: Any, model: Any, folder: Path, width: int, options: Mapping[str, Any]) -> None:
    """A PyTorch module as a graph without pickles, traced with zeros: no row of the training set goes into the version.

    The graph takes any number of rows of `width` numbers. With `serialization_format="pickle"` it is saved as it is.
    """
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    traced = options.get("serialization_format") != "pickle" and "input_example" not in options
    if traced:
        signature = ModelSignature(Schema([TensorSpec(np.dtype(np.float32), (-1, width))]))
        options = {**options, "input_example": np.zeros((_TRACED_ROWS, width), np.float32), "signature": signature}
    flavor.save_model(model, str(folder), **options)
    if traced:  # rows come as frames, which that signature would refuse
        saved = Model.load(str(folder))
        saved.signature = None
        saved.save(str(folder / "MLmodel"))
    if (classes := getattr(model, "classes_", None)) is not None:
        (folder / CLASSES_FILE).write_text(json.dumps(list(classes)))


def _of_libraries(model: Any) -> list[str]:
    """What skops does not trust by itself and known libraries bring, as the nodes of trees; this process has the model anyway.

    The model's file names them, so delivery sees them before anything of it is loaded elsewhere.
    """
    import skops.io

    return [name for name in skops.io.get_untrusted_types(data=skops.io.dumps(model)) if name.partition(".")[0] in _KNOWN]


def _requirements(flavor: Any) -> list[str]:
    """The library and what rows come in, at the versions that are installed; what else, MLflow's module for the library says."""
    library = flavor.__name__.rpartition(".")[2]
    if library in _LIBRARIES:
        return installed(_LIBRARIES[library])
    return list(dict.fromkeys([*flavor.get_default_pip_requirements(), *installed(["pandas", "numpy"])]))


def _trusting(flavor: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    if not flavor.__name__.endswith(".sklearn"):
        return dict(options)
    return {**options, "skops_trusted_types": [*_HARMLESS_TYPES, *(options.get("skops_trusted_types") or ())]}


def _signature(raw: Any, spec: FeatureSpec, sample: Any, output_schema: Any) -> Any:
    """Inputs: what a request must carry, though the training set left it out, and what it may: features instead of the
    stored ones, and the times of lookups.
    """
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.models.signature import infer_signature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    offered = sample[list(dict.fromkeys(c for c in (*spec.required_inputs, *spec.model_columns) if c in sample))]
    outputs = output_schema
    if outputs is None:
        made = predict_raw(raw, sample[list(spec.model_columns)])
        answer = made.values if made.probabilities is None else made.probabilities
        # of numbers MLflow knows arrays, of texts columns only
        outputs = infer_signature(None, pd.Series(answer) if answer.dtype.kind == "O" else answer).outputs
    required = spec.required_inputs
    types = {c.name: _MLFLOW_TYPES.get(c.data_type) for c in spec.input_columns}
    given = _inferred(offered) if len(offered.columns) else {}
    columns = []
    for name in dict.fromkeys((*required, *offered, *spec.spine_inputs)):
        kind = given.get(name) or types.get(name) or AnyType()
        columns.append(ColSpec(kind, name, required=name in required and not isinstance(kind, AnyType)))
    declared = getattr(getattr(raw, "metadata", None), "signature", None)
    return ModelSignature(inputs=Schema(columns), outputs=outputs, params=getattr(declared, "params", None))


def _inferred(rows: Any) -> dict[str, Any]:
    """Columns with MLflow's types, without those that it has no type for: decimals, maps, times with a zone.

    Where it meets one, it types none of all.
    """
    from mlflow.models.signature import infer_signature

    logger = logging.getLogger("mlflow.models.signature")
    level = logger.level
    logger.setLevel(logging.ERROR)  # the columns' own types stand in
    try:
        found = infer_signature(rows).inputs.inputs
        if [c.name for c in found] != list(rows):
            found = [column for name in rows for column in infer_signature(rows[[name]]).inputs.inputs]
    finally:
        logger.setLevel(level)
    return {c.name: c.type for c in found if c.name is not None}
