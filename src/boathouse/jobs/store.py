"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

runs = sa.Table(
    "bh_runs", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("environment", sa.String(255), nullable=False, index=True),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("job", sa.String(255), nullable=False, index=True),
    sa.Column("scratch", sa.String(64), nullable=False, default=""),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("dirty", sa.Boolean, nullable=False, default=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("definition", Json, nullable=False),
    sa.Column("parameters", Json, nullable=False),
    sa.Column("trigger", sa.String(64), nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("submitted_by", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("owner", sa.String(64), index=True),
    sa.Column("concurrency", sa.Integer),
    sa.Column("start_key", sa.String(700)),
    sa.Column("parent_run", sa.String(32), index=True),
    sa.Column("ending_state", sa.String(16)),
    sa.Column("ending_reason", sa.Text),
    sa.Column("told", sa.Boolean),
    sa.Column("place", sa.String(64)),
    sa.Index("bh_runs_by_state", "state", "submitted_at"),
    sa.Index("bh_runs_by_time", "submitted_at", "id"),
    sa.Index("bh_runs_by_environment", "environment", "submitted_at", "id"),
    sa.Index("bh_runs_by_job", "environment", "job", "submitted_at", "id"),
    sa.Index("bh_runs_start_key", "start_key", unique=True),
)  # fmt: skip

task_runs = sa.Table(
    "bh_task_runs", metadata,
    sa.Column("run_id", sa.String(32), sa.ForeignKey("bh_runs.id"), primary_key=True),
    sa.Column("task_key", sa.String(255), primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("tries", sa.Integer),
    sa.Column("not_before", sa.DateTime(timezone=True)),
    sa.Column("parent", sa.String(255)),
    sa.Column("input", Json),
    sa.Column("executor", sa.String(64)),
    sa.Column("exit_code", sa.Integer),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("results", Json, nullable=False, default=dict),
)  # fmt: skip

executors = sa.Table(
    "bh_executors", metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sa.Column("url", sa.Text),
    sa.Column("leads", sa.Boolean),
)  # fmt: skip

words = sa.Table(
    "bh_task_words", metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("task_key", sa.String(255), primary_key=True),
    sa.Column("executor", sa.String(64), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("text", sa.LargeBinary, nullable=False),
)  # fmt: skip

starts = sa.Table(
    "bh_job_starts", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("job", sa.String(255), primary_key=True),
    sa.Column("cause", sa.String(32), primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("next_due", sa.DateTime(timezone=True)),
    sa.Column("seen", Json, nullable=False),
    sa.Column("error", sa.Text),
)  # fmt: skip

pauses = sa.Table(
    "bh_job_pauses", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("job", sa.String(255), primary_key=True),
    sa.Column("paused_by", sa.String(255), nullable=False),
    sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("resumed", sa.Boolean),
)  # fmt: skip
