"""databricks-sdk: catalogs to tokens; `denied` is refused at each."""

import json
import logging
import os
import sys
from collections.abc import Callable

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import catalog as c

logging.disable(logging.WARNING)
w = WorkspaceClient(host=os.environ["URL"], token=os.environ["TOKEN"])
said: dict[str, object] = {}


def refused(act: Callable[[], object]) -> str:
    try:
        act()
    except DatabricksError as error:
        return f"{type(error).__name__} {error.error_code}"
    return "done"


def works() -> None:
    me = w.current_user.me()
    said["me"] = [me.user_name, [g.display for g in me.groups or []]]
    said["catalogs"] = [x.name for x in w.catalogs.list()]
    said["schema"] = w.schemas.create("sdk", "dev", comment="made by the SDK").full_name
    columns = [
        c.ColumnInfo(name="id", type_name=c.ColumnTypeName.LONG, type_text="bigint", position=0),
        c.ColumnInfo(name="day", type_name=c.ColumnTypeName.DATE, type_text="date", position=1, partition_index=0),
    ]
    made = w.tables.create("events", "dev", "sdk", c.TableType.MANAGED, c.DataSourceFormat.DELTA, storage_location=None,
                           columns=columns)  # fmt: skip
    said["table"] = [made.full_name, made.owner, [(x.name, x.type_text, x.partition_index) for x in made.columns or []]]
    said["exists"] = [w.tables.exists("dev.sdk.events").table_exists, w.tables.exists("dev.sdk.nothing").table_exists]
    said["many"] = len(list(w.tables.list("dev", "many", max_results=30)))
    short = w.tables.list_summaries("dev", schema_name_pattern="l%", table_name_pattern="tri_s")
    said["summaries"] = [t.full_name for t in short]
    key = c.PrimaryKeyConstraint(name="events_pk", child_columns=["id"])
    w.table_constraints.create("dev.sdk.events", c.TableConstraint(primary_key_constraint=key))
    kept = (w.tables.get("dev.sdk.events").table_constraints or [])[0].primary_key_constraint
    said["key"] = [kept.name, kept.child_columns] if kept else None
    tag = c.EntityTagAssignment(entity_type="tables", entity_name="dev.sdk.events", tag_key="team", tag_value="lab")
    w.entity_tag_assignments.create(tag)
    said["tags"] = [(t.tag_key, t.tag_value) for t in w.entity_tag_assignments.list("tables", "dev.sdk.events")]
    both = [c.Privilege.SELECT, c.Privilege.MANAGE]
    w.grants.update("TABLE", "dev.sdk.events", changes=[c.PermissionsChange(principal="bob", add=both)])
    given = w.grants.get("TABLE", "dev.sdk.events").privilege_assignments or []
    said["granted"] = [(a.principal, [p.value for p in a.privileges or []]) for a in given]
    above = w.grants.get_effective("TABLE", "dev.sdk.events", principal="data-scientists").privilege_assignments or []
    said["inherited"] = sorted(
        f"{p.privilege.value} {p.inherited_from_type.value} {p.inherited_from_name}"
        for a in above for p in a.privileges or [] if p.privilege and p.inherited_from_type
    )[-1]  # fmt: skip
    w.grants.update("TABLE", "dev.sdk.events", changes=[c.PermissionsChange(principal="bob", remove=both)])
    said["taken"] = w.grants.get("TABLE", "dev.sdk.events").privilege_assignments
    token = w.tokens.create(comment="from the SDK", lifetime_seconds=60)
    listed = [t.comment for t in w.tokens.list()]
    other = WorkspaceClient(host=os.environ["URL"], token=token.token_value)
    said["token"] = [other.current_user.me().user_name, "from the SDK" in listed]
    w.tokens.delete(token.token_info.token_id)
    said["revoked"] = refused(other.current_user.me)
    said["metastore"] = [w.metastores.summary().name, w.metastores.current().default_catalog_name]
    said["not_found"] = refused(lambda: w.tables.get("dev.sdk.nothing"))
    w.tables.update("dev.sdk.events", owner="bob")
    nobody = refused(lambda: w.tables.update("dev.sdk.events", owner="nobody"))
    said["given_away"] = [w.tables.get("dev.sdk.events").owner, nobody]
    w.schemas.delete("dev.sdk", force=True)


def models() -> None:
    name = sys.argv[2]
    said["versions"] = sorted(v.version or 0 for v in w.model_versions.list(name))
    w.registered_models.set_alias(name, "candidate", 1)
    said["by_alias"] = w.model_versions.get_by_alias(name, "candidate").version
    w.registered_models.set_alias(name, "Champion", 2)
    said["aliases"] = sorted((a.alias_name, a.version_num) for a in w.registered_models.get(name).aliases or [])
    w.model_versions.update(name, 1, comment="the first")
    said["comment"] = w.model_versions.get(name, 1).comment
    said["champion_kept"] = refused(lambda: w.model_versions.delete(name, 2))
    w.registered_models.delete_alias(name, "candidate")
    said["listed"] = [m.full_name for m in w.registered_models.list(catalog_name="dev", schema_name="lab")]


def denied() -> None:
    said["me"] = w.current_user.me().user_name
    said["catalogs"] = [x.name for x in w.catalogs.list()]
    said["exists"] = w.tables.exists("dev.lab.trips").table_exists
    said["refused"] = {
        "schemas": refused(lambda: list(w.schemas.list("dev"))),
        "table": refused(lambda: w.tables.get("dev.lab.trips")),
        "owner": refused(lambda: w.tables.update("dev.lab.trips", owner="bob")),
        "grant": refused(lambda: w.grants.update("TABLE", "dev.lab.trips",
                                                 changes=[c.PermissionsChange(principal="bob", add=[c.Privilege.SELECT])])),
        "effective": refused(lambda: w.grants.get_effective("TABLE", "dev.lab.trips")),
        "credentials": refused(lambda: w.temporary_table_credentials.generate_temporary_table_credentials(
            operation=c.TableOperation.READ, table_id=sys.argv[2])),
        "model": refused(lambda: w.registered_models.get("dev.lab.delay")),
        "tag": refused(lambda: w.entity_tag_assignments.create(c.EntityTagAssignment("dev.lab.trips", "x", "tables"))),
    }  # fmt: skip


globals()[sys.argv[1]]()
print(json.dumps(said))
