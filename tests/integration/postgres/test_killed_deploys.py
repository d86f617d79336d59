"""A deploy, a merge and a release that are killed half-way happened as a whole or not at all, and the next one finishes them.

LONG=1 kills them before each of their steps; otherwise, or where BOATHOUSE_CRASHES says how many, before some that are
drawn. On SQLite and PostgreSQL.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from orders import Ordered

from boathouse.catalog import Audit
from boathouse.database import Database

TIMES = os.environ.get("BOATHOUSE_CRASHES")
BUNDLE = "bundle: {name: shop}\ntargets: {dev: {default: true}, staging: {}, prod: {mode: production}}\nresources:\n"
JOB = "{tasks: [{task_key: a, sql_task: {query: select 1}}], permissions: [{level: CAN_MANAGE_RUN, group_name: analysts}]}"
RESOURCES = {
    "one": f"""
  schemas:
    sales: {{name: sales, grants: [{{principal: analysts, privileges: [USE_SCHEMA, SELECT]}}]}}
    gone: {{name: gone}}
  volumes: {{incoming: {{schema_name: sales, name: incoming}}}}
  jobs: {{load: {JOB}, leaves: {JOB}}}
  compute: {{small: {{cpus: 1}}}}
""",
    "two": f"""
  schemas: {{sales: {{name: sales, grants: [{{principal: analysts, privileges: [USE_SCHEMA]}}]}}}}
  volumes: {{outgoing: {{schema_name: sales, name: outgoing}}}}
  jobs: {{load: {JOB.replace("CAN_MANAGE_RUN", "CAN_VIEW")}, comes: {JOB}}}
""",
}
WHOLE = (
    "SELECT environment, scratch, kind, name, project FROM bh_resources ORDER BY environment, scratch, kind, name",
    "SELECT kind, name FROM bh_securables WHERE kind <> 'project' ORDER BY kind, name",
    "SELECT principal, privilege, kind, securable FROM bh_grants ORDER BY principal, privilege, kind, securable",
    "SELECT kind, name FROM bh_bundle_places ORDER BY kind, name",
    "SELECT kind, securable, principal, privilege FROM bh_bundle_permits ORDER BY kind, securable, principal, privilege",
)


@dataclass
class Deployer(Ordered):
    """A process that deploys, and what its database holds."""

    home: Path
    folder: Path

    def state(self) -> list[Any]:
        """What is deployed, by every table that a deployment writes; the audit log is whole."""
        assert Audit(self.database, self.home / "secrets" / "audit.key", self.home / "audit.head").verify() is None
        return [self.rows(query) for query in WHOLE]

    def after(self, *words: object) -> list[Any]:
        assert self.tell(*words, 0) == "done"
        return self.state()

    def moments(self) -> Iterator[int]:
        """Steps to be killed before: each, or some of them. Where the last was not killed any more, there are no others."""
        if os.environ.get("LONG", "") in ("", "0") or TIMES:
            yield from sorted(random.SystemRandom().sample(range(1, 90), int(TIMES or 3)))
        else:
            yield from range(1, 1000)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def deployer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    folder = tmp_path_factory.mktemp("deploys")
    home, url = folder / "home", f"sqlite:///{folder / 'home' / 'boathouse.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database("deploys")
    for version, resources in RESOURCES.items():
        (folder / version).mkdir()
        (folder / version / "boathouse.yml").write_text(BUNDLE + resources)
        git(folder / version, "init -q -b main", "add .", f"commit -qm {version}")
    words = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("deploying.py")), str(home), str(folder)]
    environ = {**os.environ, "BOATHOUSE_DATABASE_URL": url}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        made = Deployer(Database(url), process, home, folder)
        with made.database.writing() as connection:
            connection.execute(sa.text("INSERT INTO bh_principals (name, kind) VALUES ('analysts', 'group')"))
        yield made
        assert process.stdin
        process.stdin.close()
    made.database.close()


def git(folder: Path, *commands: str) -> None:
    for words in commands:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words.split()], cwd=folder, check=True)


def test_whatever_step_a_deploy_is_killed_at_all_of_it_is_there_or_nothing(deployer: Deployer) -> None:
    states = {version: deployer.after("deploy", version) for version in ("one", "two")}
    assert states["one"] != states["two"]
    ends = Counter[str]()
    for moment in deployer.moments():
        for before, after in (("two", "one"), ("one", "two")):
            end = deployer.tell("deploy", after, moment)
            assert deployer.state() in (states[before], states[after]), (after, moment)
            assert deployer.after("deploy", after) == states[after], (after, moment)
            ends[end] += 1
        if end == "done":
            break
    assert ends["killed"] > 0


@pytest.mark.long
def test_whatever_step_a_destroy_is_killed_at_all_of_it_is_gone_or_nothing(deployer: Deployer) -> None:
    before, after = deployer.after("deploy", "one"), deployer.after("destroy")
    for moment in deployer.moments():
        assert deployer.after("deploy", "one") == before
        end = deployer.tell("destroy", moment)
        assert deployer.state() in (before, after), moment
        assert deployer.after("destroy") == after, moment
        if end == "done":
            break


def test_a_first_deploy_that_is_killed_is_made_by_the_next(deployer: Deployer, tmp_path: Path) -> None:
    """Its repository, too: of half of one, nothing could be kept."""
    repository = deployer.home / "code" / "shop.git"
    for moment in deployer.moments():
        deployer.after("destroy")
        if repository.exists():
            repository.rename(tmp_path / str(moment))
        if deployer.tell("deploy", "one", moment) == "done":
            break
        deployer.after("deploy", "one")
        assert (repository / "info" / "attributes").read_text() == "* -export-ignore -export-subst\n"
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=deployer.folder / "one", capture_output=True, check=True).stdout
        assert (repository / "refs" / "kept" / head.decode().strip()).exists(), moment


def test_two_deploys_and_a_destroy_at_once_leave_what_one_of_them_made(deployer: Deployer) -> None:
    ways = [deployer.after("deploy", "one"), deployer.after("deploy", "two"), deployer.after("destroy")]
    for _ in range(2):
        assert deployer.tell("race", 3) == "done"
        assert deployer.state() in ways


def test_a_merge_and_a_release_that_are_killed_are_finished_by_being_asked_for_again(deployer: Deployer) -> None:
    deployer.after("deploy", "one")
    repository, work = deployer.home / "code" / "shop.git", deployer.folder / "one"
    git(work, f"push -q {repository} main")
    done = 0
    for number, moment in enumerate(deployer.moments(), start=1):
        (work / "note.txt").write_text(str(moment))
        git(work, "checkout -q -B more", "add .", "commit -qm more", f"push -q -f {repository} more")
        head = git_head(work)
        opened(deployer, number, head, git_head(repository))
        merged = deployer.tell("merge", number, moment)
        if merged == "killed":
            deployer.tell("merge", number, 0)  # refused where all was done but the answer
        assert git_head(repository) == head
        assert deployer.rows("SELECT state FROM bh_requests ORDER BY id DESC LIMIT 1") == [("merged",)]
        assert newest(deployer, "staging") == head, moment
        cut = deployer.tell("release", f"1.{number}", moment)
        if cut == "killed":
            deployer.tell("release", f"1.{number}", 0)
        assert newest(deployer, "prod") == head, moment
        assert deployer.rows(f"SELECT commit_id FROM bh_releases WHERE version = '1.{number}'") == [(head,)]
        git(work, "checkout -q main", "merge -q --ff-only more")
        done += 1
        if (merged, cut) == ("done", "done"):
            break
    assert done > 0


def git_head(folder: Path) -> str:
    words = ["git", "rev-parse", "HEAD"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def opened(deployer: Deployer, number: int, head: str, base: str) -> None:
    """A merge request whose tests have passed."""
    passed = '{"unit": {"state": "success"}, "integration": {"state": "success"}}'
    columns = "id, project, branch, title, head, base, merge_commit, state, checks, opened_by, opened_at"
    values = f"{number}, 'shop', 'more', 'more', '{head}', '{base}', '{head}', 'open', '{passed}', 'ann', CURRENT_TIMESTAMP"
    with deployer.database.writing() as connection:
        connection.execute(sa.text(f"INSERT INTO bh_requests ({columns}) VALUES ({values})".replace(":", "\\:")))


def newest(deployer: Deployer, environment: str) -> str:
    query = f"SELECT commit_id FROM bh_deployments WHERE environment = '{environment}' ORDER BY id DESC LIMIT 1"
    return str(deployer.rows(query)[0][0])
