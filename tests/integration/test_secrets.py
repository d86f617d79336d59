"""Secrets from the command line into a job: given under a grant, hidden in all that the run keeps."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from boathouse.client import Lake
from boathouse.errors import InvalidName, NotFound, NotPermitted

pytestmark = pytest.mark.xdist_group("jobs")
SECRET = "correct horse battery"
BUNDLE = """
bundle: {name: guarded}
targets: {dev: {default: true, environment: dev}}
resources:
  jobs:
    tell:
      parameters: [{name: word, default: "{{secrets/mail/password}}"}, {name: other, default: plain}]
      environments: [{environment_key: default, spec: {environment_vars: {SHARED: "user:{{secrets/mail/password}}"}}}]
      tasks:
        - task_key: say
          environment_vars: {MAIL_PASSWORD: "{{secrets/mail/password}}"}
          spark_python_task: {python_file: say.py, parameters: ["{{job.parameters.word}}", "{{job.parameters.other}}"]}
    fetch:
      tasks: [{task_key: say, spark_python_task: {python_file: fetch.py}}]
    denied:
      tasks: [{task_key: say, environment_vars: {X: "{{secrets/bank/pin}}"}, spark_python_task: {python_file: say.py}}]
    book:
      tasks: [{task_key: nb, notebook_task: {notebook_path: book.py}}]
"""
FILES = {
    "boathouse.yml": BUNDLE,
    "say.py": """
import os, sys
own = {"MAIL_PASSWORD": os.environ["MAIL_PASSWORD"], "SHARED": os.environ["SHARED"]}
print(own, sys.argv[1:], [len(own["MAIL_PASSWORD"]), len(own["SHARED"]), len(sys.argv[1])])
""",
    "fetch.py": """
import base64, subprocess, sys, time
import boathouse
lake = boathouse.connect()
value = lake.secrets.get("mail/password")
print("it is", value, len(value))
subprocess.run(["/bin/echo", "child", value], check=True)
sys.stdout.write(value[:9]); sys.stdout.flush(); time.sleep(0.3); print(value[9:])
print(base64.b64encode(value.encode()).decode())
lake.call("POST", f"/api/v1/runs/{lake.run.run_id}/results", {"task": "say", "key": "v", "value": {"deep": [value]}})
raise ValueError(f"login with {value} failed")
""",
    "book.py": "value = dbutils.secrets.get('mail', 'password')\nprint(value)\n# %%\nvalue\n# %%\n1 / 0, value\n",
}


@pytest.fixture(scope="module")
def dev(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("guarded")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    lake.secrets.put("mail/password", SECRET)
    lake.secrets.put("bank/pin", "0000-1111")
    grant = {"principal": "dev-jobs", "privilege": "READ SECRET", "kind": "secret_scope", "securable": "dev.mail"}
    lake.call("POST", "/api/v1/grants", grant)
    return lake


def kept(lake: Lake, run: str) -> str:
    """All that a run keeps and shows."""
    headers = {"Authorization": f"Bearer {lake.http.token}"}
    pages = [f"/api/v1/runs/{run}", f"/runs/{run}", f"/api/v1/runs/{run}/logs?task=say"]
    return "".join(httpx.get(lake.http.url + page, headers=headers).text for page in pages)


def test_parameters_and_environment_variables_bring_a_secret_and_nothing_shows_it(dev: Lake) -> None:
    run = dev.jobs.run("tell")
    said = dev.jobs.log(run["id"], "say")
    assert said == "{'MAIL_PASSWORD': '[REDACTED]', 'SHARED': 'user:[REDACTED]'} ['[REDACTED]', 'plain'] [21, 26, 21]\n"
    assert SECRET not in kept(dev, run["id"])
    assert run["parameters"]["word"] == "{{secrets/mail/password}}"


def test_who_starts_a_job_cannot_have_it_read_a_secret_of_their_choice(dev: Lake) -> None:
    run = dev.jobs.run("tell", {"other": "{{secrets/mail/password}}"})
    assert "'{{secrets/mail/password}}'] [21" in dev.jobs.log(run["id"], "say")


def test_a_secret_that_code_asks_for_is_hidden_however_it_is_said(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("fetch"), 60)
    said = dev.jobs.log(run["id"], "say")
    assert "it is [REDACTED] 21\nchild [REDACTED]\n[REDACTED]\n[REDACTED]" in said
    assert "ValueError: login with [REDACTED] failed" in said
    assert run["tasks"][0]["results"] == {"v": {"deep": ["[REDACTED]"]}}
    shown = kept(dev, run["id"]) + json.dumps(run)
    assert SECRET not in shown
    assert base64.b64encode(SECRET.encode()).decode() not in shown


def test_without_the_grant_the_task_fails_and_says_what_it_lacks(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("denied"), 60)
    assert run["state"] == "FAILED"
    assert "dev-jobs lacks READ SECRET on dev.bank" in run["tasks"][0]["reason"]


def test_a_kept_notebook_shows_no_secret(dev: Lake) -> None:
    pytest.importorskip("nbclient", reason="needs boathouse[notebooks]")
    run = dev.jobs.wait(dev.jobs.submit("book"), 90)
    headers = {"Authorization": f"Bearer {dev.http.token}"}
    for form in ("ipynb", "html"):
        page = httpx.get(f"{dev.http.url}/api/v1/runs/{run['id']}/notebooks/nb?format={form}", headers=headers).text
        assert "[REDACTED]" in page
        assert SECRET not in page
    assert SECRET not in dev.jobs.log(run["id"], "nb")


def test_reads_are_in_the_audit_log_and_lists_hold_no_value(dev: Lake) -> None:
    assert dev.secrets.get("mail/password") == SECRET
    read: list[Any] = dev.call("GET", "/api/v1/audit?action=read%20secret&limit=1")
    assert read[0]["subject"] == "dev.mail/password"
    assert SECRET not in json.dumps(dev.secrets.list())
    with pytest.raises(NotFound, match="no secret mail/none"):
        dev.secrets.get("mail/none")
    with pytest.raises(InvalidName):
        dev.secrets.get("mail")


def test_the_command_line_takes_values_from_input_and_files_and_rotates(
    lake: Lake, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    assert "dev keeps cli/piped" in command("secrets", "put", "cli/piped")[1]
    (tmp_path / "key.pem").write_text("line one\nline two\n")
    command("secrets", "put", "cli/file", "--from-file", str(tmp_path / "key.pem"))
    assert lake.secrets.get("cli/piped") == "from a pipe"
    assert lake.secrets.get("cli/file") == "line one\nline two\n"
    assert "secrets are sealed under a new master key" in command("secrets", "rotate-key")[1]
    rows = json.loads(command("secrets", "list", "--json")[1])
    assert [r["key"] for r in rows if r["scope"] == "cli"] == ["file", "piped"]
    assert command("secrets", "delete", "cli")[1].strip() == "deleted cli of dev with 2 secrets"
    with pytest.raises((NotFound, NotPermitted)):
        lake.secrets.get("cli/piped")
