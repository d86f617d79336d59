"""Rolling back moves pointers and nothing else: no heavy library is imported for it, and it takes well under a second."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.registry import Registry, prepare_mlflow

MODEL = "dev.flights.delay"
ROLLBACK = """
import sys, time
import boathouse
from boathouse.cli import main
home = sys.argv[1]
with boathouse.connect("dev", home=home) as lake:
    began = time.process_time()
    assert lake.models.rollback("flights.delay", "too late")["version"] == 2
    took = time.process_time() - began
try:
    main(["--home", home, "--env", "dev", "models", "rollback", "flights.delay"])
except SystemExit as end:
    assert not end.code, end.code
print(took, *sorted({"mlflow", "pandas", "sklearn", "lightgbm", "torch", "dbos"} & set(sys.modules)))
"""


def test_a_rollback_takes_no_second_and_imports_nothing_heavy(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'boathouse.db'}")
    prepare_mlflow(database.url, str(tmp_path / "mlflow-artifacts"))
    database.create_tables()
    registry = Registry(database, lambda *_: None, lambda *_: None)
    registry.install()
    with database.writing() as connection:
        connection.execute(sa.text("INSERT INTO registered_models (workspace, name, creation_time) VALUES ('default', :name, 1)"),
                           {"name": MODEL})  # fmt: skip
        row = "INSERT INTO model_versions (workspace, name, version, current_stage, status, creation_time) "
        for version in (1, 2, 3):
            values = {"name": MODEL, "version": version}
            connection.execute(sa.text(f"{row} VALUES ('default', :name, :version, 'None', 'READY', 1)"), values)
    for version in (1, 2, 3):
        registry.promote(MODEL, version, principal="ann")
    words = [sys.executable, "-c", ROLLBACK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    seconds, *heavy = done.stdout.splitlines()[-1].split()
    assert (float(seconds) < 1, heavy, registry.model(MODEL).production) == (True, [], 1)
    database.close()
