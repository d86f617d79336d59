"""Commands that only ask a server do not wait for what computes."""

import subprocess
import sys

HEAVY = {"pyarrow", "duckdb", "deltalake", "numpy", "pandas", "sqlalchemy", "sqlglot", "mlflow", "dbos", "fastapi", "pydantic"}


def test_the_command_tree_and_a_connection_import_nothing_heavy() -> None:
    code = f"import sys, boathouse.cli, boathouse.local; print(*sorted({HEAVY} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
