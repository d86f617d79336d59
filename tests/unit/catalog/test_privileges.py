"""Who may do what, as a pure function over grants."""

from collections.abc import Mapping

import pytest

from boathouse.catalog import METASTORE, PRIVILEGES, privileges
from boathouse.errors import InvalidInput

Grants = Mapping[tuple[str, str], frozenset[str]]
"""(who, securable's name) -> privileges granted on exactly that securable."""
Owners = Mapping[str, str]

CATALOG, SCHEMA, TABLE = "dev", "dev.raw", "dev.raw.events"
USE = {("ada", CATALOG): frozenset({"USE CATALOG", "USE SCHEMA"})}


def line(kind: str, name: str, grants: Grants, owners: Owners | None = None) -> list[privileges.Held]:
    """What the pure functions take: a securable and its parents, with who holds what on each."""
    return [
        privileges.Held(
            kind, place, (owners or {}).get(place),
            {p: frozenset(who for (who, on), held in grants.items() if on == place and p in held) for p in PRIVILEGES},
        )
        for kind, place in privileges.chain(kind, name)
    ]  # fmt: skip


def missing(
    privilege: str, kind: str, name: str, who: set[str], grants: Grants, owners: Owners | None = None
) -> tuple[str, str] | None:
    return privileges.missing(privilege, line(kind, name, grants, owners), frozenset(who))


def test_reading_a_table_takes_the_way_to_it_as_well() -> None:
    grants = {("ada", TABLE): frozenset({"SELECT"})}
    assert missing("SELECT", "table", TABLE, {"ada"}, grants) == ("USE CATALOG", CATALOG)
    grants[("ada", CATALOG)] = frozenset({"USE CATALOG"})
    assert missing("SELECT", "table", TABLE, {"ada"}, grants) == ("USE SCHEMA", SCHEMA)
    grants[("ada", SCHEMA)] = frozenset({"USE SCHEMA"})
    assert missing("SELECT", "table", TABLE, {"ada"}, grants) is None
    assert missing("MODIFY", "table", TABLE, {"ada"}, grants) == ("MODIFY", TABLE)


@pytest.mark.parametrize("level", [CATALOG, SCHEMA, TABLE])
def test_a_grant_holds_for_all_below_it(level: str) -> None:
    grants = {**USE, ("ada", level): USE.get(("ada", level), frozenset()) | {"SELECT"}}
    assert missing("SELECT", "table", TABLE, {"ada"}, grants) is None
    elsewhere = "dev.other.events" if level != CATALOG else "prod.raw.events"
    assert missing("SELECT", "table", elsewhere, {"ada"}, grants) is not None


def test_a_group_holds_it_for_its_members() -> None:
    grants = {("team", CATALOG): frozenset({"USE CATALOG", "USE SCHEMA", "SELECT"})}
    assert missing("SELECT", "table", TABLE, {"ada", "team"}, grants) is None
    assert missing("SELECT", "table", TABLE, {"bob"}, grants) == ("USE CATALOG", CATALOG)


def test_all_privileges_are_all_but_managing_and_reading_secrets() -> None:
    grants = {("ada", CATALOG): frozenset({"ALL PRIVILEGES"})}
    lacking = [p for p in PRIVILEGES if missing(p, "table", TABLE, {"ada"}, grants)]
    assert lacking == ["MANAGE", "READ SECRET"]


def test_an_owner_has_everything_on_the_object_itself_once_the_way_is_open() -> None:
    owners = {TABLE: "ada"}
    assert missing("SELECT", "table", TABLE, {"ada"}, {}, owners) == ("USE CATALOG", CATALOG)
    assert missing("MANAGE", "table", TABLE, {"ada"}, USE, owners) is None
    assert missing("MODIFY", "table", TABLE, {"ada"}, USE, owners) is None


def test_owning_the_parent_manages_but_gives_no_data() -> None:
    owners = {SCHEMA: "ada", CATALOG: "root"}
    assert missing("MANAGE", "table", TABLE, {"ada"}, USE, owners) is None
    assert missing("SELECT", "table", TABLE, {"ada"}, USE, owners) == ("SELECT", TABLE)


def test_owners_above_manage_and_drop_what_is_below() -> None:
    assert missing("MANAGE", "table", TABLE, {"ada"}, {}, {CATALOG: "ada"}) is None
    assert missing("MANAGE", "table", TABLE, {"ada"}, {}, {SCHEMA: "ada"}) == ("USE CATALOG", CATALOG)
    assert missing("MANAGE", "table", TABLE, {"ada"}, {}, {METASTORE: "ada"}) is not None


def test_the_owner_of_the_metastore_grants_everywhere_and_reads_nothing_by_that() -> None:
    held = line("table", TABLE, {}, {METASTORE: "root"})
    assert privileges.may_grant(held, frozenset({"root"}))
    assert privileges.sees(held, frozenset({"root"}))
    assert privileges.missing("SELECT", held, frozenset({"root"})) == ("USE CATALOG", CATALOG)


def test_making_something_in_a_schema_takes_its_use_too() -> None:
    grants = {("ada", CATALOG): frozenset({"USE CATALOG", "CREATE TABLE"})}
    assert missing("CREATE TABLE", "schema", SCHEMA, {"ada"}, grants) == ("USE SCHEMA", SCHEMA)
    assert missing("CREATE TABLE", "schema", SCHEMA, {"ada"}, grants, {SCHEMA: "ada"}) is None


def test_browse_shows_what_there_is_without_the_way_to_it_and_no_more() -> None:
    held = line("table", TABLE, {("ada", CATALOG): frozenset({"BROWSE"})})
    assert privileges.sees(held, frozenset({"ada"}))
    assert privileges.missing("SELECT", held, frozenset({"ada"})) == ("USE CATALOG", CATALOG)


def test_a_jobs_project_stands_between_it_and_the_environment() -> None:
    above = ("catalog", "prod"), ("metastore", METASTORE)
    assert privileges.chain("job", "prod.load", "prod.ingest") == (("job", "prod.load"), ("project", "prod.ingest"), *above)
    assert privileges.chain("job", "prod.load") == (("job", "prod.load"), *above)


@pytest.mark.parametrize(
    ("privilege", "kind", "fits"),
    [("SELECT", "catalog", True), ("SELECT", "model", False), ("SELECT", "metastore", False), ("RUN", "project", True),
     ("MANAGE", "metastore", True),
     ("CREATE CATALOG", "metastore", True), ("CREATE CATALOG", "catalog", False), ("READ FILES", "external_location", True),
     ("USE SCHEMA", "catalog", True), ("USE CATALOG", "schema", False), ("MANAGE", "volume", True)],
)  # fmt: skip
def test_a_privilege_is_granted_where_it_means_something(privilege: str, kind: str, fits: bool) -> None:
    if fits:
        privileges.check_grantable(privilege, kind)
    else:
        with pytest.raises(InvalidInput, match=f"{privilege} cannot be granted on a {kind}; it can on a"):
            privileges.check_grantable(privilege, kind)


def test_an_explanation_names_each_privilege_and_the_grant_it_comes_from() -> None:
    grants = {("team", CATALOG): frozenset({"USE CATALOG", "USE SCHEMA"}), ("ada", SCHEMA): frozenset({"ALL PRIVILEGES"})}
    steps = privileges.explain("SELECT", line("table", TABLE, grants), frozenset({"ada", "team"}))
    by_ada = privileges.Reason("ada", "ALL PRIVILEGES", "schema", SCHEMA)
    assert [(s.privilege, s.securable, s.reason) for s in steps] == [
        ("USE CATALOG", CATALOG, privileges.Reason("team", "USE CATALOG", "catalog", CATALOG)),
        ("USE SCHEMA", SCHEMA, by_ada), ("SELECT", TABLE, by_ada),
    ]  # fmt: skip
    assert privileges.explain("MODIFY", line("table", TABLE, {}), frozenset({"ada"}))[-1].reason is None


def test_effective_grants_name_where_each_was_given() -> None:
    grants = {("team", CATALOG): frozenset({"SELECT", "RUN"}), ("ada", TABLE): frozenset({"MODIFY"})}
    found = privileges.effective(line("table", TABLE, grants, {TABLE: "olga"}))
    assert {(r.principal, r.privilege, r.securable) for r in found} == {
        ("olga", "OWNER", TABLE), ("ada", "MODIFY", TABLE), ("team", "SELECT", CATALOG),
    }  # fmt: skip


def test_jobs_and_endpoints_hang_below_their_environment() -> None:
    assert privileges.chain("endpoint", "prod.delay")[:2] == (("endpoint", "prod.delay"), ("catalog", "prod"))
    grants = {("ada", "prod"): frozenset({"USE CATALOG"}), ("ada", "prod.delay"): frozenset({"QUERY"})}
    assert missing("QUERY", "endpoint", "prod.delay", {"ada"}, grants) is None
    assert missing("QUERY", "endpoint", "prod.other", {"ada"}, grants) == ("QUERY", "prod.other")


@pytest.mark.parametrize("spelled", ["use_catalog", " Use Catalog ", "USE CATALOG"])
def test_a_privilege_has_several_spellings(spelled: str) -> None:
    assert privileges.normal(spelled) == "USE CATALOG"


@pytest.mark.parametrize("spelled", ["", "READ", "select;", "'SELECT'"])
def test_an_unknown_privilege_is_refused_with_those_there_are(spelled: str) -> None:
    with pytest.raises(InvalidInput, match=r"is no privilege; they are USE CATALOG"):
        privileges.normal(spelled)
