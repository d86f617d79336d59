"""Behind walls: what a task of dev tries to take is not there for it, and a task of prod does its work as before."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import boathouse
from boathouse.client import Lake
from boathouse.environments import isolation
from boathouse.errors import Conflict

pytestmark = [
    pytest.mark.xdist_group("sandbox"),
    pytest.mark.skipif(not isolation("auto").holds, reason=isolation("auto").why),
]

THIEF = r'''
import ctypes, glob, json, os, subprocess, sys, time
from pathlib import Path

home, server, victim = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)


def read(path):
    return path.read_bytes() and "STOLEN"


def listed(path, allowed=()):
    return [f.name for f in path.iterdir() if f.name not in allowed] and "STOLEN"


def environ():
    for place in glob.glob("/proc/*/environ"):
        try:
            if b"of-the-server" in open(place, "rb").read():
                return "STOLEN"
        except OSError:
            pass


def others():
    """Processes of other tasks, of the server, of anybody: only our own few are to be seen."""
    found = [Path(p).read_bytes().replace(b"\0", b" ") for p in glob.glob("/proc/[0-9]*/cmdline")]
    return [c for c in found if b"thief.py" not in c] and "STOLEN"


def traced():
    return libc.ptrace(0x4206, server, 0, 0) == 0 and "STOLEN"  # PTRACE_SEIZE


def killed():
    os.kill(server, 0)
    return "STOLEN"


def uncovered():
    libc.unshare(0x10000000 | 0x00020000)  # CLONE_NEWUSER | CLONE_NEWNS
    return libc.umount2(str(home).encode(), 2) == 0 and list((home / "secrets").iterdir()) and "STOLEN"


def capabilities():
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("CapEff:") + 1], 16) and "STOLEN"


def kernel():
    return os.access("/proc/sys/kernel/core_pattern", os.W_OK) and "STOLEN"


def hook():
    Path(".git/hooks/post-commit").write_text("#!/bin/sh\n")
    return "STOLEN"


THEFTS = {
    "prod's files": lambda: read(next((home / "lake" / "prod").rglob("*.parquet"))),
    "prod's files, by list": lambda: listed(home / "lake", ["dev"]),
    "the database": lambda: read(home / "boathouse.db"),
    "the database, to write": lambda: open(home / "boathouse.db", "r+b") and "STOLEN",
    "the audit key": lambda: read(home / "secrets" / "audit.key"),
    "the operator's token": lambda: read(home / "secrets" / "operator.token"),
    "MLflow's files": lambda: listed(home / "mlflow-artifacts"),
    "prod's online store": lambda: listed(home / "online", ["dev"]),
    "the repositories": lambda: listed(home / "code"),
    "the home": lambda: listed(home, ["lake", "online", "python"]),
    "another run's log": lambda: listed(home / "runs"),
    "the server's environment": environ,
    "other processes": others,
    "a hold on the server": traced,
    "the server's life": killed,
    "the server's memory": lambda: read(Path(f"/proc/{server}/maps")),
    "capabilities": capabilities,
    "the kernel's settings": kernel,
    "the user's next commit": hook,
    "the machine's passwords": lambda: read(Path("/etc/shadow")),
    "the user's folder": lambda: listed(Path(victim)),
    "what is under the walls": uncovered,  # the last: it has every capability from here on, over namespaces of its own
}
found = {}
for name, theft in THEFTS.items():
    try:
        found[name] = theft() or "stopped"
    except (OSError, StopIteration) as error:
        found[name] = "stopped"
print(json.dumps(found))
'''
FILES = {
    "boathouse.yml": """
bundle: {name: walls}
targets:
  dev: {default: true, environment: dev}
  staging: {environment: staging}
  prod: {environment: prod, mode: production}
resources:
  jobs:
    thief:
      parameters: [{name: home, default: ""}, {name: server, default: ""}, {name: victim, default: ""}]
      tasks:
        - task_key: steal
          spark_python_task:
            python_file: thief.py
            parameters: ["{{job.parameters.home}}", "{{job.parameters.server}}", "{{job.parameters.victim}}"]
    work: {tasks: [{task_key: work, spark_python_task: {python_file: work.py}}]}
    lent: {run_as: {service_principal_name: lent}, tasks: [{task_key: work, spark_python_task: {python_file: lent.py}}]}
    link:
      parameters: [{name: table, default: ""}, {name: target, default: ""}]
      tasks:
        - task_key: link
          spark_python_task: {python_file: link.py, parameters: ["{{job.parameters.table}}", "{{job.parameters.target}}"]}
""",
    "thief.py": THIEF,
    "work.py": """
import tempfile
from pathlib import Path
import boathouse
lake = boathouse.connect()
lake.create_table("raw.numbers", {"n": "bigint"}, exists_ok=True).append({"n": [1, 2, 3]})
Path("note.txt").write_text("beside the code")
Path(tempfile.gettempdir(), "x").write_text("temporary")
total = lake.sql("SELECT sum(n) AS n FROM raw.numbers").to_dicts()[0]["n"]
rows = lake.table("raw.numbers").read().to_arrow().num_rows
print("notes", sorted(f.name for f in Path().glob("*.txt")), "total", total, "read", rows)
""",
    "lent.py": """
from pathlib import Path
import boathouse
lake = boathouse.connect()
lake.create_table("own.numbers", {"n": "bigint"}).append({"n": [1, 2, 3]})
seen = list(Path(HOME).glob("lake/*/*"))
print("read", lake.table("own.numbers").read().to_arrow().num_rows, "seen", seen)
try:
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": "/"})
except boathouse.errors.NotPermitted as error:
    print(error)
open("/data/landing/rows.csv")
""",
    "link.py": """
import os, sys
table, target = sys.argv[1:]
os.rename(table, f"{table}.away")
os.symlink(target, table)
""",
    "tests/unit/test_it.py": """
import socket
from pathlib import Path
import pytest
def test_there_is_neither_network_nor_data():
    with pytest.raises(OSError), socket.create_connection(("192.0.2.1", 80), timeout=2):
        pass
    assert not list(Path(HOME).glob("lake/*"))
    assert {f.name for f in Path(HOME).iterdir()} <= {"checkouts", "python"}
""",
    "tests/integration/test_it.py": """
from pathlib import Path
import boathouse
def test_its_tables_come_from_the_server_and_no_file_is_in_reach():
    lake = boathouse.connect()
    lake.jobs.run("work")
    assert lake.table("raw.numbers").read().to_arrow().num_rows == 3
    lake.table("raw.numbers").append({"n": [4]})
    assert not list(Path(HOME).glob("lake/*"))
""",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The operator's connection to a home whose tasks run behind walls, whatever the machine's setting is."""
    environ = dict(os.environ)
    os.environ |= {"BOATHOUSE_ISOLATION": "bubblewrap", "BOATHOUSE_SECRET_OF_THIS_TEST": "of-the-server"}
    with boathouse.connect(home=str(tmp_path_factory.mktemp("home"))) as connected:
        yield connected
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture(scope="module")
def home(lake: Lake) -> Path:
    """Its folder."""
    return Path(lake.call("GET", "/api/v1/environments/dev")["online_folder"]).parents[1]


@pytest.fixture(scope="module")
def project(lake: Lake, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in Git, released to prod."""
    folder = tmp_path_factory.mktemp("walls")
    for name, words in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words.replace("HOME", repr(str(home))))
    for words in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@b commit -q -m first"):
        subprocess.run(["git", *words.split()], cwd=folder, check=True)
    (folder / ".git" / "hooks").mkdir(exist_ok=True)
    lake.call("POST", "/api/v1/principals", {"name": "lent", "kind": "service_principal"})
    for privilege in ("USE CATALOG", "CREATE SCHEMA"):
        lake.call("POST", "/api/v1/grants", {"principal": "lent", "privilege": privilege, "kind": "catalog", "securable": "dev"})
    repository = lake.call("PUT", "/api/v1/projects/walls")["repository"]
    subprocess.run(["git", "push", "-q", repository, "main"], cwd=folder, check=True)
    lake.call("POST", "/api/v1/releases", {"project": "walls", "version": "1.0"})
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    return folder


@pytest.fixture(scope="module")
def prod_works(lake: Lake, project: Path) -> list[str]:
    """What two runs of prod's job said."""
    said = []
    for _ in range(2):
        run_id = lake.call("POST", "/api/v1/jobs/prod/work/runs", {})["run_id"]
        ended = lake.jobs.wait(run_id, 60)
        said.append(lake.jobs.log(run_id, "work"))
        assert ended["state"] == "SUCCESS", said
    return said


def test_a_task_of_prod_does_its_work_and_leaves_its_commit_as_it_was(prod_works: list[str], home: Path) -> None:
    assert "notes ['note.txt'] total 6 read 3" in prod_works[0]
    assert "notes ['note.txt'] total 12 read 6" in prod_works[1]
    assert not list((home / "checkouts").rglob("note.txt"))


def test_whatever_a_task_of_dev_tries_to_take_is_out_of_its_reach(
    lake: Lake, home: Path, prod_works: list[str], tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("dear diary")
    run = lake.jobs.run("thief", {"home": str(home), "server": os.getpid(), "victim": str(tmp_path)})
    found = json.loads(lake.jobs.log(run["id"], "steal"))
    assert len(found) > 20
    assert {name for name, end in found.items() if end != "stopped"} == set()


@pytest.mark.usefixtures("project")
def test_a_task_with_another_principals_rights_sees_no_table_but_through_the_server(lake: Lake) -> None:
    run = lake.jobs.wait(lake.jobs.submit("lent"), 90)
    said = lake.jobs.log(run["id"], "work")
    assert "read 3 seen []" in said
    assert "by no task" in said  # a folder of the server's machine is not for it to deploy
    assert "/data/landing/rows.csv is not in sight of this task" in said
    assert "isolation_folders" in said


@pytest.mark.usefixtures("prod_works")
def test_without_walls_the_same_task_takes_what_it_wants(home: Path, project: Path, tmp_path: Path) -> None:
    words = ["python3", "thief.py", str(home), str(os.getpid()), str(tmp_path)]
    found = json.loads(subprocess.run(words, cwd=project, check=True, capture_output=True, text=True).stdout)
    (project / ".git" / "hooks" / "post-commit").unlink()
    stolen = {name for name, end in found.items() if end == "STOLEN"}
    assert {"prod's files", "the database", "the audit key", "the operator's token", "the server's environment"} <= stolen


@pytest.mark.parametrize("below", ["", "/_delta_log"])
def test_a_link_that_a_task_leaves_leads_the_server_nowhere(lake: Lake, home: Path, prod_works: list[str], below: str) -> None:
    name = f"raw.bait{len(below)}"
    lake.create_table(name, {"n": "bigint"}).append({"n": [1]})
    info: Any = lake.table_info(name)
    table = Path(info.location.removeprefix("file://"))
    secret = next((home / "lake" / "prod").rglob("_delta_log")).parent
    lake.jobs.run("link", {"table": f"{table}{below}", "target": f"{secret}{below}"})
    assert Path(f"{table}{below}").is_symlink()
    with pytest.raises(Conflict, match="leads elsewhere by a symbolic link"):
        lake.sql(f"SELECT * FROM {name}").to_dicts()
    with pytest.raises(Conflict, match="leads elsewhere by a symbolic link"):
        lake.table(name)


def test_code_under_test_reaches_its_throw_away_tables_by_the_server_alone(lake: Lake, project: Path) -> None:
    repository = lake.call("PUT", "/api/v1/projects/walls")["repository"]
    (project / "more.txt").write_text("more")
    commit = "-c user.name=a -c user.email=a@b commit -q -m more"
    for words in ("checkout -q -b more", "add .", commit, f"push -q {repository} more"):
        subprocess.run(["git", *words.split()], cwd=project, check=True)
    request = lake.call("POST", "/api/v1/requests", {"project": "walls", "branch": "more"})
    run_id = request["checks"]["unit"]["run"]
    run = lake.jobs.wait(run_id, 120)
    assert run["state"] == "SUCCESS", [lake.jobs.log(run_id, t["task_key"]) for t in run["tasks"]]
