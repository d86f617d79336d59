"""The audit table takes rows and gives none back: the database itself refuses to change or remove one."""

import sqlalchemy as sa
from sqlalchemy import event

from boathouse.database import metadata

_SAYS = "the audit log is append-only"
_SQLITE = [
    f"CREATE TRIGGER IF NOT EXISTS bh_audit_no_{verb} BEFORE {verb} ON bh_audit BEGIN SELECT RAISE(ABORT, '{_SAYS}'); END"
    for verb in ("update", "delete")
]
_POSTGRESQL = [
    "CREATE OR REPLACE FUNCTION bh_audit_refuse() RETURNS trigger AS "
    f"$$ BEGIN RAISE EXCEPTION '{_SAYS}'; END $$ LANGUAGE plpgsql",
    "CREATE OR REPLACE TRIGGER bh_audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON bh_audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION bh_audit_refuse()",
]


@event.listens_for(metadata, "after_create")
def _guard(_target: object, connection: sa.Connection, **_options: object) -> None:
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        connection.exec_driver_sql(statement)
