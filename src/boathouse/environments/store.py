"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

projects = sa.Table(
    "bh_projects", metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("origin", sa.Text),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

remotes = sa.Table(
    "bh_project_remotes", metadata,
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("token", sa.Text),
    sa.Column("hook_secret", sa.Text),
    sa.Column("status_api", sa.Text),
    sa.Column("status_token", sa.Text),
)  # fmt: skip

branch_heads = sa.Table(
    "bh_branch_heads", metadata,
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("branch", sa.String(255), primary_key=True),
    sa.Column("commit_id", sa.String(64), primary_key=True),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

releases = sa.Table(
    "bh_releases", metadata,
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("branch", sa.String(255), nullable=False),
    sa.Column("cut_by", sa.String(255), nullable=False),
    sa.Column("cut_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

requests = sa.Table(
    "bh_requests", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("branch", sa.String(255), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("base", sa.String(64), nullable=False),
    sa.Column("merge_commit", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("checks", Json, nullable=False),
    sa.Column("opened_by", sa.String(255), nullable=False),
    sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("merged_by", sa.String(255)),
    sa.Column("merged_at", sa.DateTime(timezone=True)),
)  # fmt: skip

code_changes = sa.Table(
    "bh_code_changes", metadata,
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("refs", Json, nullable=False),
    sa.Column("pack", sa.LargeBinary, nullable=False),
)  # fmt: skip
"""What happened to a project's repository: the objects that were new, and where all its references stood then."""

deployments = sa.Table(
    "bh_deployments", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("scratch", sa.String(64), nullable=False, default=""),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("dirty", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("deployed_by", sa.String(255), nullable=False),
    sa.Column("deployed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("place", sa.String(64)),
)  # fmt: skip

resources = sa.Table(
    "bh_resources", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("scratch", sa.String(64), primary_key=True, default=""),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("definition", Json, nullable=False),
    sa.Column("deployment", sa.Integer, sa.ForeignKey("bh_deployments.id"), nullable=False),
)  # fmt: skip

bundle_places = sa.Table(
    "bh_bundle_places", metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("project", sa.String(255), nullable=False),
)  # fmt: skip

bundle_permits = sa.Table(
    "bh_bundle_permits", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("securable", sa.String(255), primary_key=True),
    sa.Column("principal", sa.String(255), primary_key=True),
    sa.Column("privilege", sa.String(64), primary_key=True),
)  # fmt: skip
