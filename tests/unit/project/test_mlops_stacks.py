"""A project in the layout of mlops-stacks loads, and says what of it has no meaning here."""

from pathlib import Path

import pytest

from boathouse.environments import GitFacts
from boathouse.project import Bundle, load

GIT = GitFacts("c0ffee" + "0" * 34, "main", dirty=False, origin_url="https://example.org/taxi.git")
SOURCE = (
    "git_source_info: url:${bundle.git.origin_url}; branch:${bundle.git.branch}; commit:${bundle.git.commit}"
)
REUSED = """
small_machines: &machines
  new_cluster: {num_workers: 2, spark_version: 15.3.x, node_type_id: some.type, custom_tags: {from: here}}
everyone: &everyone
  permissions:
    - level: CAN_VIEW
      group_name: users
"""

FILES = {
    "databricks.yml": """
bundle:
  uuid: 5f0c5f0c-0000-4000-8000-000000000000
  name: taxi-fares
variables:
  experiment_name:
    description: Where runs are tracked.
    default: /Users/${workspace.current_user.userName}/${bundle.target}-taxi-experiment
  model_name: {description: The model, default: taxi-model}
  catalog_name:
    description: The catalog of the model
include:
  - ./resources/*.yml
targets:
  dev:
    mode: development
    default: true
    variables: {catalog_name: dev}
    workspace:
      host:
  staging: {variables: {catalog_name: staging}, workspace: {host: https://staging.example.org}}
  prod: {variables: {catalog_name: prod}, workspace: {host: https://prod.example.org}}
  test: {variables: {catalog_name: test}, workspace: {host: https://staging.example.org}}
""",
    "resources/ml-artifacts.yml": """
reading: &reading
  permissions: [{level: CAN_READ, group_name: users}]
granting: &granting
  grants: [{privileges: [EXECUTE], principal: account users}]
resources:
  registered_models:
    model:
      name: ${var.model_name}
      catalog_name: ${var.catalog_name}
      schema_name: taxi
      comment: The fares of ${bundle.target}.
      <<: *granting
  experiments:
    experiment:
      name: ${var.experiment_name}
      <<: *reading
      description: Runs of the project.
""",
    "resources/training.yml": f"""{REUSED}
resources:
  jobs:
    model_training_job:
      name: ${{bundle.target}}-taxi-training
      job_clusters:
        - job_cluster_key: shared
          <<: *machines
      tasks:
        - task_key: Train
          job_cluster_key: shared
          notebook_task:
            notebook_path: ../training/notebooks/Train.py
            base_parameters:
              env: ${{bundle.target}}
              experiment_name: ${{var.experiment_name}}
              model_name: ${{var.catalog_name}}.taxi.${{var.model_name}}
              {SOURCE}
        - task_key: ModelValidation
          job_cluster_key: shared
          depends_on: [{{task_key: Train}}]
          notebook_task:
            notebook_path: ../validation/notebooks/ModelValidation.py
            base_parameters: {{run_mode: dry_run}}
      schedule: {{quartz_cron_expression: "0 0 9 * * ?", timezone_id: UTC}}
      <<: *everyone
""",
    "resources/monitoring.yml": f"""{REUSED}
resources:
  quality_monitors:
    taxi-fares_quality_monitor:
      table_name: dev.taxi.predictions
      output_schema_name: ${{bundle.target}}.taxi
      assets_dir: /Users/${{workspace.current_user.userName}}/monitoring
      inference_log:
        granularities: [1 day]
        model_id_col: model_id
        prediction_col: prediction
        label_col: fare
        problem_type: PROBLEM_TYPE_REGRESSION
        timestamp_col: timestamp
      schedule:
        quartz_cron_expression: 0 0 8 * * ? # every day at 8
        timezone_id: UTC
  jobs:
    retraining_job:
      name: ${{bundle.target}}-taxi-retraining
      tasks:
        - task_key: check
          <<: *machines
          notebook_task:
            notebook_path: ../monitoring/notebooks/Check.py
            base_parameters: {{threshold: 100}}
        - task_key: is_violated
          depends_on: [{{task_key: check}}]
          condition_task: {{op: EQUAL_TO, left: "{{{{tasks.check.values.is_violated}}}}", right: "true"}}
          {SOURCE}
        - task_key: retrain
          depends_on: [{{task_key: is_violated, outcome: "true"}}]
          run_job_task:
            job_id: ${{resources.jobs.model_training_job.id}}
            {SOURCE}
      schedule: {{quartz_cron_expression: "0 0 18 * * ?", timezone_id: UTC}}
      <<: *everyone
""",
}


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def read(directory: Path, target: str) -> Bundle:
    return load(directory, target, git=GIT, environ={}, user="ann@example.org")


@pytest.mark.parametrize(
    ("target", "environment"), [("dev", "dev"), ("staging", "staging"), ("prod", "prod"), ("test", "staging")]
)
def test_every_target_loads(stacks: Path, target: str, environment: str) -> None:
    bundle = read(stacks, target)
    assert (bundle.name, bundle.environment) == ("taxi-fares", environment)
    assert {kind for kind, _, _ in bundle.resources_list()} == {
        "experiment",
        "registered_model",
        "job",
        "quality_monitor",
    }


def test_references_are_filled_in(stacks: Path) -> None:
    train = read(stacks, "prod").resources.jobs["model_training_job"].tasks[0].notebook_task
    assert train is not None
    assert train.notebook_path == "training/notebooks/Train.py"
    assert train.base_parameters["model_name"] == "prod.taxi.taxi-model"
    assert train.base_parameters["experiment_name"] == "/Users/ann@example.org/prod-taxi-experiment"
    assert train.base_parameters["git_source_info"].endswith(f"branch:main; commit:{GIT.commit}")


def test_retraining_runs_the_training_job_when_the_condition_holds(stacks: Path) -> None:
    _, violated, retrain = read(stacks, "prod").resources.jobs["retraining_job"].tasks
    assert violated.condition_task is not None
    assert violated.condition_task.left == "{{tasks.check.values.is_violated}}"
    assert retrain.run_job_task is not None
    assert retrain.run_job_task.job == "model_training_job"
    assert retrain.depends_on[0].outcome == "true"


def test_permissions_grants_and_schedules_are_kept(stacks: Path) -> None:
    resources = read(stacks, "prod").resources
    assert resources.registered_models["model"].grants[0].privileges == ("EXECUTE",)
    assert resources.experiments["experiment"].permissions[0].level == "CAN_READ"
    training = resources.jobs["model_training_job"]
    assert training.permissions[0].principal == "users"
    assert training.schedule is not None
    assert (training.schedule.quartz_cron_expression, training.schedule.pause_status) == ("0 0 9 * * ?", None)


def test_in_development_nothing_runs_by_itself(stacks: Path) -> None:
    resources = read(stacks, "dev").resources
    schedules = [job.schedule for job in resources.jobs.values()]
    assert {schedule.pause_status for schedule in schedules if schedule} == {"PAUSED"}


def test_what_has_no_meaning_here_is_told_once(stacks: Path) -> None:
    ignored = read(stacks, "prod").ignored
    where = "is not supported and ignored"
    assert f"databricks.yml:22: targets.prod.workspace {where}: the installation is the workspace" in ignored
    told = {text.partition(": ")[2].partition(" ")[0]: text.partition(":")[0] for text in ignored}
    assert told["resources.jobs.model_training_job.job_clusters"] == "resources/training.yml"
    assert told["resources.jobs.retraining_job.tasks[check].new_cluster"] == "resources/monitoring.yml"
    assert told["resources.jobs.retraining_job.tasks[is_violated].git_source_info"] == "resources/monitoring.yml"
    assert told["resources.registered_models.model.catalog_name"] == "resources/ml-artifacts.yml"
    assert told["resources.quality_monitors.taxi-fares_quality_monitor.assets_dir"] == "resources/monitoring.yml"
    assert "resources.experiments.experiment.permissions:" not in told
    assert all(text.split(":")[1].isdigit() for text in ignored)
    assert len(ignored) == len(set(ignored))
    assert not [text for text in ignored if "small_machines" in text or "everyone" in text]


def test_a_project_with_what_we_do_not_have_still_loads(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("""
bundle: {name: other, engine: direct}
artifacts: {wheel: {type: whl}}
sync: {include: [data/*]}
variables: {policy: {lookup: {cluster_policy: small}}}
resources:
  pipelines: {p: {name: p, libraries: [{notebook: {path: x.py}}]}}
  models: {m: {name: m}}
  clusters: {c: {policy_id: "${var.policy}"}}
  dashboards: {d: {file_path: x.json}}
""")
    assert load(tmp_path, git=GIT, environ={}).ignored == [
        "databricks.yml:2: bundle.engine is not supported and ignored",
        "databricks.yml:3: artifacts is not supported and ignored: "
        "build wheels before the deployment, or import the project's modules as they are",
        "databricks.yml:4: sync is not supported and ignored: a deployment takes the commit's files",
        "databricks.yml:5: variables.policy.lookup is not supported and ignored: give the variable a value",
        "databricks.yml:7: resources.pipelines is not supported and ignored: write the pipeline as a job",
        "databricks.yml:8: resources.models is not supported and ignored: use registered_models",
        "databricks.yml:9: resources.clusters is not supported and ignored: tasks run where Boathouse runs",
        "databricks.yml:10: resources.dashboards is not supported and ignored",
    ]


OTHERS = """
bundle: {name: other}
targets: {dev: {default: true, cluster_id: "0918", bundle: {deployment: {lock: {force: true}}}}}
resources:
  secret_scopes: {own: {name: my-scope}}
  alerts:
    revenue: {display_name: Revenue, query_text: select 1, warehouse_id: abc}
  jobs:
    each:
      description: of ${workspace.current_user.displayName}
      tasks:
        - task_key: loop
          for_each_task:
            inputs: "[1, 2]"
            task:
              task_key: inner
              job_cluster_key: small
              libraries: [{maven: {coordinates: "a:b:1"}}, {pypi: {package: attrs}}]
              notebook_task: {notebook_path: x.py, base_parameters: {scope: "${resources.secret_scopes.own.name}"}}
"""


def test_what_cannot_be_had_is_left_out_by_name_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text(OTHERS)
    bundle = load(tmp_path, git=GIT, environ={}, user="ann")
    each = bundle.resources.jobs["each"]
    assert each.description == "of ann"
    assert each.tasks[0].for_each_task is not None
    inner = each.tasks[0].for_each_task.task
    assert [library.pypi and library.pypi.package for library in inner.libraries] == ["attrs"]
    assert inner.notebook_task is not None
    assert inner.notebook_task.base_parameters == {"scope": "my-scope"}
    assert not bundle.resources.alerts
    loop = "resources.jobs.each.tasks[loop].for_each_task.task"
    assert [text for text in bundle.ignored if "secret" not in text] == [
        "databricks.yml:3: targets.dev.cluster_id is not supported and ignored",
        "databricks.yml:3: targets.dev.bundle.deployment is not supported and ignored",
        "databricks.yml:7: resources.alerts.revenue is not supported and left out: it has display_name, query_text, warehouse_id",
        f"databricks.yml:17: {loop}.job_cluster_key is not supported and ignored: tasks run where Boathouse runs",
        f"databricks.yml:18: {loop}.libraries[0] is not supported and left out: it has maven",
    ]
