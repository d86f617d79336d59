"""Jobs that run as whom their bundle names: with that principal's rights, as long as their deployer may lend them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.client import Lake
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.platform.run_hooks import RunHooks

pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {{name: lent}}
run_as: {run_as}
targets: {{dev: {{default: true, environment: dev}}}}
resources:
  jobs:
    load:
      tasks: [{{task_key: load, spark_python_task: {{python_file: load.py}}}}]
    own:
      run_as: {{service_principal_name: dev-jobs}}
      tasks: [{{task_key: own, sql_task: {{query: "select 1"}}}}]
"""
LOADER = """
import boathouse
lake = boathouse.connect()
lake.sql("create table sales.orders as select 1 as id")
print("I am", lake.http.call("GET", "/api/v1/whoami")["principal"])
for name in ("dev.secret.pay", "prod.sales.orders"):
    try:
        lake.table(name).read().to_dicts()
        print(name, "read")
    except boathouse.errors.BoathouseError as error:
        print(name, error.error_code)
try:
    lake.call("POST", "/api/v1/principals", {"name": "mallory", "kind": "user"})
except boathouse.errors.BoathouseError as error:
    print("principals", error.error_code)
"""
LOADER_AS = "{service_principal_name: loader}"


@pytest.fixture
def home(tmp_path: Path) -> Platform:
    with Platform(settings.load({}, home=str(tmp_path / "h"))) as opened:
        for name in ("ada", "bob"):
            opened.identities.create(name, "user")
        opened.identities.create("loader", "service_principal")
        opened.access.grant("root", ["ada"], ["USE CATALOG", "DEPLOY", "RUN"], "catalog", "dev")
        yield opened  # type: ignore[misc]


@pytest.fixture
def deploy(home: Platform, tmp_path: Path) -> Callable[..., int]:
    def deploy(principal: str, run_as: str) -> int:
        (tmp_path / "boathouse.yml").write_text(BUNDLE.format(run_as=run_as))
        (tmp_path / "load.py").write_text("")
        who = Identity(principal, home.identities.groups_of(principal))
        return home.code.deploy(who, "dev", path=str(tmp_path)).id

    return deploy


def test_a_service_principal_is_lent_by_who_holds_the_grant_and_by_admins(home: Platform, deploy: Callable[..., int]) -> None:
    with pytest.raises(NotPermitted, match=r"grants add 'USE SERVICE PRINCIPAL' --principal loader --to ada"):
        deploy("ada", LOADER_AS)
    assert home.audit.entries(action="denied run_as")[0].subject == "dev.load"
    assert home.deployments.resources("job", "dev") == []
    deploy(home.operator, LOADER_AS)
    home.access.grant("root", ["ada"], ["USE SERVICE PRINCIPAL"], "service_principal", "loader")
    deploy("ada", LOADER_AS)
    assert home.audit.entries(action="deploy")[0].details["run_as"] == {"load": "loader", "own": "dev-jobs"}


def test_a_user_is_lent_by_themselves_and_by_admins_only(home: Platform, deploy: Callable[..., int]) -> None:
    deploy("ada", "{user_name: ada}")
    deploy(home.operator, "{user_name: bob}")
    with pytest.raises(NotPermitted, match="only bob and admins deploy what runs as bob"):
        deploy("ada", "{user_name: bob}")


@pytest.mark.parametrize(("run_as", "error", "words"), [
    ("{service_principal_name: nobody}", NotFound, "`boathouse principals create nobody` makes it"),
    ("{service_principal_name: bob}", InvalidInput, "service principal bob, which is a user"),
    ("{user_name: admins}", InvalidInput, "user admins, which is a group"),
])  # fmt: skip
def test_whom_no_run_can_be_is_refused_at_the_deployment(
    home: Platform, deploy: Callable[..., int], run_as: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        deploy(home.operator, run_as)


def test_what_was_deployed_runs_only_while_its_deployer_may_lend_the_principal(
    home: Platform, deploy: Callable[..., int]
) -> None:
    home.access.grant("root", ["ada"], ["USE SERVICE PRINCIPAL"], "service_principal", "loader")
    deploy("ada", LOADER_AS)
    root = Identity(home.operator, frozenset({"admins"}))
    run = home.runs.get(home.jobs.submit(root, "dev", "load", parameters={}))
    assert (run.principal, run.submitted_by) == ("loader", home.operator)
    assert home.audit.entries(action="run job as")[0].details["deployed_by"] == "ada"
    home.access.revoke("root", "ada", "USE SERVICE PRINCIPAL", "service_principal", "loader")
    for again in (lambda: home.jobs.submit(root, "dev", "load", parameters={}), lambda: RunHooks(home).check_launch(run)):
        with pytest.raises(NotPermitted, match="ada may not let the job 'load' run as loader"):
            again()
    assert home.runs.get(home.jobs.submit(root, "dev", "own", parameters={})).principal == "dev-jobs"
    home.access.grant("root", ["ada"], ["USE SERVICE PRINCIPAL"], "service_principal", "loader")
    home.identities.disable("loader")
    with pytest.raises(Conflict, match="loader, who is disabled"):
        home.jobs.submit(root, "dev", "load", parameters={})


def test_tasks_have_the_principals_rights_in_their_environment_and_no_more(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text(BUNDLE.format(run_as=LOADER_AS))
    (tmp_path / "load.py").write_text(LOADER)
    lake.call("POST", "/api/v1/principals", {"name": "loader", "kind": "service_principal"})
    lake.sql("create table dev.secret.pay as select 1 as id")
    lake.call("POST", "/api/v1/schemas/prod.sales", {})
    for privilege, kind, name in [
        ("USE CATALOG", "catalog", "dev"), ("CREATE SCHEMA", "catalog", "dev"), ("USE CATALOG", "catalog", "prod"),
        ("USE SCHEMA", "schema", "prod.sales"), ("SELECT", "schema", "prod.sales"), ("MANAGE", "metastore", "boathouse"),
    ]:  # fmt: skip
        grant = {"principal": "loader", "privilege": privilege, "kind": kind, "securable": name}
        lake.call("POST", "/api/v1/grants", grant)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    run = lake.jobs.wait(lake.jobs.submit("load"), 90)
    log = lake.jobs.log(run["id"], "load")
    assert run["state"] == "SUCCESS", log
    assert "I am loader" in log
    denied = "PERMISSION_DENIED"
    assert [line for line in log.splitlines() if line.endswith(denied)] == [
        f"dev.secret.pay {denied}", f"prod.sales.orders {denied}", f"principals {denied}"
    ]  # fmt: skip
    assert lake.call("GET", "/api/v1/securables/dev.sales.orders")["owner"] == "loader"
