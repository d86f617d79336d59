"""The system schema: copies of the audit log and of the lineage that SQL can ask, each row once."""

from datetime import timedelta

from boathouse import clock
from boathouse.catalog import TableSpec
from boathouse.client import Lake
from boathouse.jobs import JOB_RUNS
from boathouse.platform import Platform


def test_the_audit_log_and_lineage_can_be_asked_in_sql(lake: Lake) -> None:
    lake.create_table("raw.a", {"x": [1, 2]})
    lake.create_table("raw.b", {"x": "bigint"}).append(lake.sql("select * from raw.a"))
    lake.call("POST", "/api/v1/principals", {"name": "zoe", "kind": "user"})
    assert lake.call("POST", "/api/v1/system-tables")["rows"] > 0
    made = lake.sql("select subject from system.audit where action = 'create table' and subject like '%.raw.%' order by 1")
    assert [r["subject"] for r in made.to_dicts()] == ["dev.raw.a", "dev.raw.b"]
    columns = "columns->>'$.columns.x.x' as x"
    edges = lake.sql(f"select source, target, {columns} from system.lineage where target = 'dev.raw.b'").to_dicts()
    assert edges == [{"source": "dev.raw.a", "target": "dev.raw.b", "x": "IDENTITY"}]
    people = lake.sql("select subject from prod.system.audit where action like 'create%' and subject = 'zoe'").to_dicts()
    assert people == [{"subject": "zoe"}]


def test_deployments_and_runs_have_tables_too(lake: Lake) -> None:
    lake.call("POST", "/api/v1/system-tables")
    for table in ("job_runs", "deployments"):
        assert lake.sql(f"select count(*) n from system.{table}").to_dicts() == [{"n": 0}]


def test_copying_again_copies_nothing_twice(lake: Lake) -> None:
    lake.call("POST", "/api/v1/system-tables")
    lake.call("POST", "/api/v1/system-tables")
    twice = lake.sql("select sequence from system.audit group by 1 having count(*) > 1").to_dicts()
    assert twice == []


def test_what_was_read_is_in_the_log_with_its_count(lake: Lake) -> None:
    lake.create_table("raw.read_often", {"x": [1]})
    for _ in range(3):
        lake.sql("select * from raw.read_often").to_dicts()
    lake.call("POST", "/api/v1/system-tables")
    query = "select details from system.audit where action = 'read' and subject = 'dev.raw.read_often'"
    (entry,) = lake.sql(query).to_dicts()
    assert '"count": ' in entry["details"]


def test_runs_say_how_long_they_took_and_tables_of_before_get_the_column(platform: Platform) -> None:
    former = JOB_RUNS.schema.remove(JOB_RUNS.schema.get_field_index("seconds"))
    who = platform.service_identity("dev")
    platform.catalog.create_table(who, TableSpec("dev.system.job_runs", former))
    row = {"environment": "dev", "project": "p", "job": "j", "source": "", "definition": {}, "parameters": {},
           "trigger": "manual", "principal": "dev-jobs", "submitted_by": "ann"}  # fmt: skip
    ended = clock.now() - timedelta(minutes=1)
    for run, started in (("ran", ended - timedelta(seconds=90)), ("skipped", None)):
        platform.runs.add({"id": run, **row}, ["t"])
        platform.runs.update(run, state="SUCCESS", started_at=started, ended_at=ended)
    platform.housekeeping.tidy()
    with platform.sql.run(who, "select id, seconds from system.job_runs order by 1", "dev") as found:
        assert [tuple(r.values()) for r in found.to_dicts()] == [("ran", 90.0), ("skipped", None)]
