"""Daft over `unitycatalog`: `works` lists and reads as the operator, `denied` is refused."""

import json
import os
import sys

import daft
from daft.catalog.__unity import UnityCatalogClient

unity = UnityCatalogClient(os.environ["URL"], token=os.environ["TOKEN"])
said: dict[str, object] = {"catalogs": sorted(unity.list_catalogs())}
if sys.argv[1] == "works":
    said["schemas"] = unity.list_schemas("dev")
    said["many"] = len(unity.list_tables("dev.many"))
    table = unity.load_table("dev.lab.trips")
    said["rows"] = daft.read_deltalake(table).sort("id").to_pylist()
    session = daft.catalog.Catalog.from_unity(unity)
    said["through_catalog"] = session.get_table("dev.lab.trips").read().count_rows()
    said["there"] = session.has_table("dev.lab.trips")  # of a table that is not there, Daft itself raises
else:
    for name, act in (("tables", lambda: unity.list_tables("dev.lab")), ("table", lambda: unity.load_table("dev.lab.trips"))):
        try:
            said[name] = str(act())
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
