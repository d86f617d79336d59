"""The one scoring path: load a version, complete its features, predict. Batch, stream and online all go here."""

from boathouse.scoring.completion import complete
from boathouse.scoring.model import Fetched, Model, Prediction, fetch, load, load_folder, predict_raw, spec_alone

__all__ = ["Fetched", "Model", "Prediction", "complete", "fetch", "load", "load_folder", "predict_raw", "spec_alone"]
