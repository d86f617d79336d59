"""Where files of versions and runs lie."""

ARTIFACTS_SCHEME = "mlflow-artifacts"
ARTIFACTS_ROOT = f"{ARTIFACTS_SCHEME}:/"


def local_artifacts(location: str, artifact_root: str) -> str:
    """Where the files of a version or run really lie: `mlflow-artifacts:/1/…` below the artifact root."""
    scheme, found, path = location.partition(":")
    return f"{artifact_root.rstrip('/')}/{path.lstrip('/')}" if found and scheme == ARTIFACTS_SCHEME else location
