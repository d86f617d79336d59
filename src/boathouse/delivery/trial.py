"""The first load of a version, in a process that has no token, no address and nothing of the platform in its environment.

A crash there is evidence, and ends no test.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

_SECONDS = 600.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "SYSTEMROOT", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Trial:
    """What came of loading: `memory_mb` is how far the process grew from before the load to its peak.

    `example` is None where the input example went through, or where the version has none.
    """

    loads: bool
    load_error: str | None = None
    has_signature: bool = False
    example: str | None = None
    has_example: bool = False
    memory_mb: float | None = None


def try_out(folder: Path, seconds: float = _SECONDS) -> Trial:
    """Load the version of a folder in a fresh process, and let its input example go through."""
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch, "trial.json")
        environ = {k: v for k, v in os.environ.items() if k in _KEPT}
        command = [sys.executable, "-c", "from boathouse.delivery.trial import run; run()", str(folder), str(result)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False, cwd=scratch, env=environ
            )
        except subprocess.TimeoutExpired:
            return Trial(False, f"it had not loaded after {seconds:.0f} s")
        if not result.exists():
            end = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            return Trial(False, f"its process ended with {end}: {' '.join(done.stderr.split())[-400:]}")
        return Trial(**json.loads(result.read_text()))


def _main(folder: Path) -> Trial:
    import mlflow.pyfunc  # what every scoring process has in memory is not the version's own
    import pandas as pd  # noqa: F401

    from boathouse.scoring import load_folder

    before = _peak_mb()
    try:
        model = load_folder(folder, "the version", "?")
    except Exception as error:
        return Trial(False, f"{type(error).__name__}: {error}")
    signed = model.signature is not None and model.signature.inputs is not None
    if model.spec:  # its features are looked up before it predicts: the gates' own rows go through it
        return Trial(True, None, signed, memory_mb=_peak_mb() - before)
    example, problem = mlflow.models.Model.load(str(folder)).load_input_example(str(folder)), None
    if example is not None:
        try:
            mlflow.pyfunc.load_model(str(folder)).predict(example)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    return Trial(True, None, signed, problem, example is not None, _peak_mb() - before)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def run() -> None:
    """The program: what was found goes into the file, whole or not at all."""
    found = _main(Path(sys.argv[1]))
    target = Path(sys.argv[2])
    target.with_suffix(".new").write_text(json.dumps(asdict(found)))
    target.with_suffix(".new").replace(target)
