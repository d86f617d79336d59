"""One refresh of a monitor: unpack new requests, join late labels, and recompute the windows they touched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from boathouse import clock
from boathouse.catalog import Table
from boathouse.clock import parse_instant
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.monitoring.bins import bin_edges
from boathouse.monitoring.columns import literal, quoted
from boathouse.monitoring.drift import drift
from boathouse.monitoring.profile import profile
from boathouse.monitoring.spec import MonitorSpec
from boathouse.monitoring.unpack import unpack
from boathouse.monitoring.windows import Window, parse_granularity, touched
from boathouse.scoring import CLASS_PROBABILITIES

_BINS_TAG = "boathouse.bins"
_NOT_PROFILED = ("request_id", "row", "source", "feature_versions", "label_time", "mode", CLASS_PROBABILITIES)
_BASELINE_ROWS = 20_000


@dataclass(frozen=True)
class Refresh:
    """What a refresh did."""

    unpacked: int
    labelled: int
    windows: int

    def __str__(self) -> str:
        return f"{self.unpacked} requests unpacked, {self.labelled} labels joined, {self.windows} windows recomputed"


def refresh(context: Context, definition: Mapping[str, Any], as_of: str | None = None) -> Refresh:
    """Bring a monitor's gold tables up to date. `as_of` (ISO) hides labels that became known later."""
    spec = spec_of(definition)
    moment = parse_instant(as_of) if as_of else None
    unpacked = unpack(context, definition["table_name"]) if spec.label_col else 0
    watched = context.table(definition["table_name"])
    labelled = join_labels(context, watched, definition.get("labels"), moment)
    windows = _touched(context, watched, spec)
    recomputed = _recompute(context, watched, spec, windows) if windows is None or windows else 0
    return Refresh(unpacked, labelled, recomputed)


def spec_of(definition: Mapping[str, Any]) -> MonitorSpec:
    """The monitor as the pure functions take it."""
    log = definition.get("inference_log") or {}
    series = definition.get("time_series") or {}
    problem = str(log.get("problem_type") or "").removeprefix("PROBLEM_TYPE_").lower() or None
    return MonitorSpec(
        definition["table_name"], problem, log.get("timestamp_col") or series.get("timestamp_col"),  # type: ignore[arg-type]
        tuple(log.get("granularities") or series.get("granularities") or ("1 day", "1 week")),
        prediction_col=log.get("prediction_col"), prediction_proba_col=log.get("prediction_proba_col"),
        label_col=log.get("label_col"), model_id_col=log.get("model_id_col"),
        slicing_exprs=tuple(definition.get("slicing_exprs") or ()), baseline=definition.get("baseline_table_name"),
        output_schema=definition.get("output_schema_name"),
    )  # fmt: skip


def join_labels(
    context: Context, watched: Table, labels: Mapping[str, Any] | None, as_of: datetime | None
) -> int:
    """Give predictions the outcome that has become known since: {table, keys, label, known_time}; how many got one.

    Of several outcomes of one prediction the one that became known last counts; one that came after the prediction had
    its label replaces it. Where no time says which is newer, that takes a table with one row a key.
    """
    if not labels:
        return 0
    missing = [k for k in ("table", "keys", "label") if not labels.get(k)]
    if missing:
        raise InvalidInput(
            f"the monitor's labels need {missing[0]!r}: table, keys, label, and known_time"
        )
    source = context.table(labels["table"])
    _check_keys(watched, source, labels)
    kept = _label_type(context, watched, source, str(labels["label"]))
    known = labels.get("known_time") or source.info.known_time
    keys = " AND ".join(f"s.{quoted(k)} = l.{quoted(k)}" for k in labels["keys"])
    label = f"l.{quoted(labels['label'])}::{kept}"
    newest, time = (f"arg_max({label}, l.{quoted(known)})", f"l.{quoted(known)}") if known else (f"any_value({label})", "now()")
    until = f" AND {time} <= TIMESTAMPTZ '{as_of.isoformat()}'" if known and as_of else ""
    one_a_key = bool(source.info.primary_keys) and set(source.info.primary_keys) <= set(labels["keys"])
    corrected = f"{time} > s.label_time" if known else f"s.label_time IS NOT NULL AND {one_a_key}"
    query = f"""
        SELECT s.request_id, s.row, {newest} AS label, max({time}) AS label_time
        FROM {watched.scan()} s JOIN {source.scan()} l ON {keys}
        WHERE (s.label IS NULL OR {corrected}) AND l.{quoted(labels["label"])} IS NOT NULL{until}
        GROUP BY s.request_id, s.row HAVING any_value(s.label) IS DISTINCT FROM {newest}
    """
    found = context.engine.relation(query).to_arrow()
    if found.num_rows:
        watched.fill(found, ["request_id", "row"], ["label", "label_time"])
    return int(found.num_rows)


def _check_keys(watched: Table, source: Table, labels: Mapping[str, Any]) -> None:
    """Raises InvalidInput naming the column that finds labels and is missing on one side."""
    asked = [(source, [*labels["keys"], labels["label"], *([labels["known_time"]] if labels.get("known_time") else [])])]
    for table, wanted in [*asked, (watched, labels["keys"])]:
        known = [*table.schema().names]
        if missing := [name for name in wanted if name not in known]:
            hint = "; a request may carry columns that the model does not take" if table is watched else ""
            raise InvalidInput(
                f"the monitor's labels are found by {', '.join(labels['keys'])}, and {table.name} has no column {missing[0]!r} "
                f"(it has {', '.join(known)}){hint}"
            )


def _label_type(context: Context, watched: Table, source: Table, label: str) -> str:
    """In which type a label stands beside its prediction. Raises InvalidInput where a text stands for a number."""
    if pa.types.is_string(watched.schema().field("label").type):
        return "VARCHAR"
    query = f"SELECT any_value({quoted(label)}) FROM {source.scan()} WHERE TRY_CAST({quoted(label)} AS DOUBLE) IS NULL"
    [[odd]] = context.engine.connection.sql(query).fetchall()
    if odd is not None:
        raise InvalidInput(
            f"{source.name}.{label} holds {odd!r} and {watched.name} keeps predictions as numbers: label with the numbers that "
            f"the model predicts, or train it on texts"
        )
    return "DOUBLE"


def _with_positive(context: Context, relation: str, spec: MonitorSpec, watched: Table) -> MonitorSpec:
    """Of classes that are texts, the one that probabilities are of: what is predicted where they are highest.

    Of three and more classes each has its probability. Where no row has any, quality is that of classes alone.
    """
    score, predicted = spec.prediction_proba_col, spec.prediction_col
    kinds = {field.name: field.type for field in watched.schema()}
    if CLASS_PROBABILITIES in kinds and spec.problem_type == "classification":
        return replace(spec, prediction_proba_col=None, class_probas_col=CLASS_PROBABILITIES)
    if not (score and predicted and spec.label_col) or not {score, predicted, spec.label_col} <= kinds.keys():
        return spec
    if not any(pa.types.is_string(kinds[name]) for name in (predicted, spec.label_col)):
        return spec
    s, p, label = quoted(score), quoted(predicted), quoted(spec.label_col)
    query = f"SELECT max({s}), arg_max({p}, {s})::VARCHAR, arg_min({p}, {s})::VARCHAR FROM {relation} WHERE {s} IS NOT NULL"
    [(highest, at_highest, at_lowest)] = context.engine.connection.sql(query).fetchall()
    if highest is None:
        return replace(spec, prediction_proba_col=None)
    if highest > 0.5:
        return replace(spec, positive=at_highest)
    other = f"SELECT any_value({label})::VARCHAR FROM {relation} WHERE {label}::VARCHAR <> {literal(at_lowest)}"
    [(found,)] = context.engine.connection.sql(other).fetchall()
    return replace(spec, prediction_proba_col=None) if found is None else replace(spec, positive=found)


def _touched(context: Context, watched: Table, spec: MonitorSpec) -> list[Window] | None:
    """Windows with rows that are new or changed since the last refresh; None means all."""
    gold = spec.gold[0]
    if not spec.timestamp_col or not context.table_exists(gold):
        return None
    done = context.table(gold).transaction_version(spec.table)
    if done is None:
        return None
    changes = watched.changes(done).select(quoted(spec.timestamp_col)).to_arrow()
    if not changes.num_rows:
        return []
    times = pc.unique(changes.column(spec.timestamp_col)).drop_null().to_pylist()
    return touched(times, spec.granularities)


def _recompute(context: Context, watched: Table, spec: MonitorSpec, windows: Sequence[Window] | None) -> int:
    """Profile the windows anew, all of them without `windows`; how many."""
    engine, version = context.engine, watched.version
    columns = tuple(c.name for c in watched.info.columns if c.name not in _NOT_PROFILED)
    numeric = [c.name for c in watched.info.columns if c.name in columns and c.type in _NUMBERS]
    relation = f"(SELECT * FROM {watched.scan()})"
    spec = _with_positive(context, relation, replace(spec, columns=columns), watched)
    gold = _gold(context, spec.gold[0])
    edges, baseline = _baseline(context, spec, relation, numeric, gold)
    fresh = profile(engine.connection, relation, spec, windows, commit_version=version, bins=edges,
                    taken_at=clock.now() if spec.kind == "snapshot" else None)  # fmt: skip
    if gold is None:
        rows = pa.concat_tables([baseline, fresh])
        gold = context.create_table(
            spec.gold[0], rows.schema, description=f"Profile of {spec.table} by window",
            tags={_BINS_TAG: json.dumps(edges)}, exists_ok=True,
        )  # fmt: skip
    else:
        rows = pa.concat_tables([_without(gold.read().to_arrow().cast(fresh.schema), windows), fresh])
    sources: list[str | tuple[str, int | str | None]] = [(watched.name, version), gold.name]
    sources += [spec.baseline] if spec.baseline else []
    commit = gold.overwrite(rows, sources=sources)
    _compare(context, spec, rows, windows, (gold.name, commit.version))
    gold.append(rows.slice(0, 0), transaction=(spec.table, version), sources=())  # last: until then a refresh starts over
    starts = pc.struct_field(fresh.column("window"), "start").to_pylist()
    return len(set(zip(fresh.column("granularity").to_pylist(), starts, strict=True)))


def _compare(context: Context, spec: MonitorSpec, profiles: pa.Table, windows: Sequence[Window] | None,
             profile_version: tuple[str, int]) -> None:  # fmt: skip
    """Drift of the windows that changed, and of those right after them, which are compared with them."""
    kinds = profiles.column("log_type")
    inputs, baseline = (profiles.filter(pc.equal(kinds, kind)) for kind in ("INPUT", "BASELINE"))
    fresh = drift(inputs, baseline, windows=windows)
    name = spec.gold[1]
    table = context.create_table(
        name, fresh.schema, exists_ok=True, description=f"Drift of {spec.table} between windows and against the baseline"
    )
    if windows is not None:
        after = [(g, parse_granularity(g).end(start)) for g, start in windows]
        fresh = pa.concat_tables([_without(table.read().to_arrow().cast(fresh.schema), [*windows, *after]), fresh])
    table.overwrite(fresh, sources=[profile_version, table.name])


def _gold(context: Context, name: str) -> Table | None:
    return context.table(name) if context.table_exists(name) else None


def _baseline(context: Context, spec: MonitorSpec, relation: str, numeric: Sequence[str],
              gold: Table | None) -> tuple[dict[str, Any], pa.Table]:  # fmt: skip
    """Bin edges, fixed at the first refresh so that counts stay comparable, and the baseline's profile."""
    if gold:
        return json.loads(gold.info.tags[_BINS_TAG]), None
    if spec.baseline:
        source = f"(SELECT * FROM {context.table(spec.baseline).scan()})"
    elif spec.timestamp_col:
        source = f'(SELECT * FROM {relation} ORDER BY "{spec.timestamp_col}" LIMIT {_BASELINE_ROWS})'
    else:
        source = relation
    connection = context.engine.connection
    present = [c for c in numeric if c in connection.sql(f"SELECT * FROM {source}").columns]
    edges = {c: list(e) for c, e in bin_edges(connection, source, present).items()}
    return edges, profile(connection, source, spec, log_type="BASELINE", bins=edges)


def _without(known: pa.Table, windows: Sequence[Window] | None) -> pa.Table:
    """The rows of windows that were not recomputed, and the baseline's."""
    if windows is None:
        return known.filter(pc.is_null(known.column("granularity")))
    gone = set(windows)
    starts = pc.struct_field(known.column("window"), "start").to_pylist()
    kept = [(g, s) not in gone for g, s in zip(known.column("granularity").to_pylist(), starts, strict=True)]
    return known.filter(pa.array(kept))


_NUMBERS = ("double", "float", "int", "bigint", "smallint", "tinyint")
