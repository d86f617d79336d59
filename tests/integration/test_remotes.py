"""Projects that come from a remote: what is fetched, what is recorded, and what prod then runs."""

import hashlib
import hmac
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from receivers import Desk, running

from boathouse import settings
from boathouse.environments import parse_origin
from boathouse.environments.store import remotes
from boathouse.errors import Conflict, InvalidInput, NotReleased, Unauthenticated
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.platform.starting import Surroundings
from boathouse.registry import prepare_mlflow
from boathouse.server import Server

ADMIN = Identity("admin", frozenset({"admins"}))
BUNDLE = """
bundle: {{name: shop}}
targets:
  dev: {{default: true, environment: dev}}
  staging: {{environment: staging}}
  prod: {{environment: prod, git: {{branch: "{pattern}"}}}}
resources: {{jobs: {{load: {{tasks: [{{task_key: load, sql_task: {{query: "select 1"}}}}]}}}}}}
"""


class Host:
    """A repository elsewhere, with a working tree to push from."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.tree.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("release")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        return subprocess.run(["git", *who, *words], cwd=self.tree, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, pattern: str, note: str = "") -> str:
        (self.tree / "boathouse.yml").write_text(BUNDLE.format(pattern=pattern) + f"# {note}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", note or "Change")
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        self.git("checkout", "--quiet", "-B", name)


@pytest.fixture
def host(platform: Platform, tmp_path: Path) -> Host:
    made = Host(tmp_path)
    platform.projects.ensure(ADMIN, "shop")
    platform.remotes.set_origin(ADMIN, "shop", parse_origin(str(made.tree)))
    return made


def deploy(platform: Platform, commit: str) -> str | None:
    return platform.code.deploy(ADMIN, "prod", project="shop", ref=commit).commit_id


def test_a_fetch_tells_which_branches_moved(platform: Platform, host: Host) -> None:
    head = host.git("rev-parse", "HEAD")
    assert platform.remotes.fetch("shop") == {"main": head}
    assert platform.remotes.fetch("shop") == {}
    assert [e.data["commit"] for e in platform.outbox.recent() if e.kind == "git.pushed"] == [head]


def test_prod_runs_heads_of_the_branch_that_its_target_names_and_no_ancestor(platform: Platform, host: Host) -> None:
    host.branch("release")
    skipped, head = host.commit("release", "one"), host.commit("release", "two")
    platform.remotes.fetch("shop")
    assert deploy(platform, head) == head
    with pytest.raises(NotReleased, match="not released"):
        deploy(platform, skipped)


def test_a_head_that_was_fetched_may_run_after_its_branch_moved_on(platform: Platform, host: Host) -> None:
    host.branch("release")
    first = host.commit("release", "one")
    platform.remotes.fetch("shop")
    host.commit("release", "two")
    platform.remotes.fetch("shop")
    assert deploy(platform, first) == first


def test_a_commit_cannot_let_itself_in_by_naming_its_own_branch(platform: Platform, host: Host) -> None:
    host.branch("mine")
    commit = host.commit("mine", "let me in")
    platform.remotes.fetch("shop")
    with pytest.raises(NotReleased):
        deploy(platform, commit)


def test_a_release_branch_of_the_usual_name_is_none_where_main_names_another(platform: Platform, host: Host) -> None:
    host.branch("release/1.0")
    commit = host.commit("release/*", "of the usual name")
    platform.remotes.fetch("shop")
    with pytest.raises(NotReleased):
        deploy(platform, commit)


def test_what_comes_from_a_remote_is_merged_there(platform: Platform, host: Host) -> None:
    host.branch("work")
    host.commit("release", "work")
    platform.remotes.fetch("shop")
    number = platform.projects.open_request(ADMIN, "shop", "work", "Work").id
    for check in ("unit", "integration"):
        platform.projects.report_check(number, check, {"state": "success"})
    with pytest.raises(Conflict, match="merge there"):
        platform.projects.merge(ADMIN, number)


def test_a_request_takes_the_place_of_its_branchs_open_one_and_may_be_closed(platform: Platform, host: Host) -> None:
    host.branch("work")
    host.commit("release", "work")
    platform.remotes.fetch("shop")
    first, second = (platform.projects.open_request(ADMIN, "shop", "work", "Work").id for _ in range(2))
    assert [(r.id, r.state) for r in platform.projects.requests("shop")] == [(second, "open"), (first, "closed")]
    platform.projects.close_request(ADMIN, second)
    with pytest.raises(Conflict, match=f"merge request {second} is closed"):
        platform.projects.close_request(ADMIN, second)
    with pytest.raises(Conflict, match=f"merge request {second} is closed"):
        platform.projects.merge(ADMIN, second)


def test_a_project_without_a_remote_says_how_to_give_it_one(platform: Platform) -> None:
    platform.projects.ensure(ADMIN, "lone")
    with pytest.raises(InvalidInput, match="projects remote lone URL"):
        platform.remotes.fetch("lone")


def test_tokens_and_secrets_rest_encrypted(platform: Platform, host: Host) -> None:
    platform.remotes.set_origin(ADMIN, "shop", parse_origin("https://host.example/shop.git"), token="t0ken")
    platform.remotes.set_secret(ADMIN, "shop", "hush")
    with platform.database.reading() as connection:
        kept = str(connection.execute(sa.select(remotes)).all())
    assert "t0ken" not in kept
    assert "hush" not in kept
    assert platform.remotes.secret("shop") == "hush"


def delivered(platform: Platform, action: str) -> dict[str, Any]:
    own = {"full_name": "acme/shop"}
    told = {"action": action, "pull_request": {"title": "Work", "head": {"ref": "work", "repo": own},
                                              "base": {"ref": "main", "repo": own}}}  # fmt: skip
    body = json.dumps(told).encode()
    digest = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    return platform.git_host.receive("shop", {"x-github-event": "pull_request", "x-hub-signature-256": f"sha256={digest}"}, body)


def test_a_request_at_the_host_is_tested_once_for_each_commit_and_closed_there(platform: Platform, host: Host) -> None:
    platform.remotes.set_secret(ADMIN, "shop", "hush")
    host.branch("work")
    host.commit("release", "work")
    first = delivered(platform, "opened")["request"]
    assert delivered(platform, "opened")["request"] == first
    second_head = host.commit("release", "more work")
    second = delivered(platform, "synchronize")["request"]
    assert [(r.id, r.state) for r in platform.projects.requests("shop")] == [(second, "open"), (first, "closed")]
    assert platform.projects.request(second).head == second_head
    assert platform.projects.request(second).checks["unit"]["run"]
    delivered(platform, "closed")
    assert platform.projects.request(second).state == "closed"


def test_a_delivery_for_another_or_no_project_is_refused_alike(platform: Platform, host: Host) -> None:
    for project in ("shop", "nobody's"):
        with pytest.raises(Unauthenticated, match="shares its secret"):
            platform.git_host.receive(project, {"x-gitlab-event": "Push Hook", "x-gitlab-token": ""}, b"{}")


def test_a_request_under_test_runs_in_its_throw_away_place_and_nowhere_else_in_staging(platform: Platform, host: Host) -> None:
    host.branch("work")
    host.commit("release", "work")
    platform.remotes.fetch("shop")
    request = platform.projects.open_request(ADMIN, "shop", "work", "Work")
    for scratch in ("", "mr999"):
        with pytest.raises(NotReleased, match="neither the head of main"):
            platform.code.check_policy("shop", "staging", request.merge_commit, dirty=False, scratch=scratch)
    platform.code.check_policy("shop", "staging", request.merge_commit, dirty=False, scratch=request.scratch)
    with pytest.raises(Conflict, match="only the tests of a request run jobs in its throw-away place"):
        platform.jobs.submit(ADMIN, "staging", "load", parameters={}, scratch=request.scratch)


def test_a_release_head_that_is_fetched_and_deployed_starts_a_job_once(platform: Platform, host: Host) -> None:
    host.branch("release")
    head = host.commit("release", "one")
    platform.remotes.fetch("shop")
    around = (platform.deployments, platform.projects, platform.volumes, platform.identities, platform.code, platform.runs)
    ports = Surroundings(*around)
    assert ports.release("shop", head) == f"release at {head[:12]}"
    main = host.git("rev-parse", "main")
    assert ports.release("shop", main) is None


def test_the_host_is_told_how_each_check_stands_when_it_is_told(tmp_path: Path) -> None:
    wanted = settings.load({"BOATHOUSE_WEBHOOK_PRIVATE_ADDRESSES": "on"}, home=str(tmp_path / "home"))
    with Platform(wanted) as platform, running(Desk(failing=1)) as desk:
        host = Host(tmp_path)
        platform.projects.ensure(ADMIN, "shop")
        platform.remotes.set_origin(ADMIN, "shop", parse_origin(str(host.tree)))
        platform.remotes.set_secret(ADMIN, "shop", "hush")
        platform.remotes.set_statuses(ADMIN, "shop", f"{desk.url}/api/v3/repos/acme/shop", "t0ken")
        assert "t0ken" not in (tmp_path / "home/boathouse.db").read_bytes().decode(errors="replace")
        host.branch("work")
        head = host.commit("release", "work")
        number = delivered(platform, "opened")["request"]
        platform.notifications.deliver()
        [waiting] = [n for n in platform.notifications.all("staging") if n["state"] == "WAITING"]
        assert "503" in waiting["last_error"]
        platform.code._report(number, "unit", {"state": "success", "reason": "34 passed"})
        platform.code._report(number, "integration", {"state": "failure", "reason": "1 failed"})
        platform.notifications.deliver()
        assert platform.notifications.again("staging", waiting["id"])["state"] == "SENT"
        assert {path for path, _, _ in desk.posts} == {f"/api/v3/repos/acme/shop/statuses/{head}"}
        assert {headers["Authorization"] for _, headers, _ in desk.posts} == {"Bearer t0ken"}
        newest = {body["context"]: (body["state"], body["description"]) for _, _, body in desk.posts}
        assert newest == {"boathouse/unit": ("success", "34 passed"), "boathouse/integration": ("failure", "1 failed")}
        platform.remotes.set_statuses(ADMIN, "shop", None, None)
        count = len(platform.notifications.all("staging"))
        platform.code._report(number, "unit", {"state": "pending"})
        assert len(platform.notifications.all("staging")) == count


def test_the_host_is_told_the_verdict_on_a_version_that_a_requests_commit_made(tmp_path: Path) -> None:
    wanted = settings.load({"BOATHOUSE_WEBHOOK_PRIVATE_ADDRESSES": "on"}, home=str(tmp_path / "home"))
    with Platform(wanted) as platform, running(Desk()) as desk:
        host, server = Host(tmp_path), Server(platform)
        platform.projects.ensure(ADMIN, "shop")
        platform.remotes.set_origin(ADMIN, "shop", parse_origin(str(host.tree)))
        platform.remotes.set_secret(ADMIN, "shop", "hush")
        host.branch("work")
        head = host.commit("release", "work")
        number = delivered(platform, "opened")["request"]
        trained(platform, head)
        server.start()
        for api, context in (("/api/v3/repos/acme/shop", "context"), ("/api/v4/projects/acme%2Fshop", "name")):
            platform.remotes.set_statuses(ADMIN, "shop", desk.url + api, "t0ken")
            failed = {"outcome": "fail", "reasons": ["roc_auc 0.61 is below the minimum 0.68"], "checks": [], "run_id": api[5:7]}
            platform.registry.record_verdict("staging.shop.reorder", 1, "staging", failed)
            limit = time.monotonic() + 60
            while not (told := [b for path, _, b in desk.posts if path == f"{api}/statuses/{head}" and "reorder" in b[context]]):
                assert time.monotonic() < limit, desk.posts
                time.sleep(0.05)
            [body] = told
            assert body[context] == "boathouse/staging.shop.reorder v1"
            assert (body["state"], body["description"]) == (FAILED[context], "roc_auc 0.61 is below the minimum 0.68")
            assert body["target_url"] == f"{server.url}/requests/{number}"
        server.stop()


FAILED = {"context": "failure", "name": "failed"}
"""What GitHub and GitLab call it."""


def trained(platform: Platform, commit: str) -> None:
    """A version in staging, whose run knows the commit that made it."""
    prepare_mlflow(platform.settings.database_url, str(platform.settings.path("mlflow-artifacts")))
    rows = (
        "INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) VALUES ('default', :model, 1, 1)",
        "INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, current_stage, source, status,"
        " run_id) VALUES ('default', :model, 1, 1, 1, 'None', 'models:/x', 'READY', 'r1')",
        "INSERT INTO runs (run_uuid, experiment_id) VALUES ('r1', NULL)",
        "INSERT INTO tags VALUES ('boathouse.project', 'shop', 'r1')",
        "INSERT INTO tags VALUES ('boathouse.git_commit', :commit, 'r1')",
    )  # fmt: skip
    with platform.database.writing() as connection:
        for row in rows:
            connection.execute(sa.text(row), {"model": "staging.shop.reorder", "commit": commit})
    platform.registry.install()
