"""Primary keys of tables, as constraints; foreign keys are not kept."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from boathouse import names
from boathouse.catalog import TableInfo
from boathouse.errors import InvalidInput, NotFound
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import seen

router = APIRouter(route_class=UnityRoute)


class PrimaryKey(BaseModel):
    """PrimaryKeyConstraint."""

    name: str = ""
    child_columns: list[str]
    timeseries_columns: list[str] = Field(default_factory=list)


class Constraint(BaseModel):
    """TableConstraint."""

    primary_key_constraint: PrimaryKey | None = None


class NewConstraint(BaseModel):
    """CreateTableConstraint."""

    full_name_arg: str
    constraint: Constraint


def constraints(info: TableInfo) -> list[dict[str, Any]]:
    """The primary key, where there is one, as a list of TableConstraints."""
    if not info.primary_keys:
        return []
    key: dict[str, Any] = {"name": _name(info.name), "child_columns": list(info.primary_keys)}
    if info.event_time:
        key["timeseries_columns"] = [info.event_time]
    return [{"primary_key_constraint": key}]


def _name(table: str) -> str:
    return f"{names.parse(table).object}_pk"


@router.post("/constraints")
def create_constraint(body: NewConstraint, who: Caller, platform: Served) -> dict[str, Any]:
    """Give a table without keys its primary key; every row is checked. Needs MANAGE."""
    key = body.constraint.primary_key_constraint
    if key is None:
        raise InvalidInput("primary keys are the constraints that can be made here")
    if len(key.timeseries_columns) > 1:
        raise InvalidInput("a table has one time series column at most")
    table = seen(who, platform, "table", body.full_name_arg)
    made = platform.keys.declare(who, table, key.child_columns, next(iter(key.timeseries_columns), None))
    return constraints(made)[0]


@router.delete("/constraints/{full_name}")
def delete_constraint(full_name: str, constraint_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Take a table's primary key away; needs MANAGE."""
    table = seen(who, platform, "table", full_name)
    if constraint_name != _name(table) or not platform.catalog.table(table).primary_keys:
        raise NotFound(f"{table} has no constraint {constraint_name!r}", kind="constraint")
    platform.keys.drop(who, table)
    return {}
