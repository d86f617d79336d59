"""Files of models and runs lie in an object store as they do in a folder."""

from pathlib import Path

import pytest
from object_stores import ObjectStore

from boathouse.errors import NotFound
from boathouse.registry import fetch_artifacts
from boathouse.registry.copies import copied_files, digest


def test_files_are_copied_within_an_object_store_and_fetched_from_it(
    moto: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    bucket = moto.bucket()
    root, location = f"s3://{bucket}/models", "mlflow-artifacts:/1/run/model"
    files = {"MLmodel": b"flavors", "code/made.py": b"x = 1"}
    for name, content in files.items():
        moto.client().put_object(Bucket=bucket, Key=f"models/1/run/model/{name}", Body=content)
        (tmp_path / "same" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "same" / name).write_bytes(content)

    with copied_files(location, root, "prod") as (place, known):
        pass
    assert place.startswith("mlflow-artifacts:/copies/prod/")
    assert known == digest(tmp_path / "same")
    fetch_artifacts(place, root, tmp_path / "copy")
    assert digest(tmp_path / "copy") == known
    fetch_artifacts(f"{place}/code/made.py", root, tmp_path / "made.py")
    assert (tmp_path / "made.py").read_bytes() == b"x = 1"

    with pytest.raises(NotFound, match="gone"):
        fetch_artifacts("mlflow-artifacts:/1/run/other", root, tmp_path / "other")
    with pytest.raises(RuntimeError), copied_files(location, root, "staging") as (place, _):
        raise RuntimeError
    left = moto.client().list_objects_v2(Bucket=bucket, Prefix="models/copies/").get("Contents", [])
    assert {found["Key"].split("/")[2] for found in left} == {"prod"}
