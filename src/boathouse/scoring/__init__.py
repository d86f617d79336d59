"""The one scoring path: load a version, complete its features, predict. Batch, stream and online all go here."""

from boathouse.scoring.answers import CLASS_PROBABILITIES, Prediction, predict_raw
from boathouse.scoring.completion import complete
from boathouse.scoring.model import CLASSES_FILE, Fetched, Model, fetch, load, load_folder, load_raw, predicts, spec_alone

__all__ = [
    "CLASSES_FILE", "CLASS_PROBABILITIES", "Fetched", "Model", "Prediction", "complete", "fetch", "load", "load_folder",
    "load_raw", "predict_raw", "predicts", "spec_alone",
]  # fmt: skip
