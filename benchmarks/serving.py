"""What HTTP costs an endpoint: a model and a feature spec, asked by wrk, beside a bare hello-world in the same run.

    python benchmarks/serving.py [--keys 4000] [--seconds 4] [--connections 1 64]

The hello-world is an ASGI function on uvicorn that answers everything with the bytes of the spec's answer. The model is a
logistic regression of twelve doubles, logged with MLflow; the spec looks up three tables of ten doubles by one key, embedded
store. Each is asked with a token, for one row, over so many connections that are kept open, each with one question at a
time. Printed: questions a second, milliseconds at the median and the 99th percentile, what the median has above the
hello-world's of the same number of connections, and the processor's time a question of the server and of the model servers.
Then the same work in this process: what the model or the lookup costs without any server.

It needs wrk (apt-get install wrk).
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import online

INPUTS = [f"x{i}" for i in range(12)]
WARM_SECONDS = 1
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer TOKEN"
local bodies, turn = {BODIES}, 0
request = function()
  turn = turn % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
done = function(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  print(string.format("FOUND [%d, %f, %f, %f, %d]", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""


class Load:
    """wrk with a body or several, at one address."""

    def __init__(self, folder: Path, url: str, token: str, bodies: list[Any]) -> None:
        self._url = url
        texts = ", ".join(json.dumps(json.dumps(body)) for body in bodies)
        self._script = folder / f"{abs(hash(url))}.lua"
        self._script.write_text(SCRIPT.replace("TOKEN", token).replace("BODIES", texts))

    def run(self, connections: int, seconds: float) -> tuple[int, float, float, float]:
        """(answers, seconds, median, 99th percentile), the last two in milliseconds."""
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(self._script), self._url]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
        answers, took, half, most, failed = json.loads(line.removeprefix("FOUND "))
        if failed or not answers:
            raise SystemExit(f"{failed} of {answers} questions to {self._url} failed")
        return answers, took, half, most


def in_process(label: str, act: Callable[[], Any], times: int = 500) -> None:
    """Median of one question without any server."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        spent.append(time.perf_counter() - start)
    half, most = online.percentiles(spent)
    print(f"{label:<24} in process {half / 1e3:7.3f} ms p50 {most / 1e3:7.3f} p99", flush=True)


def model_endpoint(lake: Any) -> tuple[str, list[Any], Callable[[], Any]]:
    """The name of an endpoint of a model, questions to it, and one of them in process."""
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    from boathouse.scoring import load

    rng = np.random.default_rng(3)
    rows = pd.DataFrame(rng.random((500, len(INPUTS))), columns=INPUTS)
    fitted = LogisticRegression().fit(rows, rows.sum(axis=1) > len(INPUTS) / 2)
    lake.point_mlflow_here()
    with mlflow.start_run():
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name="features.twelve", pip_requirements=["scikit-learn"],
                                 signature=infer_signature(rows, fitted.predict(rows)))  # fmt: skip
    served = {"entity_name": "features.twelve", "entity_version": "1"}
    lake.call("PUT", "/api/v1/endpoints/dev/twelve", {"config": {"served_entities": [served]}})
    lake.call("POST", "/api/v1/endpoints/dev/twelve/await/1")
    model, record = load(lake, "models:/features.twelve/1"), rows.iloc[0].to_dict()
    return "twelve", [{"dataframe_records": [record]}], lambda: model.predict(pd.DataFrame([record])).listed()


def spec_endpoint(lake: Any, fe: Any, keys: int) -> tuple[str, list[Any], Callable[[], Any]]:
    """The name of an endpoint of a spec, questions to it, and one of them in process."""
    from boathouse.features import FeatureSpec, open_online_store
    from boathouse.serving.online_completion import OnlineCompletion
    from boathouse.serving.rows import Rows

    spec = FeatureSpec.from_yaml(online.made_endpoint(lake, fe))
    store = open_online_store(lake.online_location("features.t0", True, "default"), "dev")
    completion = OnlineCompletion(spec, store)
    questions = [{"dataframe_records": [{"key": key}]} for key in range(0, keys, max(1, keys // 100))]
    return "all", questions, lambda: completion.complete(Rows({"key": [5]}, 1))


def measured(label: str, load: Load, connections: list[int], seconds: float, floor: dict[int, float], pids: list[int]) -> None:
    """One line for each number of connections."""
    load.run(8, WARM_SECONDS)
    for count in connections:
        before = [online.ticks(pid) for pid in pids]
        answers, took, half, most = load.run(count, seconds)
        used = [(online.ticks(pid) - was) / answers * 1e6 for pid, was in zip(pids, before, strict=True)]
        above = f"+{half - floor[count]:.2f} ms p50" if count in floor else ""
        floor.setdefault(count, half)
        print(f"{label:<24} c={count:<3} {answers / took:>8,.0f}/s {half:8.2f} ms p50 {most:8.2f} p99  {above:<16} "
              f"CPU us a question: {', '.join(f'{one:.0f}' for one in used)}", flush=True)  # fmt: skip


def main() -> None:
    """The servers, and wrk at each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=4_000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        print("nothing is measured: wrk is not installed (apt-get install wrk)")
        return
    import boathouse
    from boathouse.feature_engineering import FeatureEngineeringClient

    with tempfile.TemporaryDirectory(prefix="bh-serving-") as base, online.embedded_server(Path(base) / "home") as pid, \
            boathouse.connect(home=str(Path(base) / "home")) as lake:  # fmt: skip
        fe = FeatureEngineeringClient(context=lake)
        for seed, name in enumerate(online.NAMES):
            rows = online.made(given.keys, seed)
            fe.create_table(name=f"features.{name}", primary_keys=["key", "at"], timeseries_column="at", df=rows)
        online.published(fe, online.NAMES, "default", pid)
        online.settled(pid)
        floor: dict[int, float] = {}
        endpoints = {"feature spec": spec_endpoint(lake, fe, given.keys), "model": model_endpoint(lake)}
        name, asked, _ = endpoints["feature spec"]
        answer = online.Asking(lake.http.url, f"/serving-endpoints/dev.{name}/invocations", lake.http.token).ask(asked[0])
        with online.hello(Path(base), answer) as url:
            measured("hello-world", Load(Path(base), url, "none", asked), given.connections, given.seconds, floor, [])
        for label, (name, asked, alone) in endpoints.items():
            served = lake.call("GET", f"/api/v1/endpoints/dev/{name}")["served"]
            url = f"{lake.http.url}/serving-endpoints/dev.{name}/invocations"
            load = Load(Path(base), url, lake.http.token, asked)
            measured(label, load, given.connections, given.seconds, floor, [pid, *(s["pid"] for s in served)])
            in_process(label, alone)


if __name__ == "__main__":
    main()
