"""Feast in an environment of its own: how that is made, and what online.py asks there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FEAST = "feast[redis]==0.67.0"

FEAST_SIDE = '''
import json, random, sys, time, warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
warnings.simplefilter("ignore")
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

given = json.loads(sys.argv[1])
folder = Path(given["folder"])
names = [f"f{i}" for i in range(given["features"])]
store = FeatureStore(config=RepoConfig(
    project="online", provider="local", registry=str(folder / "registry.db"), online_store=given["online"],
    entity_key_serialization_version=3,
))
wanted = [f"t{n}:{name}" for n in range(given["tables"]) for name in names]
entity = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
views = [FeatureView(
    name=f"t{n}", entities=[entity], ttl=timedelta(days=36500), schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(path=str(folder / f"t{n}.parquet"), timestamp_field="at"),
) for n in range(given["tables"])]
warm = FeatureView(
    name="warm", entities=[entity], ttl=timedelta(days=36500), schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(path=str(folder / "warm.parquet"), timestamp_field="at"),
)
sized = {rows: FeatureView(
    name=f"p{rows}", entities=[entity], ttl=timedelta(days=36500), schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(path=str(folder / f"p{rows}.parquet"), timestamp_field="at"),
) for rows in given["publish"]}
store.apply([entity, *views, warm, *sized.values()])
span = datetime(2025, 1, 1, tzinfo=timezone.utc), datetime(2026, 6, 1, tzinfo=timezone.utc)
store.materialize(*span, feature_views=["warm"])
start, cpu = time.perf_counter(), time.process_time()
store.materialize(*span, feature_views=[view.name for view in views])
seconds = time.perf_counter() - start, time.process_time() - cpu
found = {"seconds": seconds, "lookups": {}, "sizes": {}}
chosen = random.Random(7)
for size, times in given["sizes"].items():
    spent = []
    for _ in range(times):
        rows = [{"key": chosen.randrange(given["keys"])} for _ in range(int(size))]
        start = time.perf_counter()
        answer = store.get_online_features(features=wanted, entity_rows=rows, full_feature_names=True).to_dict()
        spent.append(time.perf_counter() - start)
        assert answer["t0__f0"][0] is not None
    found["lookups"][size] = spent
for rows, view in sized.items():
    start, cpu = time.perf_counter(), time.process_time()
    store.materialize(*span, feature_views=[view.name])
    found["sizes"][rows] = time.perf_counter() - start, time.process_time() - cpu
print("FOUND " + json.dumps(found))
'''


def told(python: str, script: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a script says, run in a fresh process of an environment."""
    environ = {**os.environ, "FEAST_USAGE": "False", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([python, "-c", script, json.dumps(given)], capture_output=True, text=True, check=False, env=environ)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if done.returncode or not lines:
        raise SystemExit(f"a side of the benchmark failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("FOUND "))
    return found


def feast_python(folder: Path, wanted: str = FEAST) -> str | None:
    """The interpreter of an environment that has Feast, made where it is not there; None where it cannot be made."""
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        uv = str(Path(sys.executable).parent / "uv")
        for words in (["venv", "--quiet", "--python", sys.executable, str(folder)],
                      ["pip", "install", "--quiet", "--python", str(python), wanted]):  # fmt: skip
            done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"Feast is left out: it cannot be installed:\n{done.stderr[-500:]}", flush=True)
                return None
        (folder / "made").touch()
    return str(python)
