"""Clones hold what was asked for, under the grants, masks and filters that hold anyway."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.catalog import Clone, Cloner, CloneSpec, TableSpec
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import Engine

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
DAWN = datetime(2013, 1, 1, tzinfo=UTC)
PEOPLE, TRIPS = 400, 3000


@pytest.fixture
def cloner(world: Any, tmp_path: Path) -> Cloner:
    world.access.grant("root", ["readers"], ["CREATE SCHEMA"], "catalog", "dev")
    return Cloner(world.catalog, world.desk, tmp_path / "clones")


def rows(world: Any, name: str, columns: str = "*") -> list[dict[str, Any]]:
    """The rows of a table's files."""
    engine = Engine()
    return engine.relation(f"SELECT {columns} FROM {engine.scan(world.catalog.folder(name).table())} ORDER BY ALL").to_dicts()


def people(world: Any) -> None:
    """People with keys, names, and numbers of every kind."""
    schema = pa.schema([
        ("person", pa.int64()), ("email", pa.string()), ("city", pa.string()), ("height", pa.float64()), ("age", pa.int32()),
        ("born", pa.date32()), ("member", pa.bool_()), ("rain", pa.float64()), ("money", pa.decimal128(12, 2)),
        ("notes", pa.list_(pa.string())),
    ])  # fmt: skip
    made = [
        {"person": 1000 + n, "email": f"person{n}@example.org", "city": ["Oslo", "Rome", "Lima"][n % 3] if n % 7 else None,
         "height": 150 + n * 0.1237, "age": 20 + n % 60, "born": date(1950, 1, 1) + timedelta(days=40 * n),
         "member": n % 4 == 0, "rain": 0.0 if n % 2 else n * 0.01, "money": Decimal(n) * Decimal("10.01"), "notes": ["secret"]}
        for n in range(PEOPLE)
    ]  # fmt: skip
    spec = TableSpec("prod.raw.people", schema, ("person",), constraints={"grown": "age >= 18"}, description="who there is")
    world.catalog.create_table(OWNER, spec)
    world.catalog.folder("prod.raw.people").append(pa.Table.from_pylist(made, schema))


def trips(world: Any) -> None:
    """What people did, when."""
    world.table("prod.raw.trips", {
        "trip": [f"T{n:05}" for n in range(TRIPS)], "person": [1000 + n * 7 % PEOPLE for n in range(TRIPS)],
        "at": [DAWN + timedelta(hours=n) for n in range(TRIPS)], "known": [DAWN + timedelta(hours=n + 1) for n in range(TRIPS)],
        "km": [n * 0.37 for n in range(TRIPS)],
    }, primary_keys=("trip", "at"), event_time="at", known_time="known")  # fmt: skip


def test_a_deep_clone_has_the_rows_of_its_version_and_what_describes_them(world: Any, cloner: Cloner) -> None:
    people(world)
    world.catalog.folder("prod.raw.people").delete("age > 30")
    made = cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.people", version=2))
    assert (made.source_version, made.way, made.rows, made.notes) == (2, "deep", PEOPLE, ())
    assert Clone.from_dict(made.to_dict()) == made
    info = world.catalog.table("dev.raw.people")
    assert (info.primary_keys, info.description, info.owner) == (("person",), "who there is", "olga")
    assert len(rows(world, "dev.raw.people")) == PEOPLE
    with pytest.raises(InvalidInput, match="grown"):
        world.catalog.folder("dev.raw.people").append({"person": [1], "age": [3]})
    assert [e.source for e in world.lineage.edges("dev.raw.people")] == ["prod.raw.people"]


def test_a_shallow_clone_shares_files_until_either_changes(world: Any, cloner: Cloner) -> None:
    people(world)
    assert cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.p", shallow=True)).way == "shallow"
    source, clone = (world.catalog.folder(n) for n in ("prod.raw.people", "dev.raw.p"))
    [old], [new] = (list(f.local.glob("*.parquet")) for f in (source, clone))
    assert old.samefile(new)
    clone.delete("age > 30")
    source.overwrite({"person": [1], "age": [18]})
    source.vacuum(retention_hours=0)
    assert (len(rows(world, "prod.raw.people")), old.exists(), new.exists()) == (1, False, True)
    clone.restore(1)
    assert len(rows(world, "dev.raw.p")) == PEOPLE


def test_samples_of_tables_that_share_keys_keep_the_same_ones(world: Any, cloner: Cloner) -> None:
    people(world)
    trips(world)
    cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.people", sample="25%", seed="1"))
    cloner.clone(OWNER, CloneSpec("prod.raw.trips", "dev.raw.trips", sample="25%", by=("person",), seed="1"))
    kept = {r["person"] for r in rows(world, "dev.raw.people", "person")}
    assert {r["person"] for r in rows(world, "dev.raw.trips", "person")} == kept
    assert 60 < len(kept) < 140
    cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.few", sample="10", seed="1"))
    assert {r["person"] for r in rows(world, "dev.raw.few", "person")} < kept
    cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.other", sample="25%", seed="2"))
    assert {r["person"] for r in rows(world, "dev.raw.other", "person")} != kept


def guarded(world: Any) -> None:
    people(world)
    world.catalog.describe(OWNER, "prod.raw.people", {
        "masks": {"email": "CASE WHEN is_member('admins') THEN email ELSE 'x' END",
                  "city": "CASE WHEN is_member('readers') THEN NULL ELSE city END"},
        "row_filter": "age < 30 OR is_member('admins')",
    })  # fmt: skip
    for who in ("admins", "readers"):
        world.access.grant("root", [who], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "prod")


def test_a_clone_of_a_guarded_table_holds_what_its_maker_sees_and_guards_it_alike(world: Any, cloner: Cloner) -> None:
    guarded(world)
    cloner.clone(READER, CloneSpec("prod.raw.people", "dev.mine.people"))
    stored = rows(world, "dev.mine.people", "email, city, age")
    assert ({r["email"] for r in stored}, {r["city"] for r in stored}) == ({"x"}, {None})
    assert max(r["age"] for r in stored) < 30
    info = world.catalog.table("dev.mine.people")
    assert (set(info.masks), info.row_filter) == ({"email", "city"}, "age < 30 OR is_member('admins')")


def test_a_masked_clone_hides_from_whoever_sees_all_and_shows_nobody_more(world: Any, cloner: Cloner) -> None:
    guarded(world)
    admin = Identity("ada", frozenset({"admins"}))
    world.access.grant("root", ["admins"], ["USE CATALOG", "CREATE SCHEMA"], "catalog", "dev")
    cloner.clone(admin, CloneSpec("prod.raw.people", "dev.red.plain"))
    assert len({r["email"] for r in rows(world, "dev.red.plain", "email")}) == PEOPLE
    cloner.clone(admin, CloneSpec("prod.raw.people", "dev.red.masked", mask=True))
    stored = rows(world, "dev.red.masked", "email, age")
    assert ({r["email"] for r in stored}, max(r["age"] for r in stored)) == ({"x"}, 29)
    cloner.clone(READER, CloneSpec("prod.raw.people", "dev.mine.masked", mask=True))
    assert {r["city"] for r in rows(world, "dev.mine.masked", "city")} == {None}


def values(found: list[dict[str, Any]], column: str) -> set[Any]:
    return {row[column] for row in found if row[column] is not None}


def test_a_synthetic_clone_copies_no_row_and_no_identifier_and_its_joins_still_meet(world: Any, cloner: Cloner) -> None:
    people(world)
    trips(world)
    for name in ("people", "trips"):
        cloner.clone(OWNER, CloneSpec(f"prod.raw.{name}", f"dev.fake.{name}", synthetic=True, seed="a secret"))
    real, made = rows(world, "prod.raw.people"), rows(world, "dev.fake.people")
    assert len(made) == len(real)
    for column in ("person", "email", "city", "height", "rain", "born"):
        assert not values(real, column) & values(made, column), column
    assert not {(r["age"], r["money"]) for r in real} & {(r["age"], r["money"]) for r in made}
    assert all(row["notes"] == [] for row in made)
    real_trips, made_trips = rows(world, "prod.raw.trips"), rows(world, "dev.fake.trips")
    for column in ("trip", "person", "at", "known", "km"):
        assert not values(real_trips, column) & values(made_trips, column), column
    assert values(made_trips, "person") == values(made, "person")
    assert len(values(made_trips, "trip")) == TRIPS
    assert all(row["known"] - row["at"] == timedelta(hours=1) for row in made_trips)
    assert sorted(row["at"].weekday() for row in made_trips) == sorted(row["at"].weekday() for row in real_trips)


def test_a_synthetic_clone_keeps_spreads_shares_and_types(world: Any, cloner: Cloner) -> None:
    people(world)
    cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.fake.people", synthetic=True, seed="s"))
    real, made = rows(world, "prod.raw.people"), rows(world, "dev.fake.people")
    assert world.catalog.folder("dev.fake.people").schema() == world.catalog.folder("prod.raw.people").schema()

    def mean(found: list[dict[str, Any]], column: str) -> float:
        return sum(float(row[column] or 0) for row in found) / len(found)

    for column, tolerance in (("height", 5), ("age", 5), ("rain", 0.4), ("money", 300), ("member", 0.1)):
        assert abs(mean(real, column) - mean(made, column)) < tolerance, column
    assert values(made, "city") == {"city_1", "city_2", "city_3"}
    assert abs(sum(row["city"] is None for row in made) - PEOPLE / 7) < 30
    assert all(min(values(real, c)) <= v <= max(values(real, c)) for c in ("height", "age") for v in values(made, c))


def test_without_a_seed_no_two_clones_map_keys_alike(world: Any, cloner: Cloner) -> None:
    people(world)
    keys = []
    for name in ("one", "two"):
        cloner.clone(OWNER, CloneSpec("prod.raw.people", f"dev.fake.{name}", synthetic=True))
        keys.append(values(rows(world, f"dev.fake.{name}", "person"), "person"))
    assert not keys[0] & keys[1]


def test_columns_can_be_named_as_keys_and_samples_made_up(world: Any, cloner: Cloner) -> None:
    people(world)
    spec = CloneSpec("prod.raw.people", "dev.fake.p", synthetic=True, keys=("email",), sample="50", seed="s")
    assert cloner.clone(OWNER, spec).rows == 50
    assert len(values(rows(world, "dev.fake.p", "email"), "email")) == 50


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"shallow": True, "sample": "10%"}, "shallow clone shares the files"),
        ({"sample": "a few"}, "'a few' is no sample"), ({"sample": "0%"}, "no sample"), ({"sample": "-3"}, "no sample"),
        ({"by": ("person",)}, "say `sample` too"), ({"keys": ("email",)}, "say `synthetic` too"),
        ({"sample": "5", "by": ("persn",)}, "no column 'persn' to sample by"),
        ({"synthetic": True, "keys": ("mail",)}, "no column 'mail' to map"), ({"mask": True}, "no masks and no filter"),
        ({"target": "prod.raw.people"}, "onto itself"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_and_leaves_nothing(
    world: Any, cloner: Cloner, wish: dict[str, Any], reason: str
) -> None:
    people(world)
    with pytest.raises(InvalidInput, match=reason):
        cloner.clone(OWNER, CloneSpec("prod.raw.people", **{"target": "dev.raw.people", **wish}))
    with pytest.raises(NotFound):
        world.catalog.table("dev.raw.people")


def test_grants_hold_on_both_sides(world: Any, cloner: Cloner) -> None:
    people(world)
    with pytest.raises(NotPermitted, match="USE CATALOG on prod"):
        cloner.clone(Identity("sam"), CloneSpec("prod.raw.people", "dev.raw.people"))
    world.access.grant("root", ["sam"], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "prod")
    with pytest.raises(NotPermitted):
        cloner.clone(Identity("sam"), CloneSpec("prod.raw.people", "dev.raw.people"))
    with pytest.raises(AlreadyExists):
        cloner.clone(OWNER, CloneSpec("prod.raw.people", world.table("dev.raw.taken", {"a": [1]}).name))
    assert rows(world, "dev.raw.taken") == [{"a": 1}]
    with pytest.raises(NotFound, match="version 9"):
        cloner.clone(OWNER, CloneSpec("prod.raw.people", "dev.raw.people", version=9))
    run = Identity("olga", environment="dev", run_id="r1")
    with pytest.raises(Conflict, match="a run writes its own environment"):
        cloner.clone(run, CloneSpec("prod.raw.people", "prod.raw.again"))
