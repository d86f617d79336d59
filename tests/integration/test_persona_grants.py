"""Who may what, as a new installation grants it: asked through HTTP by one real person of each group."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from boathouse.client import Http, Lake
from boathouse.environments import push

pytestmark = pytest.mark.xdist_group("personas")  # one process: its server and fixtures are made once

ENVIRONMENTS = ("dev", "staging", "prod")
GROUPS = ("data-engineers", "data-scientists", "ml-engineers", "business-analysts")
ALL = "use create select modify deploy run deploy-data run-data execute promote approve merge query endpoints manage"

WORKS = "use create select modify deploy run deploy-data run-data"
MAY = {
    ("data-engineers", "dev"): WORKS,
    ("data-engineers", "staging"): "use select run run-data",
    ("data-engineers", "prod"): "use select deploy-data run-data",
    ("data-scientists", "dev"): f"{WORKS} execute",
    ("data-scientists", "staging"): "use select execute",
    ("data-scientists", "prod"): "use select execute",
    ("ml-engineers", "dev"): f"{WORKS} execute",
    ("ml-engineers", "staging"): f"{WORKS} execute promote approve merge query endpoints",
    ("ml-engineers", "prod"): "use select deploy run deploy-data run-data execute promote approve query endpoints",
    ("business-analysts", "dev"): "",
    ("business-analysts", "staging"): "",
    ("business-analysts", "prod"): "",
}
"""(group, environment) -> what is allowed; all else that is asked is refused."""
UNSAID = {
    ("data-scientists", "dev"): "promote query endpoints",
    ("ml-engineers", "dev"): "promote query endpoints",
}
"""What the table of personas leaves open."""

BUNDLE = """
bundle: {name: NAME}
targets:
  dev: {default: true, environment: dev}
  staging: {mode: production, environment: staging}
  prod: {mode: production, environment: prod}
resources:
  jobs:
    NAME-ask:
      tasks: [{task_key: ask, sql_task: {query: "SELECT 1"}}]
"""
MODEL = "  registered_models:\n    delay: {schema_name: flights, name: delay}\n"
"""What makes a project more than one that moves data."""

Person = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def token(lake: Lake) -> Callable[[str], str]:
    def issue(principal: str) -> str:
        return str(lake.call("POST", "/api/v1/tokens", {"principal": principal})["token"])

    return issue


@pytest.fixture(scope="module")
def people(lake: Lake, token: Callable[[str], str]) -> Any:
    """One member of each group, the operator, and the environments' own identities; each with a token."""
    found = {"operator": _client(lake, str(lake.http.token))}
    for group in GROUPS:
        name = f"a member of {group}"
        lake.call("POST", "/api/v1/principals", {"name": name})
        lake.call("PUT", f"/api/v1/groups/{group}/members/{name}")
        found[group] = _client(lake, token(name))
    for environment in ENVIRONMENTS:
        found[f"{environment}-jobs"] = _client(lake, token(f"{environment}-jobs"))
    for environment in ENVIRONMENTS:
        for name in ("features.t", "raw.t", "flights.delay_inference"):
            table = {"name": f"{environment}.{name}", "columns": {"id": "bigint"}}
            found[f"{environment}-jobs"].post("/api/v1/tables", json=table).raise_for_status()
    lake.settle(20)
    yield found
    for client in found.values():
        client.close()


@pytest.fixture(scope="module")
def project(lake: Lake, people: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model, pushed here, of which nothing is released; beside it `ingest`, which moves data, released."""
    _pushed(lake, tmp_path_factory.mktemp("ingest"), "ingest", BUNDLE)
    engineer, staging = people["ml-engineers"], {"target": "staging", "project": "ingest", "ref": "main"}
    engineer.post("/api/v1/deployments", json=staging).raise_for_status()
    engineer.post("/api/v1/releases", json={"project": "ingest", "version": "0.1"}).raise_for_status()
    return _pushed(lake, tmp_path_factory.mktemp("tiny"), "tiny", BUNDLE + MODEL)


def _pushed(lake: Lake, folder: Path, name: str, bundle: str) -> Path:
    (folder / "boathouse.yml").write_text(bundle.replace("NAME", name))
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "-m", "Start")
    push(folder, Path(lake.call("PUT", f"/api/v1/projects/{name}")["repository"]), "main")
    return folder


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def _client(lake: Lake, secret: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=lake.http.url, headers=headers, trust_env=False, timeout=60)


def ask(who: httpx.Client, action: str, env: str, project: Path) -> httpx.Response:
    """Try something that is allowed or not; where it is, it may still find nothing to work on."""
    model, endpoint = (
        f"/api/v1/models/{env}.flights.delay/versions/1",
        f"/serving-endpoints/{env}.delay/invocations",
    )
    reason = {"reason": "because"}
    grant = {"principal": "admins", "privilege": "SELECT", "kind": "schema", "securable": f"{env}.raw"}
    sent: dict[str, tuple[str, str, Any]] = {
        "use": ("GET", f"/api/v1/environments/{env}", None),
        "create": ("POST", f"/api/v1/schemas/{env}.own_{id(who)}", None),
        "select": ("POST", "/api/v1/sql", {"query": "SELECT * FROM features.t", "environment": env}),
        "modify": ("POST", f"/api/v1/tables/{env}.features.t/open", {"privileges": ["MODIFY"]}),
        "deploy": ("POST", "/api/v1/deployments", {"target": env, "project": "tiny", "ref": "main"}),
        "run": ("POST", f"/api/v1/jobs/{env}/none/runs", {}),
        "deploy-data": ("POST", "/api/v1/deployments", {"target": env, "project": "ingest", "ref": "main"}),
        "run-data": ("POST", f"/api/v1/jobs/{env}/ingest-ask/runs", {"task": "none"}),
        "execute": ("GET", model, None),
        "promote": ("POST", f"{model}/promote", reason),
        "approve": ("POST", f"{model}/approve", reason),
        "merge": ("POST", "/api/v1/requests/99/merge", None),
        "query": ("POST", endpoint, {"instances": []}),
        "endpoints": ("POST", f"/api/v1/endpoints/{env}/delay/flush", None),
        "manage": ("POST", "/api/v1/grants", grant),
    }
    method, path, body = sent[action]
    return who.request(method, path, json=body)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("group", GROUPS)
def test_each_group_may_do_what_the_table_says(
    people: Any, project: Path, group: str, environment: str
) -> None:
    place = (group, environment)
    asked = [
        a
        for a in ALL.split()
        if a not in UNSAID.get(place, "").split() and (a != "merge" or environment == "staging")
    ]
    answers = {action: ask(people[group], action, environment, project) for action in asked}
    allowed = {action for action, answer in answers.items() if answer.status_code != 403}
    assert allowed == set(MAY[place].split())
    for action in set(asked) - allowed:
        body = answers[action].json()
        assert body["error_code"] == "PERMISSION_DENIED"
        assert body["details"]["missing"]["securable"].startswith(environment), action
    assert all(answer.status_code < 500 for answer in answers.values())


def test_data_engineers_release_and_run_feature_and_ingest_projects_in_prod(people: Any, project: Path) -> None:
    engineer = people["data-engineers"]
    cut = engineer.post("/api/v1/releases", json={"project": "ingest", "version": "1.0"})
    assert cut.status_code == 200, cut.text
    run = engineer.post("/api/v1/jobs/prod/ingest-ask/runs", json={}).json()["run_id"]
    assert people["data-scientists"].post(f"/api/v1/runs/{run}/cancel").status_code == 403
    assert engineer.post(f"/api/v1/runs/{run}/cancel").status_code == 200
    assert engineer.post("/api/v1/releases", json={"project": "tiny", "version": "0.9"}).status_code == 403
    assert engineer.delete("/api/v1/deployments/prod/ingest").status_code == 200


def test_a_data_project_that_gains_a_model_needs_deploy_on_prod(people: Any, lake: Lake, project: Path) -> None:
    folder = project.parent / "grown"
    folder.mkdir()
    _pushed(lake, folder, "grown", BUNDLE)
    deploy = {"target": "staging", "project": "grown", "ref": "main"}
    assert people["ml-engineers"].post("/api/v1/deployments", json=deploy).status_code == 200
    (folder / "boathouse.yml").write_text(BUNDLE.replace("NAME", "grown") + MODEL)
    _git(folder, "commit", "--quiet", "--all", "-m", "A model")
    push(folder, Path(lake.call("PUT", "/api/v1/projects/grown")["repository"]), "main")
    answer = people["data-engineers"].post("/api/v1/releases", json={"project": "grown", "version": "1.0"})
    assert (answer.status_code, answer.json()["details"]["missing"]) == (403, {"privilege": "DEPLOY", "securable": "prod"})


def test_data_scientists_read_features_and_inference_tables_of_prod_only(people: Any) -> None:
    def status(table: str) -> int:
        query = {"query": f"SELECT * FROM prod.{table}", "environment": "dev"}
        return int(people["data-scientists"].post("/api/v1/sql", json=query).status_code)

    assert [status(t) for t in ("features.t", "flights.delay_inference", "raw.t")] == [200, 200, 403]


def test_data_scientists_see_prods_runs(people: Any) -> None:
    assert people["data-scientists"].get("/api/v1/runs?environment=prod").status_code == 200
    assert people["data-scientists"].get("/api/v1/jobs?environment=prod").status_code == 200


def test_analysts_read_the_schemas_that_were_granted_to_them(people: Any) -> None:
    def status() -> int:
        query = {"query": "SELECT * FROM features.t", "environment": "prod"}
        return int(people["business-analysts"].post("/api/v1/sql", json=query).status_code)

    ways = [
        ("USE CATALOG", "catalog", "prod"),
        ("USE SCHEMA", "schema", "prod.features"),
        ("SELECT", "schema", "prod.features"),
    ]
    assert status() == 403
    for privilege, kind, securable in ways:
        grant = {
            "principal": "business-analysts",
            "privilege": privilege,
            "kind": kind,
            "securable": securable,
        }
        people["operator"].post("/api/v1/grants", json=grant).raise_for_status()
    assert status() == 200
    other = people["business-analysts"].post("/api/v1/sql", json={"query": "SELECT * FROM prod.raw.t"})
    assert (other.status_code, other.json()["details"]["missing"]["securable"]) == (403, "prod.raw")
    for privilege, kind, securable in ways:
        grant = {
            "principal": "business-analysts",
            "privilege": privilege,
            "kind": kind,
            "securable": securable,
        }
        people["operator"].post("/api/v1/grants/revoke", json=grant).raise_for_status()
    assert status() == 403


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_prods_own_jobs_write_prod(people: Any, environment: str) -> None:
    def status(who: str) -> int:
        body = {"privileges": ["MODIFY"]}
        return int(people[who].post(f"/api/v1/tables/{environment}.features.t/open", json=body).status_code)

    writers = {who for who in people if status(who) == 200}
    expected = {"dev": {"operator", *GROUPS[:3]}, "staging": {"operator", "ml-engineers"}, "prod": set()}
    assert writers == expected[environment] | {f"{environment}-jobs"}


def test_an_environments_jobs_reach_no_other_environment(people: Any) -> None:
    for env in ENVIRONMENTS:
        for other in set(ENVIRONMENTS) - {env}:
            answer = people[f"{env}-jobs"].post(
                "/api/v1/sql", json={"query": f"SELECT * FROM {other}.features.t"}
            )
            assert answer.status_code == 403


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_code_that_was_not_released_is_refused_to_who_may_deploy(
    people: Any, project: Path, environment: str
) -> None:
    _git(project, "checkout", "--quiet", "-B", "own-work")
    _git(project, "commit", "--quiet", "--allow-empty", "-m", "More")
    answer = people["operator"].post(
        "/api/v1/deployments", json={"target": environment, "path": str(project)}
    )
    assert (answer.status_code, answer.json()["error_code"]) == (409, "NOT_RELEASED")
    _git(project, "checkout", "--quiet", "main")


def test_released_code_runs_from_a_checkout_and_not_from_a_working_tree(people: Any, project: Path) -> None:
    cut = people["ml-engineers"].post("/api/v1/releases", json={"project": "tiny", "version": "1.0"})
    assert cut.status_code == 200, cut.text
    deployed = people["ml-engineers"].post(
        "/api/v1/deployments", json={"target": "prod", "path": str(project)}
    )
    assert deployed.status_code == 200, deployed.text
    assert not Path(deployed.json()["source"]).is_relative_to(project)
    assert (deployed.json()["commit_id"], deployed.json()["dirty"]) == (cut.json()["commit_id"], False)


def test_who_may_deploy_nowhere_learns_nothing_of_the_servers_files(people: Any, tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text("secret: yes\n")
    answer = people["business-analysts"].post(
        "/api/v1/deployments", json={"target": "dev", "path": str(tmp_path)}
    )
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_a_folder_of_the_server_is_named_from_its_own_machine_alone(people: Any, project: Path) -> None:
    for address in ("/api/v1/deployments", "/api/v1/deployments/plan"):
        body, far = {"target": "dev", "path": str(project)}, {"X-Forwarded-For": "203.0.113.7"}
        assert people["data-engineers"].post(address, json=body).status_code == 200
        refused = people["data-engineers"].post(address, json=body, headers=far)
        assert refused.status_code == 403
        assert "from that machine alone" in refused.text


def test_only_admins_change_people_and_make_others_tokens(people: Any) -> None:
    for group in GROUPS:
        answers = [
            people[group].post("/api/v1/principals", json={"name": "mallory"}),
            people[group].put(f"/api/v1/groups/admins/members/a member of {group}"),
            people[group].post("/api/v1/tokens", json={"principal": "prod-jobs"}),
        ]
        assert [answer.status_code for answer in answers] == [403] * 3


def test_a_token_of_ones_own_is_shown_once_and_can_be_revoked(lake: Lake, people: Any) -> None:
    ada = people["data-scientists"]
    secret = ada.post("/api/v1/tokens", json={"comment": "laptop"}).json()["token"]
    (listed,) = [t for t in ada.get("/api/v1/tokens").json() if t["comment"] == "laptop"]
    assert secret not in str(listed)
    assert people["data-engineers"].delete(f"/api/v1/tokens/{listed['id']}").status_code == 404
    assert ada.delete(f"/api/v1/tokens/{listed['id']}").status_code == 200
    http = Http(lake.http.url, secret)
    with pytest.raises(Exception, match="unknown, revoked or expired"):
        http.call("GET", "/api/v1/whoami")
    http.close()


def test_every_refusal_is_in_the_audit_and_the_chain_is_whole(people: Any) -> None:
    people["business-analysts"].get("/api/v1/environments/staging")
    newest = people["operator"].get("/api/v1/audit?limit=1").json()[0]
    assert (newest["principal"], newest["outcome"]) == ("a member of business-analysts", "denied")
    assert (newest["action"], newest["subject"]) == ("denied USE CATALOG", "staging")
    assert people["operator"].get("/api/v1/audit/verify").json()["whole"]
    assert people["data-scientists"].get("/api/v1/audit").status_code == 403
