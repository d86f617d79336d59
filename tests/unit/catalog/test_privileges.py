"""Who may do what, as a pure function over grants."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boathouse.catalog import PRIVILEGES, privileges
from boathouse.errors import InvalidInput

Grants = Mapping[tuple[str, str], frozenset[str]]
"""(who, securable's name) -> privileges granted on exactly that securable."""
Owners = Mapping[str, str]

CATALOG, SCHEMA, TABLE = "dev", "dev.raw", "dev.raw.events"
USE = {("ada", CATALOG): frozenset({"USE CATALOG", "USE SCHEMA"})}


def missing(
    privilege: str, kind: str, name: str, who: set[str], grants: Grants, owners: Owners | None = None
) -> tuple[str, str] | None:
    return privileges.missing(
        privilege,
        privileges.chain(kind, name),
        frozenset(who),
        lambda p, _, n: {holder for (holder, on), held in grants.items() if on == n and p in held},
        lambda _, n: (owners or {}).get(n),
    )


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


def test_all_privileges_are_all_but_manage() -> None:
    grants = {("ada", CATALOG): frozenset({"ALL PRIVILEGES"})}
    lacking = [p for p in PRIVILEGES if missing(p, "table", TABLE, {"ada"}, grants)]
    assert lacking == ["MANAGE"]


def test_an_owner_has_everything_on_the_object_itself_once_the_way_is_open() -> None:
    owners = {TABLE: "ada"}
    assert missing("SELECT", "table", TABLE, {"ada"}, {}, owners) == ("USE CATALOG", CATALOG)
    assert missing("MANAGE", "table", TABLE, {"ada"}, USE, owners) is None
    assert missing("MODIFY", "table", TABLE, {"ada"}, USE, owners) is None


def test_owning_the_parent_manages_but_gives_no_data() -> None:
    owners = {SCHEMA: "ada", CATALOG: "root"}
    assert missing("MANAGE", "table", TABLE, {"ada"}, USE, owners) is None
    assert missing("SELECT", "table", TABLE, {"ada"}, USE, owners) == ("SELECT", TABLE)


def test_jobs_and_endpoints_hang_below_their_environment() -> None:
    assert privileges.chain("endpoint", "prod.delay") == [("endpoint", "prod.delay"), ("catalog", "prod")]
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


PEOPLE = ("ada", "bob", "team", "crowd")
NAMES = {
    "dev": "catalog", "prod": "catalog", "dev.raw": "schema", "dev.gold": "schema", "prod.raw": "schema",
    "dev.raw.events": "table", "dev.gold.daily": "table", "prod.raw.events": "table", "dev.gold.delay": "model",
    "dev.ask": "endpoint", "prod.train": "job",
}  # fmt: skip
held = st.frozensets(st.sampled_from(PRIVILEGES), max_size=4)
grant_sets = st.dictionaries(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(sorted(NAMES))), held, max_size=8
)
owner_sets = st.dictionaries(st.sampled_from(sorted(NAMES)), st.sampled_from(PEOPLE), max_size=4)


def parents(name: str) -> list[str]:
    """All above a name, outermost first; what has two levels and is no schema has only its catalog."""
    levels = name.split(".")
    return [".".join(levels[:i]) for i in range(1, len(levels))]


def granted(privilege: str, name: str, who: set[str], grants: Grants) -> bool:
    for place in [*parents(name), name]:
        for person in who:
            on_it = grants.get((person, place), frozenset())
            if privilege in on_it or ("ALL PRIVILEGES" in on_it and privilege != "MANAGE"):
                return True
    return False


def may(privilege: str, name: str, who: set[str], grants: Grants, owners: Owners) -> bool:
    """The rules, word by word and slowly."""
    for above in parents(name):
        use = "USE SCHEMA" if NAMES[above] == "schema" else "USE CATALOG"
        if owners.get(above) not in who and not granted(use, above, who, grants):
            return False
    owns = owners.get(name) in who
    manages = privilege == "MANAGE" and any(owners.get(above) in who for above in parents(name))
    return owns or manages or granted(privilege, name, who, grants)


@settings(max_examples=400, deadline=None)
@given(
    privilege=st.sampled_from(PRIVILEGES), name=st.sampled_from(sorted(NAMES)),
    who=st.sets(st.sampled_from(PEOPLE), min_size=1), grants=grant_sets, owners=owner_sets,
)  # fmt: skip
def test_the_answer_is_that_of_the_rules_for_any_grants(
    privilege: str, name: str, who: set[str], grants: Grants, owners: Owners
) -> None:
    lacking = missing(privilege, NAMES[name], name, who, grants, owners)
    assert (lacking is None) == may(privilege, name, who, grants, owners)
    if lacking:
        assert lacking[1] in [*parents(name), name]
        more = {**grants, ("ada", lacking[1]): grants.get(("ada", lacking[1]), frozenset()) | {lacking[0]}}
        assert missing(privilege, NAMES[name], name, who | {"ada"}, more, owners) != lacking
