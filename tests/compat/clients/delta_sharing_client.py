"""delta-sharing over a profile file: lists, snapshots, time travel, hints, changes; `denied` with a profile that is over."""

import json
import sys
import tempfile
from pathlib import Path

import delta_sharing
from delta_sharing.protocol import DeltaSharingProfile

profile_file = Path(sys.argv[2])
client = delta_sharing.SharingClient(str(profile_file))
client._rest_client._num_retries = 0
said: dict[str, object] = {}


def load(table: str, **options: object) -> list[dict[str, object]]:
    frame = delta_sharing.load_as_pandas(f"{profile_file}#{table}", **options)
    return json.loads(frame.sort_values(frame.columns[0]).to_json(orient="records", date_format="iso"))


def refused(act: object) -> str:
    try:
        act()  # type: ignore[operator]
    except Exception as error:
        return str(error)
    return "done"


def works() -> None:
    said["shares"] = [s.name for s in client.list_shares()]
    said["schemas"] = [s.name for s in client.list_schemas(client.list_shares()[0])]
    said["tables"] = sorted(f"{t.schema}.{t.name}" for t in client.list_all_tables())
    said["rows"] = load("lab.lab.trips")
    said["version"] = delta_sharing.get_table_version(f"{profile_file}#lab.lab.trips")
    said["since"] = delta_sharing.get_table_version(f"{profile_file}#lab.lab.trips", starting_timestamp="2020-01-01T00:00:00Z")
    said["first"] = load("lab.lab.trips", version=1)
    said["limit"] = len(load("lab.lab.trips", limit=2))
    said["by_day"] = load("lab.lab.days")
    hints = json.dumps({"op": "equal", "children": [{"op": "column", "name": "day", "valueType": "date"},
                                                    {"op": "literal", "value": "2026-01-02", "valueType": "date"}]})  # fmt: skip
    said["hinted"] = load("lab.lab.days", jsonPredicateHints=hints)
    said["masked"] = load("lab.lab.people")
    said["masked_before"] = load("lab.lab.people", version=0)
    said["odd"] = load("lab.public.odd")
    changes = delta_sharing.load_table_changes_as_pandas(f"{profile_file}#lab.lab.trips", starting_version=1, ending_version=2)
    said["changes"] = sorted([r["_change_type"], r["_commit_version"], r["id"]] for r in changes.to_dict("records"))
    columns = delta_sharing.get_table_metadata(f"{profile_file}#lab.lab.days")
    said["partitions"] = list(columns.partition_columns)


def denied() -> None:
    said["shares"] = refused(client.list_shares)
    body = json.loads(profile_file.read_text()) | {"bearerToken": "bhd_guess"}
    guessed = Path(tempfile.mkdtemp()) / "guessed.share"
    guessed.write_text(json.dumps(body))
    said["guessed"] = refused(delta_sharing.SharingClient(str(guessed)).list_shares)
    said["expires"] = bool(DeltaSharingProfile.read_from_file(str(profile_file)).expiration_time)


def outside() -> None:
    said["unlisted"] = refused(lambda: load("lab.lab.secret"))
    said["other_share"] = refused(lambda: load("other.lab.trips"))
    said["masked_changes"] = refused(
        lambda: delta_sharing.load_table_changes_as_pandas(f"{profile_file}#lab.lab.people", starting_version=0)
    )


globals()[sys.argv[1]]()
print(json.dumps(said))
