"""What we add to MLflow's tables: indexes, and a projection of tags that the database itself keeps true.

MLflow indexes its tables by their primary keys alone, so that its lists and searches read every row. Indexes and
triggers hold for whoever writes: MLflow's clients, our own commands, or SQL by hand.
"""

import sqlalchemy as sa

from boathouse.registry.store import START
from boathouse.registry.values import PRODUCTION

_ONE_PRODUCTION = (
    "CREATE UNIQUE INDEX IF NOT EXISTS bh_one_production ON model_versions (workspace, name) "
    f"WHERE current_stage = '{PRODUCTION}'"
)
_NEWEST = "workspace, last_updated_time DESC, {name}, version DESC"
_KEY = 'CREATE INDEX IF NOT EXISTS bh_versions_key ON model_versions (workspace, name COLLATE "C", version)'
"""PostgreSQL would take `bh_versions_of_model` for the key, and read all versions of a name: compared by bytes, it cannot."""
_INDEXES = {
    "bh_models_name": "registered_models (workspace, {name})",
    "bh_models_updated": "registered_models (workspace, last_updated_time, {name})",
    "bh_versions_updated": f"model_versions ({_NEWEST})",
    "bh_versions_of_model": "model_versions (workspace, name, last_updated_time DESC, version DESC)",
    "bh_versions_at_stage": "model_versions (workspace, current_stage, name, version)",
    "bh_versions_run": "model_versions (workspace, run_id)",
    "bh_aliases_model": "registered_model_aliases (workspace, {name})",
    "bh_model_tags_model": "registered_model_tags (workspace, {name})",
    "bh_model_tags_value": f"registered_model_tags (workspace, key, substr(value, 1, {START}), {{name}})",
    "bh_version_tags_version": "model_version_tags (workspace, name, version)",
    "bh_tagged_updated": "bh_tagged_versions (key, start, updated DESC, {model}, version DESC)",
}

_FILL = f"""INSERT INTO bh_tagged_versions (model, version, key, start, updated)
SELECT t.name, t.version, t.key, substr(coalesce(t.value, ''), 1, {START}), v.last_updated_time
FROM model_version_tags t JOIN model_versions v
ON v.workspace = t.workspace AND v.name = t.name AND v.version = t.version WHERE t.workspace = 'default'"""
_DROP = "DELETE FROM bh_tagged_versions WHERE model = OLD.name AND version = OLD.version AND key = OLD.key;"
_ADD = f"{_FILL} AND t.name = NEW.name AND t.version = NEW.version AND t.key = NEW.key;"
_MOVE = "UPDATE bh_tagged_versions SET updated = NEW.last_updated_time WHERE model = NEW.name AND version = NEW.version;"
_TRIGGERS = {
    "bh_tag_added": ("INSERT ON model_version_tags", _ADD),
    "bh_tag_changed": ("UPDATE ON model_version_tags", _DROP + _ADD),
    "bh_tag_removed": ("DELETE ON model_version_tags", _DROP),
    "bh_version_updated": ("UPDATE OF last_updated_time ON model_versions", _MOVE),
}


_NAMES = "INSERT INTO bh_model_names (name, description) SELECT name, coalesce(description, '') FROM registered_models"
_UNNAMED = """DELETE FROM bh_model_names WHERE rowid IN (SELECT rowid FROM bh_model_names
WHERE bh_model_names MATCH 'name : "' || replace(OLD.name, '"', '""') || '"' AND name = OLD.name);"""
_NAMED = f"{_NAMES} WHERE workspace = 'default' AND name = NEW.name;"
_NAME_TRIGGERS = {
    "bh_name_added": ("INSERT ON registered_models", _NAMED),
    "bh_name_changed": ("UPDATE OF name, description ON registered_models", _UNNAMED + _NAMED),
    "bh_name_removed": ("DELETE ON registered_models", _UNNAMED),
}


def install(connection: sa.Connection, *, anew: bool = False) -> bool:
    """Add what is missing to MLflow's tables, and fill the projection if its triggers were; True when they were.

    A home of before, or one whose tables a migration of MLflow rebuilt, gets all of it here. `anew` fills again.
    """
    connection.execute(sa.text(_ONE_PRODUCTION))
    connection.execute(sa.text("DROP INDEX IF EXISTS bh_versions_stage"))  # of before
    sqlite = connection.dialect.name == "sqlite"
    collated = "" if sqlite else ' COLLATE "C"'
    for index, on in _INDEXES.items():
        where = on.format(name=f"name{collated}", model=f"model{collated}")
        connection.execute(sa.text(f"CREATE INDEX IF NOT EXISTS {index} ON {where}"))
    if not sqlite:
        connection.execute(sa.text(_KEY))
    known = "SELECT name FROM sqlite_master WHERE type = 'trigger'" if sqlite else "SELECT tgname FROM pg_trigger"
    missing = set(_TRIGGERS) - set(connection.execute(sa.text(known)).scalars())
    for trigger in sorted(missing):
        _create(connection, trigger, sqlite)
    if missing or anew:
        connection.execute(sa.text("DELETE FROM bh_tagged_versions"))
        connection.execute(sa.text(_FILL))
    (_names_sqlite if sqlite else _names_postgres)(connection)
    return bool(missing)


def _names_sqlite(connection: sa.Connection) -> None:
    """Names and descriptions by every three characters in a row, for searches of a part."""
    try:
        with connection.begin_nested():
            made = "CREATE VIRTUAL TABLE IF NOT EXISTS bh_model_names USING fts5(name, description, tokenize='trigram')"
            connection.exec_driver_sql(made)
    except sa.exc.OperationalError:  # a SQLite without it: names are read one after the other
        return
    known = set(connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars())
    if missing := _NAME_TRIGGERS.keys() - known:
        for trigger in sorted(missing):
            on, body = _NAME_TRIGGERS[trigger]
            connection.exec_driver_sql(f"CREATE TRIGGER {trigger} AFTER {on} BEGIN {body} END")
        connection.exec_driver_sql("DELETE FROM bh_model_names")
        connection.exec_driver_sql(f"{_NAMES} WHERE workspace = 'default'")


def _names_postgres(connection: sa.Connection) -> None:
    """The same by PostgreSQL's own extension, where this role may add it."""
    known = set(connection.execute(sa.text("SELECT indexname FROM pg_indexes WHERE tablename = 'registered_models'")).scalars())
    if {"bh_models_part", "bh_models_said"} <= known:
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            for index, column in (("bh_models_part", "name"), ("bh_models_said", "description")):
                connection.exec_driver_sql(
                    f"CREATE INDEX IF NOT EXISTS {index} ON registered_models USING gin ({column} gin_trgm_ops)"
                )
    except sa.exc.DBAPIError:
        return


def _create(connection: sa.Connection, trigger: str, sqlite: bool) -> None:
    on, body = _TRIGGERS[trigger]
    if sqlite:
        connection.exec_driver_sql(f"CREATE TRIGGER {trigger} AFTER {on} BEGIN {body} END")
        return
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
    )
    connection.exec_driver_sql(f"CREATE TRIGGER {trigger} AFTER {on} FOR EACH ROW EXECUTE FUNCTION {trigger}()")
