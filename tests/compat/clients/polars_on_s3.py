"""polars.Catalog where tables lie on S3: somebody who does not run the server reads and writes with what it hands out."""

import json
import os
import sys

import polars as pl

catalog = pl.Catalog(os.environ["URL"], bearer_token=os.environ["TOKEN"], require_https=False)
store = {"aws_endpoint_url": sys.argv[1], "aws_allow_http": "true", "aws_region": "us-east-1"}
said: dict[str, object] = {}
frame = pl.DataFrame({"id": [5], "city": ["Rome"], "fare": [1.0]})
try:
    said["rows"] = catalog.scan_table("dev", "lab", "trips", storage_options=store).sort("id").collect().to_dicts()
    catalog.write_table(frame, "dev", "lab", "trips", storage_options=store, delta_mode="append")
    said["after"] = catalog.scan_table("dev", "lab", "trips", storage_options=store).select(pl.len()).collect().item()
except Exception as error:
    said["refused"] = str(error)
print(json.dumps(said))
