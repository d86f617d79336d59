"""What a project hears of its tests where there are none."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("made", "said"), [(False, "there is no tests/integration: put"), (True, "tests/integration holds no tests")]
)
def test_a_project_without_integration_tests_hears_where_to_put_them(tmp_path: Path, made: bool, said: str) -> None:
    if made:
        Path(tmp_path, "tests/integration").mkdir(parents=True)
    words = "from boathouse.client.builtin import _pytest; _pytest('tests/integration', None)"
    done = subprocess.run([sys.executable, "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said in done.stderr
    assert "under `tests` in boathouse.yml" in done.stderr
