"""Where files of versions and runs lie: below a folder, or a place in an object store."""

# mypy: allow-untyped-calls
import shutil
from pathlib import Path

from boathouse.errors import NotFound

ARTIFACTS_SCHEME = "mlflow-artifacts"
ARTIFACTS_ROOT = f"{ARTIFACTS_SCHEME}:/"
_GONE = "the files of the version are gone from {}; register it anew where it was trained"


def local_artifacts(location: str, artifact_root: str) -> str:
    """Where the files of a version or run really lie: `mlflow-artifacts:/1/…` below the artifact root."""
    scheme, found, path = location.partition(":")
    return f"{artifact_root.rstrip('/')}/{path.lstrip('/')}" if found and scheme == ARTIFACTS_SCHEME else location


def local_folder(place: str) -> Path | None:
    """The folder that a place is, where it is one: whatever no other scheme is named of."""
    path = place.removeprefix("file://")
    return None if "://" in path else Path(path)


def fetch_artifacts(location: str, artifact_root: str, into: Path) -> None:
    """Copy what lies at a location, a folder or a file, to `into`. Raises NotFound where nothing does."""
    place = local_artifacts(location, artifact_root)
    if (folder := local_folder(place)) is not None:
        if not folder.exists():
            raise NotFound(_GONE.format(location))
        (shutil.copytree if folder.is_dir() else shutil.copy2)(folder, into)
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    above, _, name = place.rpartition("/")
    store = get_artifact_repository(above)
    if all(found.path != name for found in store.list_artifacts()):
        raise NotFound(_GONE.format(location))
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(store.download_artifacts(name, str(into.parent)), into)


def keep_artifacts(folder: Path, location: str, artifact_root: str) -> None:
    """Copy a folder's files to a location in an object store, where nothing lies yet."""
    place = local_artifacts(location, artifact_root)
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(place).log_artifacts(str(folder))


def drop_artifacts(location: str, artifact_root: str) -> None:
    """Take away what lies at a location."""
    place = local_artifacts(location, artifact_root)
    if (folder := local_folder(place)) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(place).delete_artifacts()
