"""The table of personas, word by word, against what a new installation grants."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.catalog import SecurableKind
from boathouse.environments import setup, share, share_project
from boathouse.identity import Identity
from boathouse.platform import Platform

PERSONAS = """
| data-engineers | use, create schemas, tables, volumes, select, modify, deploy, run | use, select, run | use, select; deploy and run jobs of feature and ingest projects; no modify by hand |
| data-scientists | the same and create models, execute | use, select, execute | use, select on features, inference and monitoring tables, execute; no modify, run or deploy |
| ml-engineers | as data-scientists | all but MANAGE, merge requests | deploy, run, promote, approve, manage endpoints, select; no modify by hand |
| business-analysts | - | - | - |
"""  # noqa: E501
"""The contract's table. Analysts' schemas are granted by hand; monitors and alerts take RUN, runs and logs USE CATALOG."""

Question = tuple[str, SecurableKind, str]
"""(privilege, kind, name below the environment)."""
WORDS: dict[str, list[Question]] = {
    "use": [("USE CATALOG", "catalog", ""), ("USE SCHEMA", "schema", ".any")],
    "create schemas": [("CREATE SCHEMA", "catalog", "")],
    "tables": [("CREATE TABLE", "schema", ".any")], "volumes": [("CREATE VOLUME", "schema", ".any")],
    "create models": [("CREATE MODEL", "schema", ".any")],
    "select": [("SELECT", "table", ".any.t")], "modify": [("MODIFY", "table", ".any.t")],
    "select on features": [("SELECT", "table", ".features.t")],
    "inference": [("SELECT", "table", ".flights.delay_inference")],
    "monitoring tables": [("SELECT", "table", ".flights.delay_inference_drift_metrics"), ("SELECT", "table", ".monitoring.t")],
    "deploy": [("DEPLOY", "catalog", "")], "run": [("RUN", "catalog", ""), ("RUN", "job", ".any")],
    "execute": [("EXECUTE", "model", ".any.m")], "promote": [("PROMOTE", "model", ".any.m")],
    "approve": [("APPROVE", "model", ".any.m")], "manage endpoints": [("MANAGE ENDPOINT", "endpoint", ".any")],
    "merge requests": [("MERGE", "catalog", "")], "manage": [("MANAGE", "catalog", ""), ("MANAGE", "table", ".any.t")],
    "deploy and run jobs of feature and ingest projects": [("DEPLOY", "project", ".ingest"), ("RUN", "project", ".ingest"),
                                                           ("RUN", "job", ".load")],
}  # fmt: skip
DEV = "use, create schemas, tables, volumes, select, modify, deploy, run"
SAID = {
    "the same and create models": f"{DEV}, create models", "as data-scientists": f"{DEV}, create models, execute",
    "all but MANAGE": ", ".join(w for w in WORDS if w not in ("manage", "deploy and run jobs of feature and ingest projects")),
    "inference and monitoring tables": "inference, monitoring tables", "no modify by hand": "no modify",
    "no modify": "no modify", "run or deploy": "no run, no deploy", "-": "",
}  # fmt: skip
UNSAID = {"use", "promote", "approve", "manage endpoints", "merge requests", "execute", "inference", "monitoring tables",
          "select on features"}  # fmt: skip
"""What a cell that says anything may grant without saying so, where it does not say `no`."""


def cells() -> list[tuple[str, str, frozenset[str], frozenset[str]]]:
    """(group, environment, words it may, words it may not) of the table."""
    found = []
    for row in PERSONAS.strip().splitlines():
        group, *texts = (cell.strip() for cell in row.strip("|").split("|"))
        for environment, text in zip(("dev", "staging", "prod"), texts, strict=True):
            pieces = [p.strip() for p in text.replace(";", ",").split(",")]
            words = [w.strip() for p in pieces for w in SAID.get(p, p).split(",") if w.strip()]
            yes = {w for w in words if not w.startswith("no ")}
            no = {w.removeprefix("no ") for w in words if w.startswith("no ")} | (set(WORDS) - yes - (UNSAID if yes else set()))
            if environment != "prod" or group != "data-engineers":
                no -= {"deploy and run jobs of feature and ingest projects"}
            found.append((group, environment, frozenset(yes), frozenset(no - {"tables", "volumes"} if "tables" in yes else no)))
    return found


@pytest.fixture
def holds(platform: Platform) -> Callable[[str, str, str], bool]:
    """Whether a member of a group holds all that a word means in an environment."""
    platform.catalog.adopt("project", "prod.scores", "admins")
    share_project(platform.catalog, "ingest", ["job", "schema"])
    platform.catalog.adopt("job", "prod.load", "admins", project="prod.ingest")
    for table in ("prod.flights.delay_inference", "prod.flights.delay_inference_drift_metrics"):
        share(platform.access, table)

    def ask(group: str, environment: str, word: str) -> bool:
        who = Identity("someone", frozenset({group}))
        return all(platform.access.allows(who, p, kind, environment + name) for p, kind, name in WORDS[word])

    return ask


def test_every_cell_of_the_table_is_granted_and_nothing_that_it_denies(holds: Callable[[str, str, str], bool]) -> None:
    wrong = []
    for group, environment, yes, no in cells():
        wrong += [f"{group} in {environment} cannot {w}" for w in sorted(yes) if not holds(group, environment, w)]
        wrong += [f"{group} in {environment} can {w}" for w in sorted(no) if holds(group, environment, w)]
    assert not wrong


def test_a_project_with_models_is_no_data_engineers_affair(platform: Platform) -> None:
    engineer = Identity("dan", frozenset({"data-engineers"}))
    share_project(platform.catalog, "flights", ["job", "registered_model"])
    assert not platform.access.allows(engineer, "RUN", "project", "prod.flights")
    assert not platform.access.allows(engineer, "DEPLOY", "project", "prod.flights")


def test_what_was_taken_away_stays_away(platform: Platform) -> None:
    engineer = Identity("dan", frozenset({"data-engineers"}))
    share_project(platform.catalog, "ingest", ["job"])
    platform.access.revoke("root", "data-engineers", "DEPLOY", "project", "prod.ingest")
    share_project(platform.catalog, "ingest", ["job"])
    assert not platform.access.allows(engineer, "DEPLOY", "project", "prod.ingest")
    assert platform.access.allows(engineer, "RUN", "project", "prod.ingest")


def test_an_environments_jobs_write_it_and_nothing_else(platform: Platform) -> None:
    for environment in ("dev", "staging", "prod"):
        jobs = Identity(f"{environment}-jobs", environment=environment)
        writes = {e for e in ("dev", "staging", "prod") if platform.access.allows(jobs, "MODIFY", "table", f"{e}.any.t")}
        assert writes == {environment}
    person = Identity("root", frozenset({"admins", "ml-engineers", "data-engineers", "data-scientists"}))
    assert not platform.access.allows(person, "MODIFY", "table", "prod.any.t")


def test_jobs_of_a_home_from_before_computes_get_their_use_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(revoke: bool = False) -> bool:
        with Platform(settings.load({}, home=str(tmp_path / "home"))) as platform:
            if revoke:
                platform.access.revoke("root", "prod-jobs", "USE COMPUTE", "catalog", "prod")
            return any(g.privilege == "USE COMPUTE" for g in platform.access.grants("catalog", "prod", "prod-jobs"))

    with monkeypatch.context() as before:
        before.setattr(setup, "JOBS", tuple(p for p in setup.JOBS if p != "USE COMPUTE"))
        assert not opened()
    assert opened()
    assert not opened(revoke=True)
    assert not opened()
