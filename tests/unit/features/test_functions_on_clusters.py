"""Functions travel to a cluster by value, which has PyArrow and nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boathouse.features import FunctionFacts
from boathouse.features.functions import there

SOURCE = "def f(x, at):\n    return 'much' if x == 3 else x * at.hour"
FACTS = FunctionFacts(("x", "at"), "double", ("double", "timestamp"), SOURCE, "f")
FAR = """
import pickle, sys
sys.modules["boathouse"] = None
f = pickle.loads(sys.stdin.buffer.read())
print(f(2, 3 * 3_600_000_000), f(1.5, 0))
try:
    f(3, 0)
except ValueError as error:
    print(error)
"""


def test_a_function_runs_where_nothing_of_ours_is_installed(spark_client: None) -> None:
    from pyspark import cloudpickle

    sent = cloudpickle.dumps(there("shop.f", FACTS))
    environ = {**os.environ, "PYTHONPATH": str(Path(cloudpickle.__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", FAR], input=sent, capture_output=True, check=True, env=environ)
    told = ran.stdout.decode().splitlines()
    assert told[0] == "6.0 0.0"
    assert told[1].startswith("the function shop.f should return double")


def test_what_a_function_raises_is_told_with_its_name() -> None:
    with pytest.raises(ValueError, match=r"the function shop\.f failed: AttributeError"):
        there("shop.f", FACTS)(2.0, None)
