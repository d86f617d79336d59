"""`dbutils` in notebooks and files: parameters, task values, an early end."""

import pytest

import boathouse
from boathouse.client import Lake
from boathouse.client.dbutils import DbUtils
from boathouse.errors import InvalidInput, NotFound

pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {name: utils}
targets: {dev: {default: true, environment: dev}}
resources:
  jobs:
    hand:
      tasks:
        - {task_key: set, spark_python_task: {python_file: set.py, parameters: ["--days=14"]}}
        - task_key: get
          depends_on: [{task_key: set}]
          spark_python_task: {python_file: get.py, parameters: ["{{tasks.set.values.days}}"]}
    book:
      tasks: [{task_key: nb, notebook_task: {notebook_path: book, base_parameters: {who: ann}}}]
"""
FILES = {
    "boathouse.yml": BUNDLE,
    "set.py": """
from boathouse import dbutils as imported
dbutils.widgets.text("days", "7")
assert imported is dbutils
dbutils.jobs.taskValues.set(key="days", value=int(dbutils.widgets.get("days")))
dbutils.jobs.taskValues.set("rows", [1, {"two": 2}])
try:
    dbutils.notebook.exit("early")
except Exception:
    raise SystemExit("an exit is no exception")
raise SystemExit("it went on")
""",
    "get.py": """
import sys
values = dbutils.jobs.taskValues
print(sys.argv[1], values.get("set", "rows"), values.get(taskKey="set", key="none", default="d"), values.get("set", "exit"))
values.get("set", "nothing")
""",
    "book.py": """# Databricks notebook source
notebook_path = dbutils.notebook.entry_point.getDbutils().notebook().getContext().notebookPath().get()
print(notebook_path.rpartition("/")[2], dbutils.widgets.getArgument("who"))
dbutils.library.restartPython()
# COMMAND ----------
dbutils.notebook.exit("all done")
# COMMAND ----------
raise ValueError("never")
""",
}


@pytest.fixture(scope="module")
def dev(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("utils")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    return lake


def test_a_file_has_parameters_hands_on_values_and_ends_itself(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("hand"), 90)
    states = {t["task_key"]: t["state"] for t in run["tasks"]}
    assert states == {"set": "SUCCESS", "get": "FAILED"}
    said = dev.jobs.log(run["id"], "get")
    assert "14 [1, {'two': 2}] d early\n" in said
    assert "task 'set' has no value 'nothing'; it has days, rows, exit, and no default is given" in said


def test_a_notebook_ends_itself_and_its_value_is_kept(dev: Lake) -> None:
    pytest.importorskip("nbclient", reason="needs boathouse[notebooks]")
    run = dev.jobs.run("book")
    said = dev.jobs.log(run["id"], "nb")
    assert "book.py ann\n" in said
    assert "notebook exited: all done\n" in said
    assert run["tasks"][0]["results"] == {"exit": "all done"}


def test_outside_a_run_values_need_a_stand_in(lake: Lake) -> None:
    utils = DbUtils(lake)
    utils.jobs.taskValues.set("a", 1)
    assert utils.jobs.taskValues.get("t", "a", debugValue=3) == 3
    with pytest.raises(InvalidInput, match="debugValue"):
        utils.jobs.taskValues.get("t", "a", default=1)
    with pytest.raises(InvalidInput, match="JSON does not hold"):
        utils.jobs.taskValues.set("a", object())
    with pytest.raises(NotFound, match="no parameter 'x'"):
        utils.widgets.get("x")
    with pytest.raises(AttributeError, match=r"lake\.volumes"):
        utils.fs.ls("/")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        boathouse.nothing  # noqa: B018
