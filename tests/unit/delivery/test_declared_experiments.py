"""Experiments in a bundle are made by its deployment, for MLflow as for everybody else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.registry import Actor, acting_as, mlflow_stores

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
  experiments:
    train: EXPERIMENT
"""
ANN = Actor("ann", lambda _privilege, name: name.startswith("dev"), "dev", environments=("dev", "staging", "prod"))


@pytest.fixture
def deploy(platform: Platform, tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    def deploy(experiment: str) -> tuple[str, ...]:
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("EXPERIMENT", experiment))
        admin = Identity(platform.operator, frozenset({"admins"}))
        return platform.code.deploy(admin, "dev", path=str(tmp_path)).notes

    return deploy


def told(experiment: Any) -> dict[str, str]:
    return {k: v for k, v in experiment.tags.items() if not k.startswith("mlflow.experiment")}


def test_an_experiment_is_there_with_its_tags_and_takes_runs(
    platform: Platform, deploy: Callable[[str], tuple[str, ...]]
) -> None:
    assert deploy("{name: /shop/train, description: How we learn, tags: {team: growth, tier: 1}}") == ()
    tracking, _ = mlflow_stores(platform.registry)
    with acting_as(ANN):
        found = tracking.get_experiment_by_name("shop/train")
        assert (found.name, found.lifecycle_stage) == ("/dev/shop/train", "active")
        run = tracking.create_run(found.experiment_id, "ann", 0, [], None)
        assert run.info.artifact_uri.startswith(f"mlflow-artifacts:/{found.experiment_id}/")
        marks = {"boathouse.environment": "dev", "boathouse.principal": platform.operator}
        assert told(found) == {**marks, "team": "growth", "tier": "1", "mlflow.note.content": "How we learn"}
        deploy("{name: /shop/train, tags: {team: sales}}")
        again = tracking.get_experiment_by_name("shop/train")
        assert (again.experiment_id, told(again)) == (found.experiment_id, {**marks, "team": "sales"})
        platform.code.destroy(Identity(platform.operator, frozenset({"admins"})), "dev", "shop")
        tracking.delete_experiment(found.experiment_id)
    assert deploy("{name: shop/train}") == (
        "the experiment /dev/shop/train was deleted in MLflow and stays so: restore it there",
    )


def test_what_was_deployed_before_mlflow_was_there_is_made_when_it_comes(
    platform: Platform, deploy: Callable[[str], tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as early:
        early.setattr(platform.registry, "ready", lambda: False)
        assert deploy("{name: train}") == ()
    tracking, _ = mlflow_stores(platform.registry)
    with acting_as(ANN):
        assert tracking.get_experiment_by_name("train").name == "/dev/train"
