"""Models, endpoints, monitors and alerts as the project file declares them."""

from pathlib import Path

from boathouse.delivery import Threshold
from boathouse.environments import GitFacts
from boathouse.project import Bundle, RegisteredModel, load, parse_resource

TEXT = """
bundle: {name: flights}
resources:
  registered_models:
    delay:
      schema_name: flights
      name: delay
      grants: [{principal: analysts, privileges: [EXECUTE]}]
      delivery:
        evaluation:
          table: features.labelled
          where: "month = 4"
          label: late
          metrics:
            roc_auc: {min: 0.68, not_worse_than_champion_by: 0.005}
            mean_absolute_error: {max: 2}
          slices: [origin]
          custom: validation.checks:checks
        approval: {by: ml-engineers, separation_of_duties: true}
        rollout: {canary_percent: 10, for: 10m, rollback_on: {error_rate: 0.01, p99_ms: 250}}
    plain: {schema_name: flights, name: plain, delivery: {approval: none, mode: manual}}
  model_serving_endpoints:
    delay:
      name: delay
      config:
        served_entities:
          - {name: now, entity_name: delay, entity_version: champion}
          - {name: next, entity_name: flights.delay, entity_version: 7}
        traffic_config:
          routes:
            - {served_entity_name: now, traffic_percentage: 90}
            - {served_entity_name: next, traffic_percentage: 10}
  quality_monitors:
    delay:
      model: delay
      labels: {table: raw.arrivals, keys: [flight_id], label: late, known_time: arrived_at}
      inference_log: {granularities: [1 day, 1 week]}
      slicing_exprs: [origin]
  alerts:
    quality_drop:
      {monitor: delay, condition: roc_auc < 0.68, windows: 2, granularity: 1 week, notify: [a@b.c],
       run_job: go, params: {n: 3}}
  jobs:
    go: {tasks: [{task_key: t, notebook_task: {notebook_path: n}}], trigger: {alert: quality_drop}}
"""


def bundle(directory: Path) -> Bundle:
    (directory / "boathouse.yml").write_text(TEXT)
    return load(directory, git=GitFacts(), environ={})


def test_what_a_new_version_must_pass_is_read(tmp_path: Path) -> None:
    delivery = bundle(tmp_path).resources.registered_models["delay"].delivery
    assert delivery is not None
    assert delivery.evaluation is not None
    assert delivery.evaluation.metrics["roc_auc"] == Threshold(min=0.68, not_worse_than_champion_by=0.005)
    assert delivery.evaluation.metrics["mean_absolute_error"] == Threshold(max=2)
    assert (delivery.evaluation.slices, delivery.evaluation.min_rows) == (("origin",), 100)
    assert delivery.mode == "automatic"


def test_approval_and_rollout_are_read(tmp_path: Path) -> None:
    models = bundle(tmp_path).resources.registered_models
    delivery = models["delay"].delivery
    assert delivery is not None
    assert delivery.approval is not None
    assert delivery.rollout is not None
    assert (delivery.approval.by, delivery.approval.separation_of_duties) == (("ml-engineers",), True)
    assert (delivery.rollout.seconds, delivery.rollout.rollback_on.p99_ms) == (600, 250)
    assert models["plain"].delivery is not None
    assert (models["plain"].delivery.approval, models["plain"].delivery.mode) == (None, "manual")


def test_a_delivery_survives_its_definition(tmp_path: Path) -> None:
    for kind, key, body in bundle(tmp_path).resources_list():
        if kind == "registered_model":
            again = parse_resource(kind, body)
            assert isinstance(again, RegisteredModel)
            assert again == bundle(tmp_path).resources.registered_models[key]
            assert key == "plain" or body["delivery"]["rollout"]["rollback_on"]["error_rate"] == 0.01


def test_an_endpoint_serves_versions_and_aliases(tmp_path: Path) -> None:
    read = bundle(tmp_path)
    entities = read.resources.model_serving_endpoints["delay"].config.served_entities
    assert [(e.name, e.entity_version) for e in entities] == [("now", "champion"), ("next", "7")]
    assert {read.model_name(e.entity_name) for e in entities} == {"flights.delay"}


def test_monitors_and_alerts_are_read(tmp_path: Path) -> None:
    resources = bundle(tmp_path).resources
    labels, alert = resources.quality_monitors["delay"].labels, resources.alerts["quality_drop"]
    assert labels is not None
    assert (labels.keys, labels.known_time) == (("flight_id",), "arrived_at")
    assert (alert.windows, alert.granularity, alert.run_job, alert.params) == (2, "1 week", "go", {"n": "3"})
