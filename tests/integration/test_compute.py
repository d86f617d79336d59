"""Named computes: limits that hold, under a privilege."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.client import Lake
from boathouse.errors import InvalidBundle, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {name: limited}
targets: {dev: {default: true, environment: dev}}
resources:
  compute:
    tiny: {cpus: 1, memory: 700MB}
  jobs:
    hungry:
      tasks: [{task_key: eat, compute: tiny, spark_python_task: {python_file: eat.py}}]
    modest:
      tasks:
        - task_key: each
          for_each_task: {inputs: ["1"], task: {task_key: one, compute: tiny, spark_python_task: {python_file: count.py}}}
"""
FILES = {
    "boathouse.yml": BUNDLE,
    "eat.py": """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; x = bytearray(800 << 20); time.sleep(60)"], start_new_session=True)
time.sleep(60)
""",
    "count.py": "import os\nprint('processors', len(os.sched_getaffinity(0)))\n",
}


@pytest.fixture(scope="module")
def dev(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("limited")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    return lake


def test_what_a_task_starts_counts_and_more_than_its_compute_is_out_of_memory(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("hungry"), 90)
    reason = "out of memory: its processes used more than the 700 MB of its compute"
    assert run["tasks"][0]["reason"] == reason
    assert run["reason"] == f"task eat did not succeed: {reason}"
    assert run["tasks"][0]["seconds"] > 0


def test_processors_are_limited_in_each_iteration_too(dev: Lake) -> None:
    run = dev.jobs.run("modest")
    assert "processors 1\n" in dev.jobs.log(run["id"], "each.0")


def test_without_the_privilege_a_run_does_not_start_nor_is_a_job_deployed(tmp_path: Path) -> None:
    with Platform(settings.load({}, home=str(tmp_path / "h"))) as home:
        root = Identity(home.operator, frozenset({"admins"}))
        home.computing.put(root, "dev", "big", {"memory": "64GB"})
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("compute: tiny", "compute: big"))
        for name in ("eat.py", "count.py"):
            (tmp_path / name).write_text("")
        home.access.grant("root", ["ada"], ["USE CATALOG", "DEPLOY"], "catalog", "dev")
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("compute: tiny", "compute: bigg"))
        for verb in (home.code.plan, home.code.deploy):
            with pytest.raises(InvalidBundle, match=r"^boathouse.yml:\d+: .*compute: dev has no compute 'bigg' \(there: big\)"):
                verb(root, "dev", path=str(tmp_path))
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("compute: tiny", "compute: big"))
        with pytest.raises(NotPermitted, match=r"'USE COMPUTE' --compute dev\.big --to ada"):
            home.code.deploy(Identity("ada"), "dev", path=str(tmp_path))
        home.code.deploy(root, "dev", path=str(tmp_path))
        home.access.revoke("root", "dev-jobs", "USE COMPUTE", "catalog", "dev")
        with pytest.raises(NotPermitted, match="dev-jobs lacks USE COMPUTE"):
            home.jobs.submit(root, "dev", "hungry", parameters={})
        home.computing.remove(root, "dev", "big")
        with pytest.raises(NotFound, match="dev has no compute 'big'"):
            home.jobs.submit(root, "dev", "hungry", parameters={})
        with pytest.raises(InvalidInput, match="no size"):
            home.computing.put(root, "dev", "odd", {"memory": "much"})


def test_the_command_line_makes_lists_and_deletes_them(dev: Lake, command: Callable[..., tuple[int, str]]) -> None:
    assert command("compute", "create", "large", "--cpus", "8", "--memory", "32GB")[0] == 0
    rows = {r["name"]: r for r in json.loads(command("compute", "list", "--json")[1])}
    assert (rows["large"]["cpus"], rows["large"]["memory"], rows["large"]["may_use"]) == (8, "32GB", True)
    assert rows["tiny"]["project"] == "limited"
    code, said = command("compute", "delete", "tiny")
    assert code == 1
    assert "belongs to the project" in said
    assert command("compute", "delete", "large")[0] == 0
