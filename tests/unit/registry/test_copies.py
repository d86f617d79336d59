"""A copy stands on files of its own and knows what it is a copy of; both sides are asked, and it is one transaction."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from boathouse.database import Database
from boathouse.errors import NotFound, NotPermitted
from boathouse.registry import Actor, Registry, acting_as, check_files, local_artifacts, mlflow_stores

MODEL, COPY = "dev.flights.delay", "prod.flights.delay"


def who(*grants: str, environment: str | None = None) -> Actor:
    return Actor("ada", lambda p, n: any(f"{p} {n}".startswith(g) for g in grants), environment,
                 bound=environment is not None, environments=("dev", "prod"))  # fmt: skip


ALL = who("EXECUTE", "CREATE MODEL", "USE CATALOG", "RUN")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = tmp_path / "artifacts" / "1" / "models" / "m-1" / "artifacts"
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {}")
    return tmp_path / "artifacts"


@pytest.fixture
def models(registry: Registry, register: Callable[..., None], root: Path) -> Any:
    register(MODEL, 1)
    return mlflow_stores(registry, None, str(root))[1]


def test_a_copy_has_its_own_files_its_provenance_and_one_event(registry: Registry, models: Any, root: Path, log: Any) -> None:
    with acting_as(ALL):
        models.set_model_version_tag(MODEL, 1, type("Tag", (), {"key": "team", "value": "a"}))
        made = models.copy_version(MODEL, "1", COPY)
    assert (made.name, int(made.version), made.tags, made.source) == (COPY, 1, {"team": "a"}, f"models:/{MODEL}/1")
    shutil.rmtree(root / "1")
    place = local_artifacts(registry.version(COPY, 1).location, str(root))
    assert Path(place, "MLmodel").read_text() == "flavors: {}"
    [origin] = registry.origins(COPY, 1)
    assert (origin.model, origin.version, origin.run_id, origin.principal, origin.there) == (MODEL, 1, "r1", "ada", True)
    assert log.events(COPY) == ["registered_model.created", "model_version.created"]
    assert f"'copied_from': {{'model': '{MODEL}', 'version': 1}}" in log.rows()[-1][3]
    assert registry.copies(MODEL) == [(COPY, 1, 1)]


def test_a_copy_of_a_copy_leads_back_to_what_was_trained(registry: Registry, models: Any) -> None:
    with acting_as(ALL):
        models.copy_version(MODEL, "1", COPY)
        models.create_model_version(COPY, f"models:/{COPY}/1")  # what MLflow's copy_model_version asks for
        assert [o.model for o in registry.origins(COPY, 2)] == [COPY, MODEL]
        assert registry.trained(COPY, 2) == (MODEL, 1)
        assert registry.origins(COPY, 1)[0].digest == registry.origins(COPY, 2)[0].digest
    registry.delete(MODEL, principal="ada")
    with pytest.raises(NotFound, match=r"is a copy of dev\.flights\.delay version 1, which was deleted"):
        registry.trained(COPY, 2)


@pytest.mark.parametrize(
    ("grants", "message"),
    [(("BROWSE", "CREATE MODEL prod"), "lacks EXECUTE on dev"), (("EXECUTE",), "lacks CREATE MODEL on prod")],
)
def test_both_sides_are_asked(models: Any, root: Path, grants: tuple[str, ...], message: str) -> None:
    with acting_as(who(*grants)), pytest.raises(MlflowException, match=message):
        models.copy_version(MODEL, "1", COPY)
    assert not (root / "copies").exists()


def test_a_task_copies_nothing_into_another_environment(models: Any) -> None:
    with acting_as(who("", environment="dev")), pytest.raises(MlflowException, match="works in dev and cannot change prod"):
        models.copy_version(MODEL, "1", COPY)


def test_what_fails_leaves_neither_files_nor_a_model(registry: Registry, models: Any, root: Path, monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(registry, "_audit", fail)
    with acting_as(ALL), pytest.raises(RuntimeError):
        models.copy_version(MODEL, "1", COPY)
    assert [m.name for m in registry.models()] == [MODEL]
    assert list((root / "copies" / "prod").iterdir()) == []


def test_files_of_a_copy_are_read_in_its_environment_alone(database: Database, registry: Registry, models: Any) -> None:
    with acting_as(ALL):
        models.copy_version(MODEL, "1", COPY)
    path = registry.version(COPY, 1).location.removeprefix("mlflow-artifacts:/") + "/MLmodel"
    check_files(database, who("", environment="prod"), path, write=False)
    with pytest.raises(NotFound):
        check_files(database, who(), path, write=False)
    with pytest.raises(NotPermitted, match="never changes"):
        check_files(database, ALL, path, write=True)


def test_files_go_a_day_after_their_version(registry: Registry, models: Any, root: Path) -> None:
    with acting_as(ALL):
        models.copy_version(MODEL, "1", COPY)
        models.copy_version(MODEL, "1", COPY)
    registry.delete(COPY, 1, principal="ada")
    assert registry.sweep(str(root)) == 0
    for folder in (root / "copies" / "prod").iterdir():
        os.utime(folder, (0, 0))
    assert registry.sweep(str(root)) == 1
    assert Path(local_artifacts(registry.version(COPY, 2).location, str(root)), "MLmodel").exists()
