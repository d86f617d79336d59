"""A new version takes over by a share of the traffic: a good one finishes, a bad one is rolled back, a kill changes neither."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from waiting import wait_for

from boathouse.client import Http, Lake
from boathouse.errors import InvalidInput

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("rollout"),
              pytest.mark.filterwarnings("ignore::UserWarning:mlflow.*")]  # fmt: skip
BUNDLE = """
bundle: {name: shop}
targets:
  dev: {default: true, mode: production, environment: dev}
resources:
  registered_models:
    MODEL:
      schema_name: shop
      name: MODEL
      delivery: {mode: external, rollout: ROLLOUT}
  model_serving_endpoints:
    MODEL: {name: MODEL, config: {served_entities: [{name: champion, entity_name: shop.MODEL}]}}
"""
MODEL = """
import os
import time
import mlflow.pyfunc
from mlflow.models import set_model

answer = ANSWER

class Own(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        while isinstance(answer, str) and not os.path.exists(answer):
            time.sleep(0.05)

    def predict(self, context, model_input, params=None):
        if answer is None:
            raise ValueError("nothing comes to mind")
        if isinstance(answer, str):
            return [0.0] * len(model_input)
        if answer < 0:
            os._exit(1)
        return [float(answer)] * len(model_input)

set_model(Own())
"""
UP = "from boathouse.cli import main; main()"
X = pd.DataFrame({"x": [1.0, 2.0]})


class Site:
    """A home with `boathouse up` on it, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.up()

    def up(self) -> None:
        words = [sys.executable, "-c", UP, "--home", str(self.folder / "home"), "up", "--port", "0"]
        environ = {**os.environ, "BOATHOUSE_ISOLATION_FOLDERS": str(self.folder)}  # a file there lets a model go on
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ)
        assert self.process.stdout is not None
        self.url = next(line for line in self.process.stdout if "Boathouse is at" in line).split()[3]
        token = (self.folder / "home" / "secrets" / "operator.token").read_text().strip()
        self.lake = Lake(Http(self.url, token), "dev")
        self.lake.point_mlflow_here()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.lake.close()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.lake.close()

    def deploy(self, model: str, rollout: str) -> None:
        project = self.folder / model
        project.mkdir(exist_ok=True)
        text = BUNDLE.replace("ROLLOUT", rollout).replace("MODEL", model).replace("name: shop}", f"name: {model}}}", 1)
        (project / "boathouse.yml").write_text(text)
        self.lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})

    def log(self, model: str, answer: float | str | None) -> int:
        """A version that answers so, that fails, or that loads once a file is there."""
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        source = self.folder / f"model_{model}_{answer if answer is None else str(answer)[-8:]}.py"
        source.write_text(MODEL.replace("ANSWER", repr(answer)))
        mlflow.set_experiment(model)
        with mlflow.start_run():
            made = mlflow.pyfunc.log_model(
                name="model", python_model=str(source), registered_model_name=f"shop.{model}", pip_requirements=["mlflow"],
                signature=infer_signature(X, np.zeros(2)),
            )  # fmt: skip
        version = int(made.registered_model_version)
        wait_for(lambda: self.lake.models.version(f"shop.{model}", str(version)))
        return version

    def register(self, model: str, answer: float | None) -> int:
        """A version that a system outside finds good."""
        version = self.log(model, answer)
        checks = [{"name": "looked at", "outcome": "pass", "reason": "by eye"}]
        self.lake.call("POST", f"/api/v1/models/dev.shop.{model}/versions/{version}/verdicts", {"checks": checks})
        return version

    def promote(self, model: str, answer: float | None) -> int:
        version = self.register(model, answer)
        self.lake.models.promote(f"shop.{model}", str(version))
        return version

    def ask(self, model: str, x: float = 1.0, **more: Any) -> httpx.Response:
        body = {"dataframe_records": [{"x": x}], **more}
        return self.lake.http.raw("POST", f"/serving-endpoints/dev.{model}/invocations", *_json(body))

    def rollout(self, model: str) -> dict[str, Any]:
        found: dict[str, Any] = self.lake.models.get(f"shop.{model}")["rollout"]
        return found

    def served(self, model: str) -> dict[str, dict[str, Any]]:
        return {s["role"]: s for s in self.lake.call("GET", f"/api/v1/endpoints/dev/{model}")["served"]}

    def until(self, model: str, state: str) -> Counter[tuple[int, str]]:
        """Ask until the rollout is so; the answers until then, by status and version."""
        seen: Counter[tuple[int, str]] = Counter()

        def asked() -> bool:
            answers = [self.ask(model) for _ in range(10)]
            if self.rollout(model)["state"] == state:
                return True
            seen.update((a.status_code, a.headers["x-model-version"]) for a in answers)
            return False

        wait_for(asked)
        return seen

    def payload(self, model: str) -> pd.DataFrame:
        self.lake.call("POST", f"/api/v1/endpoints/dev/{model}/flush")
        return self.lake.table(f"shop.{model}_payload").read().to_pandas()


def _json(body: dict[str, Any]) -> tuple[bytes, str]:
    import json

    return json.dumps(body).encode(), "application/json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A champion that an endpoint answers with."""
    environ = dict(os.environ)
    made = Site(tmp_path_factory.mktemp("rollout"))
    made.deploy("price", CANARY)
    assert made.promote("price", 1.0) == 1
    made.lake.call("POST", "/api/v1/endpoints/dev/price/await/1")
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(environ)


CANARY = "{canary_percent: 50, for: 1s, min_requests: 10, rollback_on: {error_rate: 0.01, p99_ms: 5000}}"
SLOW = "{canary_percent: 50, for: 4s, min_requests: 10, rollback_on: {error_rate: 0.01, p99_ms: 5000}}"
SHADOW = "{mode: shadow, for: 1s, min_requests: 10, rollback_on: {error_rate: 0.01}}"


def test_a_version_that_fails_is_rolled_back_and_no_caller_is_hurt(site: Site) -> None:
    champion = str(site.lake.models.get("shop.price")["production"])
    bad = site.promote("price", None)
    seen = site.until("price", "ROLLED_BACK")
    assert set(seen) == {(200, champion)}
    found = site.lake.models.get("shop.price")
    assert found["production"] == int(champion)
    [entry] = [h for h in found["history"] if h["version"] == bad and h["to_stage"] == "Archived"]
    assert "requests failed" in entry["reason"]
    assert "0.01 is the limit of error_rate" in entry["reason"]
    wait_for(lambda: set(site.served("price")) == {"served"})
    logged = site.payload("price")
    assert set(logged[logged.model_version == str(bad)].status_code) == {400}
    lines = site.lake.call("GET", "/api/v1/endpoints/dev/price/logs")["lines"]
    assert any("nothing comes to mind" in line for line in lines)


@pytest.mark.long
def test_a_version_that_takes_its_process_down_hurts_no_caller(site: Site) -> None:
    champion = site.lake.models.get("shop.price")["production"]
    site.promote("price", -1.0)
    assert set(site.until("price", "ROLLED_BACK")) == {(200, str(champion))}
    assert "failed" in site.rollout("price")["reason"]


def test_a_good_version_takes_over_by_its_share(site: Site) -> None:
    former = site.lake.models.get("shop.price")["production"]
    good = site.promote("price", 2.0)
    begun = site.lake.models.get("shop.price")
    assert (begun["production"], begun["rollout"]["state"]) == (former, "RUNNING")
    for _ in range(5):  # requests that both refuse are no failures of the new version
        with pytest.raises(InvalidInput, match="'x'"):
            site.ask("price", client_request_id=uuid.uuid4().hex, dataframe_records=[{"y": 1.0}])
    assert set(site.until("price", "FINISHED")) == {(200, str(former)), (200, str(good))}
    found = site.lake.models.get("shop.price")
    assert found["production"] == good
    assert "rolled out: " in found["history"][-1]["reason"]
    site.lake.call("POST", f"/api/v1/endpoints/dev/price/await/{good}")
    wait_for(lambda: set(site.served("price")) == {"served"})
    assert site.ask("price").headers["x-model-version"] == str(good)
    labels = f'environment="dev",endpoint="price",version="{good}",role="canary",status="200"'
    assert f"boathouse_endpoint_requests_total{{{labels}}} " in httpx.get(f"{site.url}/metrics").text
    assert httpx.get(f"{site.url}/metrics", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 401


@pytest.mark.long
def test_a_rollout_goes_on_where_the_server_was_killed(site: Site) -> None:
    site.deploy("price", SLOW)
    good = site.promote("price", 3.0)
    wait_for(lambda: site.ask("price", client_request_id=str(time.monotonic())).headers["x-model-version"] == str(good))
    wait_for(lambda: site.rollout("price")["health"]["requests"])
    before = site.rollout("price")
    site.kill()
    site.up()
    after = site.rollout("price")
    assert (after["state"], after["id"], after["version"]) == ("RUNNING", before["id"], good)
    assert after["health"]["requests"] >= before["health"]["requests"]
    assert after["served_seconds"] >= before["served_seconds"]
    site.lake.call("POST", f"/api/v1/endpoints/dev/price/await/{before['champion']}")
    wait_for(lambda: {"served", "canary"} == {r for r, s in site.served("price").items() if s["state"] == "READY"})
    site.until("price", "FINISHED")
    assert site.lake.models.get("shop.price")["production"] == good


@pytest.mark.long
def test_a_shadow_answers_unseen_and_its_failures_hurt_nobody(site: Site) -> None:
    site.deploy("price", SHADOW)
    champion = site.lake.models.get("shop.price")["production"]
    bad = site.promote("price", None)
    assert set(site.until("price", "ROLLED_BACK")) == {(200, str(champion))}
    logged = site.payload("price")
    shadows = logged[logged["mode"] == "shadow"]
    assert set(shadows.model_version) == {str(bad)}
    assert set(shadows.shadow_of) <= set(logged[logged["mode"] == "online"].request_id)


def test_a_rollback_by_hand_ends_a_rollout(site: Site) -> None:
    site.deploy("price", SLOW)
    champion = site.lake.models.get("shop.price")["production"]
    good = site.promote("price", 5.0)
    assert site.lake.models.rollback("shop.price", "complaints")["version"] == champion
    found = site.lake.models.get("shop.price")
    assert (found["production"], found["rollout"]["state"], found["rollout"]["reason"]) == (champion, "ROLLED_BACK", "complaints")
    assert found["versions"][0]["version"] == good
    assert found["versions"][0]["stage"] == "Archived"


@pytest.mark.long
def test_shares_by_hand_are_kept_and_keys_stick(site: Site) -> None:
    body = {"config": {"served_entities": [{"entity_name": "dev.shop.price"}]}}
    site.lake.call("PUT", "/api/v1/endpoints/dev/hand", body)
    site.lake.call("PUT", "/api/v1/endpoints/dev/hand/traffic", {"shares": {"champion": 50, "1": 50}})
    site.lake.call("POST", "/api/v1/endpoints/dev/hand/await/1")
    wait_for(lambda: {s["state"] for s in site.lake.call("GET", "/api/v1/endpoints/dev/hand")["served"]} == {"READY"})

    def asked(key: str) -> str:
        return str(site.ask("hand", client_request_id=key).headers["x-model-version"])

    answers = {key: {asked(key) for _ in range(3)} for key in "abcdefghij"}
    assert {len(versions) for versions in answers.values()} == {1}
    assert len({next(iter(versions)) for versions in answers.values()}) == 2

    def shares() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = site.lake.call("GET", "/api/v1/endpoints/dev/hand/traffic")
        return found

    assert [(s["name"], s["percent"], s["state"]) for s in shares()] == [("champion", 50, "READY"), ("1", 50, "READY")]
    wait_for(lambda: sum(s["health"]["requests"] for s in shares()) == 30)
    site.lake.call("DELETE", "/api/v1/endpoints/dev/hand")


def test_who_may_ask_changes_at_once(site: Site) -> None:
    call = site.lake.call
    call("POST", "/api/v1/principals", {"name": "eve"})
    token = call("POST", "/api/v1/tokens", {"principal": "eve"})
    right = {"principal": "eve", "privilege": "QUERY", "kind": "endpoint", "securable": "dev.price"}
    way = {"principal": "eve", "privilege": "USE CATALOG", "kind": "catalog", "securable": "dev"}
    address, question = f"{site.url}/serving-endpoints/dev.price/invocations", {"dataframe_records": [{"x": 1.0}]}
    with httpx.Client(headers={"Authorization": f"Bearer {token['token']}"}) as eve:

        def asked() -> int:
            return eve.post(address, json=question).status_code

        assert asked() == 403
        for one in (right, way):
            call("POST", "/api/v1/grants", one)
        assert [asked(), asked()] == [200, 200]
        call("POST", "/api/v1/grants/revoke", right)
        assert asked() == 403
        call("POST", "/api/v1/grants", right)
        assert [asked(), asked()] == [200, 200]
        call("DELETE", f"/api/v1/tokens/{call('GET', '/api/v1/tokens?principal=eve')[0]['id']}")
        assert asked() == 401
        assert eve.post(f"{site.url}/serving-endpoints/price/invocations", json=question).status_code == 401
    assert httpx.post(address, json=question).status_code == 401
    logged = site.payload("price")
    assert len(logged[logged.requester == "eve"]) == 4


def test_one_that_loads_for_long_keeps_no_other_waiting(site: Site) -> None:
    gate = site.folder / "loads.on"
    site.log("slow", str(gate))
    served = {"slow": "shop.slow", "other": "shop.price"}
    for name, model in served.items():
        entity = {"entity_name": model, "entity_version": "1"}
        site.lake.call("PUT", f"/api/v1/endpoints/dev/{name}", {"config": {"served_entities": [entity]}})
        if name == "slow":
            wait_for(lambda: site.lake.call("GET", "/api/v1/endpoints/dev/slow")["state"] == "LOADING")
    site.lake.call("POST", "/api/v1/endpoints/dev/other/await/1")
    assert site.ask("other").json()["predictions"] == [1.0]
    assert site.lake.call("GET", "/api/v1/endpoints/dev/slow")["state"] == "LOADING"
    gate.touch()
    site.lake.call("POST", "/api/v1/endpoints/dev/slow/await/1")
