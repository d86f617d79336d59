"""polars.Catalog: `works` reads, makes, writes and drops as the operator; `reads` lists; `denied` is refused."""

import json
import os
import sys

import polars as pl

catalog = pl.Catalog(os.environ["URL"], bearer_token=os.environ["TOKEN"], require_https=False)
said: dict[str, object] = {}


def refused(act: object) -> str:
    try:
        act()  # type: ignore[operator]
    except Exception as error:
        return str(error)
    return "done"


if sys.argv[1] == "works":
    said["catalogs"] = [c.name for c in catalog.list_catalogs()]
    said["schemas"] = [n.name for n in catalog.list_namespaces("dev")]
    said["many"] = len(catalog.list_tables("dev", "many"))
    said["columns"] = [(c.name, c.type_name) for c in catalog.get_table_info("dev", "lab", "trips").columns or []]
    said["rows"] = catalog.scan_table("dev", "lab", "trips").sort("id").collect().to_dicts()
    catalog.create_namespace("dev", "polars", comment="made by Polars")
    made = catalog.create_table("dev", "polars", "counts", schema={"k": pl.String, "n": pl.Int64}, table_type="MANAGED",
                                data_source_format="DELTA", comment="counts")  # fmt: skip
    said["made"] = [made.name, made.table_type, bool(made.storage_location)]
    frame = pl.DataFrame({"k": ["a", "b"], "n": [1, 2]})
    catalog.write_table(frame, "dev", "polars", "counts", delta_mode="append")
    catalog.write_table(frame.head(1), "dev", "polars", "counts", delta_mode="append")
    said["written"] = catalog.scan_table("dev", "polars", "counts").collect()["n"].sum()
    outside = {"schema": {"n": pl.Int64}, "table_type": "EXTERNAL", "data_source_format": "DELTA"}
    place = os.environ["OUTSIDE"] + "/numbers"
    elsewhere = "file:///tmp/elsewhere/x"
    said["elsewhere"] = refused(lambda: catalog.create_table("dev", "polars", "x", storage_root=elsewhere, **outside))
    pl.DataFrame({"n": [1, 2, 3]}).write_delta(place)
    made = catalog.create_table("dev", "polars", "numbers", storage_root=place, **outside)
    said["external"] = [made.table_type, catalog.scan_table("dev", "polars", "numbers").collect()["n"].sum()]
    catalog.delete_table("dev", "polars", "numbers")
    said["stays"] = pl.read_delta(place)["n"].sum()
    said["masked"] = refused(lambda: catalog.scan_table("dev", "lab", "people").collect())
    catalog.delete_table("dev", "polars", "counts")
    catalog.delete_namespace("dev", "polars")
    said["left"] = [n.name for n in catalog.list_namespaces("dev")]
elif sys.argv[1] == "reads":
    said["tables"] = [t.name for t in catalog.list_tables("dev", "lab")]
    said["scan"] = refused(lambda: catalog.scan_table("dev", "lab", "trips").collect())
else:
    said["catalogs"] = [c.name for c in catalog.list_catalogs()]
    said["tables"] = refused(lambda: catalog.list_tables("dev", "lab"))
    said["table"] = refused(lambda: catalog.get_table_info("dev", "lab", "trips"))
    said["drop"] = refused(lambda: catalog.delete_table("dev", "lab", "trips"))
print(json.dumps(said))
