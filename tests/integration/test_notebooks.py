"""Notebooks as tasks: run with parameters, kept with their outputs, readable by who sees the run."""

import json
from typing import Any

import httpx
import pytest

from boathouse.client import Lake
from boathouse.client.notebook_source import assignments, cells_of

pytest.importorskip("nbclient", reason="needs boathouse[notebooks]")
pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {name: books}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    book:
      tasks: [{task_key: nb, notebook_task: {notebook_path: book.ipynb, base_parameters: {days: "14"}}}]
    other:
      tasks: [{task_key: nb, notebook_task: {notebook_path: deep/other}}]
    text:
      tasks: [{task_key: nb, notebook_task: {notebook_path: text, base_parameters: {who: ann}}}]
"""
TEXT = """# Databricks notebook source
# MAGIC %md
# MAGIC # Title
# COMMAND ----------
import sys
dbutils.widgets.text("who", "nobody")
print("hello", dbutils.widgets.get("who"), sys.argv[1])
# COMMAND ----------
raise ValueError("no rows")
"""
OTHER = """# Databricks notebook source
# MAGIC %run ./setup
# COMMAND ----------
# MAGIC %pip install nothing-of-this-name
# COMMAND ----------
# MAGIC %sql
# MAGIC select * from (values (1), (2)) t(n)
# COMMAND ----------
print("rows", len(_sqldf), "from", lowest)
dbutils.notebook.exit("done")
"""
CELLS = [
    ("days = 7", ["parameters"]),
    ("import boathouse\nprint('days', days + 1, boathouse.connect().principal)", []),
    ("from IPython.display import HTML\nHTML('<script>alert(1)</script><b>bold</b>')", []),
]


@pytest.fixture(scope="module")
def dev(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("books")
    (folder / "boathouse.yml").write_text(BUNDLE)
    (folder / "text.py").write_text(TEXT)
    (folder / "deep").mkdir()
    (folder / "deep" / "other.py").write_text(OTHER)
    (folder / "deep" / "setup.py").write_text("# Databricks notebook source\nlowest = 1\n# COMMAND ----------\ndbutils.widgets")
    cells = [{"cell_type": "code", "id": f"c{i}", "source": source, "metadata": {"tags": tags}, "outputs": [],
              "execution_count": None} for i, (source, tags) in enumerate(CELLS)]  # fmt: skip
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "book.ipynb").write_text(json.dumps(book))
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    return lake


def kept(lake: Lake, run: str, form: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {lake.http.token}"}
    return httpx.get(f"{lake.http.url}/api/v1/runs/{run}/notebooks/nb?format={form}", headers=headers)


def test_a_notebook_runs_with_its_parameters_and_is_kept_with_its_outputs(dev: Lake) -> None:
    run = dev.jobs.run("book")
    log = dev.jobs.log(run["id"], "nb")
    assert "days 15 dev-jobs" in log
    assert "IPKernelApp" not in log
    cells: list[Any] = kept(dev, run["id"], "ipynb").json()["cells"]
    assert ["".join(c["source"]) for c in cells][:2] == ["days = 7", "days = 14"]
    assert cells[2]["outputs"][0]["text"] == ["days 15 dev-jobs\n"]
    page = kept(dev, run["id"], "html")
    assert "<b>bold</b>" in page.text
    assert page.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_a_notebook_of_text_fails_with_the_cell_and_is_kept_all_the_same(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("text"), 60)
    words = dev.jobs.log(run["id"], "nb")
    assert run["state"] == "FAILED"
    assert "hello ann --who=ann" in words
    assert "text.py: cell 3 raised ValueError: no rows" in words
    assert [c["cell_type"] for c in kept(dev, run["id"], "ipynb").json()["cells"]] == ["markdown", "code", "code"]


def test_a_notebook_says_sql_runs_another_and_installs_nothing(dev: Lake) -> None:
    run = dev.jobs.run("other")
    words = dev.jobs.log(run["id"], "nb")
    assert "rows 2 from 1\n" in words
    assert "`%pip install nothing-of-this-name` is passed over" in words
    assert "leaked" not in words
    assert run["tasks"][0]["results"]["exit"] == "done"


def test_cells_are_cut_at_percent_marks() -> None:
    assert cells_of("a = 1\n# %% [markdown]\n# Words\n# %%\nb = 2\n") == [
        ("code", "a = 1"), ("markdown", "Words"), ("code", "b = 2")]  # fmt: skip


def test_a_parameter_has_the_type_of_its_default() -> None:
    given = {"n": "3", "on": "true", "word": "5", "new": "x"}
    assert assignments("n = 1\non = False\nword = 'a'", given) == "n = 3\non = True\nword = '5'\nnew = 'x'"
