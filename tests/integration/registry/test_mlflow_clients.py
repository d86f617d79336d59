"""Stock MLflow clients against a live server: what they do, and what they are refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's client and scikit-learn warn as they please

NAME, FULL = "flights.delay", "dev.flights.delay"
Client = Callable[[str], Any]


@pytest.fixture
def logged(live: Any, client: Client) -> Any:
    """Ada logs a run and a model, which becomes a new version of flights.delay."""
    client("ada")
    import mlflow
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    mlflow.set_experiment("flights")
    examples = np.array([[0.0], [1.0], [2.0], [3.0]])
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.7)
        return mlflow.sklearn.log_model(
            LogisticRegression().fit(examples, [0, 0, 1, 1]),
            name="model",
            registered_model_name=NAME,
            pip_requirements=["scikit-learn"],
        )


def refused(call: Callable[[], Any], status: int, message: str) -> None:
    from mlflow.exceptions import RestException

    with pytest.raises(RestException, match=message) as caught:
        call()
    assert caught.value.get_http_status_code() == status


def test_a_logged_model_is_registered_in_full_and_loaded_by_its_alias(live: Any, client: Client, logged: Any) -> None:
    import mlflow

    version = int(logged.registered_model_version)
    client("ada").set_registered_model_alias(NAME, "champion", version)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    assert model.predict([[0.0], [3.0]]).tolist() == [0, 1]
    made = client("ada").get_model_version(NAME, version)
    assert (made.name, made.current_stage, made.user_id) == (FULL, "Production", "ada")
    assert ("model_version.created", version) in [(kind, d.get("version")) for kind, d in live.told("event", FULL)]


def test_a_stage_transition_moves_table_alias_and_outbox_together(live: Any, client: Client, logged: Any) -> None:
    version = int(logged.registered_model_version)
    moved = client("ada").transition_model_version_stage(NAME, version, "Production")
    assert moved.current_stage == "Production"
    assert live.rows(f"SELECT version FROM bh_production WHERE model = '{FULL}'") == [(version,)]
    aliases = f"SELECT version FROM registered_model_aliases WHERE name = '{FULL}' AND alias = 'champion'"
    assert live.rows(aliases) == [(version,)]
    kind, told = live.told("event", FULL)[-2]
    assert (kind, told["version"], told["to_stage"]) == ("model_version.transitioned", version, "Production")
    assert live.told("ada", FULL)[-1][0] == "model.promote"


def test_a_version_is_copied_and_loaded_under_its_new_name(client: Client, logged: Any) -> None:
    import mlflow

    copied = client("ada").copy_model_version(f"models:/{NAME}/{logged.registered_model_version}", "flights.copy")
    assert copied.name == "dev.flights.copy"
    assert mlflow.pyfunc.load_model(f"models:/flights.copy/{copied.version}").predict([[3.0]]).tolist() == [1]


def test_promoting_takes_a_privilege_that_registering_does_not(client: Client, logged: Any) -> None:
    eve = client("eve")
    version = eve.create_model_version(NAME, logged.model_uri, model_id=logged.model_id).version
    assert eve.get_model_version(NAME, version).user_id == "eve"
    refused(lambda: eve.set_registered_model_alias(NAME, "champion", version), 403, r"eve lacks PROMOTE on dev\.flights")
    refused(lambda: eve.transition_model_version_stage(NAME, version, "Production"), 403, "eve lacks PROMOTE")


def test_a_reader_registers_and_logs_nothing(client: Client, logged: Any) -> None:
    ann = client("ann")
    assert ann.get_registered_model(NAME).name == FULL
    refused(lambda: ann.create_registered_model("flights.mine"), 403, "ann lacks CREATE MODEL on dev.flights.mine")
    refused(lambda: ann.create_run("0"), 403, "ann lacks RUN")


def test_another_environment_neither_sees_nor_touches_it(live: Any, client: Client, logged: Any) -> None:
    bob = client("bob")
    refused(lambda: bob.get_registered_model(NAME), 404, "not found")
    refused(lambda: bob.get_registered_model(FULL), 404, "no model dev.flights.delay that bob may see")
    refused(lambda: bob.create_model_version(FULL, logged.model_uri, model_id=logged.model_id), 403, "bob works in prod")
    refused(lambda: bob.log_metric(logged.run_id, "auc", 1.0), 404, "not found")
    file = f"/api/2.0/mlflow-artifacts/artifacts/1/models/{logged.model_id}/artifacts/MLmodel"
    assert live.http("PUT", file, "bob", content=b"mine").status_code == 404
    assert live.http("GET", file, "bob").status_code == 404


def test_production_cannot_be_deleted(client: Client, logged: Any) -> None:
    ada = client("ada")
    ada.set_registered_model_alias(NAME, "champion", logged.registered_model_version)
    refused(lambda: ada.delete_model_version(NAME, logged.registered_model_version), 409, "is in Production")
    refused(lambda: ada.delete_registered_model(NAME), 409, "promote another version or archive it first")


def test_a_personal_token_chooses_its_environment(client: Client) -> None:
    assert client("root@prod").create_registered_model("flights.chosen").name == "prod.flights.chosen"
    assert client("root").create_registered_model("flights.chosen").name == "dev.flights.chosen"


def test_clients_that_log_at_once_wait_for_each_other(client: Client) -> None:
    ada = client("ada")
    runs = [ada.create_run("0").info.run_id for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: [ada.log_metric(run, "loss", i, step=i) for i in range(15)], runs))
    assert [ada.get_run(run).data.metrics["loss"] for run in runs] == [14.0] * 4


def test_the_ui_and_its_calls_answer_below_their_prefix(live: Any, logged: Any) -> None:
    page = live.http("GET", "/mlflow/")
    assert "static-files/static/js/main" in page.text
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert "default-src 'self'" in page.headers["content-security-policy"]
    script = page.text.split('src="')[1].split('"')[0]
    assert live.http("GET", f"/mlflow/{script}").status_code == 200
    found = live.http("GET", "/mlflow/ajax-api/2.0/mlflow/registered-models/search").json()
    assert FULL in [model["name"] for model in found["registered_models"]]
    query = {"query": f'{{mlflowGetRun(input: {{runId: "{logged.run_id}"}}) {{run {{info {{status}}}}}}}}'}
    assert "FINISHED" in live.http("POST", "/mlflow/graphql", json=query).text


def test_foreign_pages_and_closed_routes_get_nothing(live: Any, logged: Any) -> None:
    evil = {"Origin": "http://evil.example"}
    file = f"/api/2.0/mlflow-artifacts/artifacts/1/{logged.run_id}/artifacts/x.txt"
    assert live.http("PUT", file, headers=evil, content=b"x").status_code == 403
    assert live.http("PUT", f"/mlflow{file}", headers=evil, content=b"x").status_code == 403
    assert live.http("POST", "/mlflow/graphql", headers=evil, json={}).status_code == 403
    assert live.http("GET", "/api/2.0/mlflow/webhooks").status_code == 404
    assert live.http("POST", "/api/2.0/mlflow/runs/search", "stranger", json={}).status_code == 401


def test_files_outside_boathouse_are_out_of_reach(live: Any) -> None:
    elsewhere = {"name": "mine", "artifact_location": "file:///etc"}
    answer = live.http("POST", "/api/2.0/mlflow/experiments/create", json=elsewhere)
    assert (answer.status_code, "leave artifact_location out" in answer.text) == (400, True)
    source = {"name": NAME, "source": "s3://bucket/model"}
    assert live.http("POST", "/api/2.0/mlflow/model-versions/create", json=source).status_code == 400


def test_the_route_table_is_that_of_the_installed_mlflow() -> None:
    from boathouse.server.mlflow_routes import ROUTES
    from boathouse.server.mlflow_survey import survey

    assert tuple(survey()) == ROUTES


def test_the_schema_is_that_of_the_installed_mlflow() -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    from boathouse.registry.embedding import SCHEMA_REVISION

    assert _get_latest_schema_revision() == SCHEMA_REVISION
