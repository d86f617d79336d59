"""Models as MLflow's tables hold them, in a home of its own; the schema is made once and copied."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse import settings
from boathouse.platform import Platform
from boathouse.registry import prepare_mlflow


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mlflow")
    prepare_mlflow(f"sqlite:///{home / 'boathouse.db'}", str(home / "artifacts"))
    return home / "boathouse.db"


@pytest.fixture
def platform(mlflow_tables: Path, tmp_path: Path) -> Iterator[Platform]:
    """A platform whose database holds MLflow's tables as well."""
    (tmp_path / "home").mkdir()
    shutil.copy(mlflow_tables, tmp_path / "home" / "boathouse.db")
    with Platform(settings.load({}, home=str(tmp_path / "home"))) as opened:
        opened.registry.install()
        yield opened


@pytest.fixture
def register(platform: Platform) -> Callable[..., None]:
    """Registers versions of a model."""
    model = (
        "INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) "
        "VALUES ('default', :name, 1700000000000, 1700000000000)"
    )
    version = (
        "INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, current_stage, "
        "source, status, run_id, user_id) VALUES ('default', :name, :version, 1700000000000, 1700000000000, "
        "'None', 'mlflow-artifacts:/1/m', 'READY', 'r1', :creator)"
    )

    def add(name: str, count: int = 3, creator: str = "dev-jobs") -> None:
        with platform.database.writing() as connection:
            connection.execute(sa.text(model), {"name": name})
            for number in range(1, count + 1):
                connection.execute(sa.text(version), {"name": name, "version": number, "creator": creator})

    return add
