"""The files of a model on this machine, for as long as somebody holds them."""

import shutil
import tempfile
import weakref
from pathlib import Path


class Files:
    """What MLflow has at an address, downloaded into a folder of its own, which goes with this object.

    Raises MlflowException.
    """

    def __init__(self, address: str) -> None:
        from mlflow.artifacts import download_artifacts

        place = tempfile.mkdtemp(prefix="boathouse-model-")
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        self.folder = Path(download_artifacts(artifact_uri=address, dst_path=place))
