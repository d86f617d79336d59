"""External locations and tables: who may register what, and the places that nobody may."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from boathouse.catalog import METASTORE, Catalog, Locations, TableSpec
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotPermitted, SchemaMismatch
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Storages, schema_of, storage_at

ADMIN, OLGA, SAM = Identity("root"), Identity("olga"), Identity("sam")


@pytest.fixture
def catalog(world: Any, database: Database, tmp_path: Path) -> Catalog:
    made = Catalog(
        database, world.access, world.audit, world.lineage, world.outbox, Storages(storage_at(str(tmp_path / "lake"))),
        kept_from=[tmp_path / "home"],
    )  # fmt: skip
    made.adopt("metastore", METASTORE, "root")
    (tmp_path / "landing").mkdir()
    (tmp_path / "lake").mkdir(exist_ok=True)
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    return made


@pytest.fixture
def locations(catalog: Catalog) -> Locations:
    return Locations(catalog)


@pytest.fixture
def landing(locations: Locations, catalog: Catalog, tmp_path: Path) -> Path:
    """A location where olga may register tables."""
    locations.create(ADMIN, "landing", str(tmp_path / "landing"))
    catalog.access.grant("root", ["olga"], ["CREATE EXTERNAL TABLE"], "external_location", "landing")
    return tmp_path / "landing"


def written(folder: Path, rows: int = 2) -> str:
    """A table that another program wrote."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_deltalake(str(folder), pa.table({"id": list(range(rows)), "who": ["x"] * rows}))
    return str(folder)


def test_a_table_written_elsewhere_is_registered_and_read(catalog: Catalog, landing: Path) -> None:
    place = written(landing / "trips")
    info = catalog.create_table(OLGA, TableSpec("dev.raw.trips", location=place))
    assert (info.table_type, [c.name for c in info.columns]) == ("EXTERNAL", ["id", "who"])
    assert catalog.folder(info).version() == 0


def test_dropping_it_leaves_its_files_and_frees_the_place(catalog: Catalog, landing: Path) -> None:
    place = written(landing / "trips")
    catalog.create_table(OLGA, TableSpec("dev.raw.trips", location=place))
    catalog.drop_table(OLGA, "dev.raw.trips")
    assert (landing / "trips/_delta_log").is_dir()
    catalog.create_table(OLGA, TableSpec("dev.raw.again", location=place))


def test_a_new_table_can_be_made_there(catalog: Catalog, landing: Path) -> None:
    info = catalog.create_table(OLGA, TableSpec("dev.raw.new", schema_of({"id": "int"}), location=str(landing / "new")))
    DeltaFolder(info.location, info.name).append({"id": [1]})
    assert (landing / "new/_delta_log").is_dir()


def test_columns_must_be_those_that_are_there(catalog: Catalog, landing: Path) -> None:
    place = written(landing / "trips")
    with pytest.raises(SchemaMismatch, match="who"):
        catalog.create_table(OLGA, TableSpec("dev.raw.trips", schema_of({"id": "string"}), location=place))


@pytest.mark.parametrize("where", ["nothing", "other files"])
def test_where_no_table_lies_there_is_none(catalog: Catalog, landing: Path, where: str) -> None:
    (landing / "x").mkdir()
    if where == "other files":
        (landing / "x/data.csv").write_text("id\n1\n")
        with pytest.raises(Conflict, match="no Delta table"):
            catalog.create_table(OLGA, TableSpec("dev.raw.x", schema_of({"id": "int"}), location=str(landing / "x")))
    with pytest.raises(NotFound, match="no Delta table"):
        catalog.create_table(OLGA, TableSpec("dev.raw.x", location=str(landing / "x")))


def test_it_takes_the_privilege_on_the_location(catalog: Catalog, landing: Path) -> None:
    catalog.access.grant("root", ["sam"], ["USE CATALOG", "USE SCHEMA", "CREATE SCHEMA", "CREATE TABLE"], "catalog", "dev")
    spec = TableSpec("dev.raw.trips", location=written(landing / "trips"))
    with pytest.raises(InvalidInput, match="no external location that you may use"):
        catalog.create_table(SAM, spec)
    catalog.access.grant("root", ["sam"], ["READ FILES"], "external_location", "landing")
    with pytest.raises(NotPermitted, match="CREATE EXTERNAL TABLE"):
        catalog.create_table(SAM, spec)


@pytest.mark.parametrize("url", ["{tmp}/elsewhere", "/var/data", "s3://bucket/x"])
def test_a_place_in_no_location_is_refused(catalog: Catalog, landing: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="no external location"):
        catalog.create_table(OLGA, TableSpec("dev.raw.x", location=url.format(tmp=tmp_path)))


@pytest.mark.parametrize(
    "url",
    ["{tmp}/lake/prod/raw/secret", "{tmp}/home/secrets", "{tmp}/lake", "{tmp}", "{tmp}/LAKE/prod", "{tmp}/landing/../home",
     "{tmp}/landing/%2e%2e/home", "/etc", "{tmp}/landing/sly/raw"],
)  # fmt: skip
def test_nobody_reaches_the_lakehouse_itself_by_a_path(catalog: Catalog, landing: Path, tmp_path: Path, url: str) -> None:
    (landing / "sly").symlink_to(tmp_path / "lake" / "prod")
    with pytest.raises(InvalidInput):
        catalog.create_table(OLGA, TableSpec("dev.raw.x", location=url.format(tmp=tmp_path)))


@pytest.mark.parametrize("below", ["trips", "trips/", "trips/day=1", "Trips"])
def test_two_tables_never_share_a_place(catalog: Catalog, landing: Path, below: str) -> None:
    catalog.create_table(OLGA, TableSpec("dev.raw.trips", location=written(landing / "trips")))
    with pytest.raises(Conflict, match="overlaps"):
        catalog.create_table(OLGA, TableSpec("prod.raw.trips", schema_of({"id": "int"}), location=f"{landing}/{below}"))


def test_a_folder_that_becomes_a_link_is_not_followed(catalog: Catalog, landing: Path, tmp_path: Path) -> None:
    secret = catalog.create_table(OLGA, TableSpec("prod.raw.secret", schema_of({"id": "int"})))
    info = catalog.create_table(OLGA, TableSpec("dev.raw.trips", location=written(landing / "trips")))
    (landing / "trips").rename(landing / "aside")
    (landing / "trips").symlink_to(tmp_path / "lake/prod/raw/secret")
    assert catalog.folder(secret).exists()
    with pytest.raises(Conflict, match="symbolic link"):
        catalog.folder(info)


def test_locations_are_made_by_those_who_may(locations: Locations, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="CREATE EXTERNAL LOCATION"):
        locations.create(SAM, "mine", str(tmp_path / "landing"))
    with pytest.raises(NotFound):
        locations.get(SAM, "landing")


@pytest.mark.parametrize("url", ["{tmp}/lake/dev", "{tmp}", "{tmp}/home", "/", "/etc", "lake/dev", "s3://b/../c"])
def test_a_location_never_overlaps_the_lakehouse_or_the_system(locations: Locations, tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput):
        locations.create(ADMIN, "sly", url.format(tmp=tmp_path))


def test_locations_do_not_overlap_and_have_names_of_their_own(locations: Locations, landing: Path) -> None:
    (landing / "deep").mkdir()
    with pytest.raises(Conflict, match="overlaps an external location"):
        locations.create(ADMIN, "deep", str(landing / "deep"))
    with pytest.raises(AlreadyExists):
        locations.create(ADMIN, "landing", str(landing))


def test_a_location_with_tables_is_not_dropped_nor_opened_by_path(
    catalog: Catalog, locations: Locations, landing: Path
) -> None:
    catalog.create_table(OLGA, TableSpec("dev.raw.trips", location=written(landing / "trips")))
    for act in (lambda: locations.drop(ADMIN, "landing"), lambda: locations.open(ADMIN, "landing")):
        with pytest.raises(Conflict, match="lie in landing"):
            act()
    catalog.drop_table(OLGA, "dev.raw.trips")
    assert locations.open(ADMIN, "landing").url == landing.as_uri()
    locations.drop(ADMIN, "landing")
    assert (locations.list(ADMIN), landing.is_dir()) == ([], True)


def test_files_are_opened_by_those_who_may(locations: Locations, landing: Path) -> None:
    with pytest.raises(NotPermitted, match="READ FILES"):
        locations.open(OLGA, "landing")
