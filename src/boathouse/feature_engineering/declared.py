"""The client's methods for declared features: declaring, computing, keeping them in tables, filling ranges again."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from boathouse import clock
from boathouse.context import Context
from boathouse.errors import Conflict, InvalidInput, NotFound, Unavailable
from boathouse.feature_engineering import materialized
from boathouse.feature_engineering.absent import given
from boathouse.feature_engineering.entities.materializing import (
    Backfill,
    CronSchedule,
    MaterializedFeature,
    OfflineStoreConfig,
    OnlineStoreConfig,
    StreamingMode,
    Trigger,
)
from boathouse.feature_engineering.publishing import published
from boathouse.features import KEPT
from boathouse.features.declared import (
    DeltaTableSource,
    Feature,
    FeatureAggregations,
    Source,
    backfill,
    computed,
    create,
    expanded,
    grouped,
    refresh,
    standing,
)
from boathouse.lake import Relation

Several = Sequence[Feature | FeatureAggregations] | Feature | FeatureAggregations
"""One or several declared features."""


class DeclaredFeatures(ABC):
    """Methods of the client; see FeatureEngineeringClient."""

    _context: Context

    def create_feature(self, *, source: Source, function: Any, catalog_name: str | None = None, schema_name: str,
                       entity: str | Sequence[str] | None = None, timeseries_column: str | None = None,
                       name: str | None = None, description: str | None = None) -> Feature:  # fmt: skip
        """Declare a feature and register it. Raises AlreadyExists, InvalidInput, NotFound, NotPermitted."""
        keys = entity if isinstance(entity, str) else list(entity or ())
        feature = Feature(source=source, function=function, entity=keys, timeseries_column=timeseries_column,
                          name=name, description=description)  # fmt: skip
        return self.register_feature(feature=feature, catalog_name=catalog_name, schema_name=schema_name)

    def register_feature(self, *, feature: Feature, catalog_name: str | None = None, schema_name: str) -> Feature:
        """Register a feature under its name. Raises AlreadyExists, InvalidInput for columns that the source lacks."""
        computed(self._context, [feature], clock.now())
        full = self._context.complete(".".join(p for p in (catalog_name, schema_name, feature.name) if p))
        return Feature.from_dict(self._context.call("POST", f"/api/v1/declared-features/{full}", feature.to_dict()))

    def get_feature(self, full_name: str) -> Feature:
        """A registered feature. Raises NotFound."""
        return Feature.from_dict(self._context.call("GET", f"/api/v1/declared-features/{self._context.complete(full_name)}"))

    def list_features(self, *, catalog_name: str | None = None, schema_name: str, max_results: int = 100) -> list[Feature]:
        """Registered features of a schema, by name."""
        schema = f"{catalog_name or self._context.environment}.{schema_name}"
        rows = self._context.call("GET", f"/api/v1/declared-features?schema={schema}")
        return [Feature.from_dict(row) for row in rows[:max_results]]

    def delete_feature(self, full_name: str, *, force: bool = False) -> None:
        """Forget a registered feature; tables that keep its values stay. Raises Conflict while models use it, unless forced."""
        name = self._context.complete(full_name)
        self._context.call("DELETE", f"/api/v1/declared-features/{name}?force={str(force).lower()}")

    def compute_features(self, features: Several) -> Relation:
        """The features of one source and entity, at every moment up to now at which one changes: to look at, nothing is kept."""
        groups = materialized.split(expanded(features))
        if len(groups) != 1:
            raise InvalidInput("compute_features takes features of one source, entity and time at a time")
        return computed(self._context, groups[0], clock.now())

    def materialize_features(self, *, features: Several,
                             offline_config: OfflineStoreConfig | None = None,
                             online_config: OnlineStoreConfig | None = None,
                             trigger: Trigger | None = None, tags: dict[str, str] | None = None,
                             budget_policy_id: str | None = None) -> list[MaterializedFeature]:  # fmt: skip
        """Keep features in tables, one for each source, entity and time, filled now; later calls bring what is new.

        A second one of a source table and entity, with another filter or time, is named `…_2`.
        With `online_config` the tables are published too, in the store that it names. With a `trigger` each table has a job
        `refresh_<schema>_<table>` that goes on with it, in place of the one it had: see `boathouse jobs list`.
        Raises InvalidInput, NotFound, NotPermitted.
        """
        config, online, trigger = given(offline_config) or OfflineStoreConfig(), given(online_config), given(trigger)
        _check_configs(config, online, trigger)
        found = list[MaterializedFeature]()
        for table, group in self._tables_of(materialized.split(expanded(features)), config).items():
            made = self._materialize(table, group, tags or {}, online)
            if trigger is not None:
                self._schedule(made[0].table_name, group, trigger, online)
            found += made
        return found

    def list_materialized_features(self, **_options: Any) -> list[MaterializedFeature]:
        """What is kept in this environment, and how far it is."""
        online = set[str]()
        with suppress(Unavailable):  # a store that does not answer serves nothing now
            online = {table["source"] for table in published(self._context)}
        return [
            MaterializedFeature(f.name, info.name, *standing(self._context.table(info.name)), info.name in online)
            for info, features in materialized.kept_tables(self._context) for f in features
        ]  # fmt: skip

    def delete_materialized_feature(self, materialized_feature: MaterializedFeature | str) -> None:
        """Stop keeping a feature; with its last feature the table goes, and the job that refreshes it. Raises NotFound."""
        kept = materialized_feature
        table, _, name = (kept if isinstance(kept, str) else kept.materialized_feature_id).rpartition(".")
        info = self._context.table_info(table)
        features = materialized.features_in(info)
        if name not in [f.name for f in features]:
            raise NotFound(f"{info.name} keeps no feature {name!r}")
        left = [f for f in features if f.name != name]
        if not left:
            with suppress(NotFound):  # it has no trigger
                self._context.call("DELETE", f"/api/v1/tables/{info.name}/refresh")
        self._context.drop_table(info.name)
        if left:
            self._materialize(info.name, left, {k: v for k, v in info.tags.items() if k != KEPT}, None)

    def backfill_features(self, *, features: Several, start_time: datetime,
                          end_time: datetime) -> Backfill:  # fmt: skip
        """Compute the rows of [start_time, end_time) again, here and now. Raises NotFound when no table keeps them."""
        wanted = {f.name for f in expanded(features)}
        kept = [(i, inside) for i, inside in materialized.kept_tables(self._context) if wanted & {f.name for f in inside}]
        if not kept:
            raise NotFound(f"{', '.join(sorted(wanted))} is kept in no table; call materialize_features first")
        start, end = _moment(start_time, "start_time"), _moment(end_time, "end_time")
        rows = sum(backfill(self._context, info.name, inside, start, end).rows for info, inside in kept)
        made = Backfill(uuid4().hex[:12], [info.name for info, _ in kept], start, end, rows)
        for info, _ in kept:
            materialized.note_backfill(self._context, info.name, made.to_dict())
        return made

    def get_backfill(self, backfill_id: str) -> Backfill:
        """One of the newest twenty of a table, whatever process ran it. Raises NotFound."""
        found = (noted for info, _ in materialized.kept_tables(self._context) for noted in materialized.backfills_of(info))
        for noted in found:
            if noted["backfill_id"] == backfill_id:
                return Backfill.from_dict(noted)
        raise NotFound(f"{self._context.environment} knows no backfill {backfill_id!r}; each table keeps its newest twenty")

    def wait_for_backfill(self, backfill_id: str, **_options: Any) -> Backfill:
        """The backfill, which has ended: `backfill_features` waits for it."""
        return self.get_backfill(backfill_id)

    def cancel_backfill(self, backfill_id: str) -> None:
        """Raises Conflict: a backfill runs in its caller, commits each table at once, and has its id when it has ended."""
        raise Conflict(f"the backfill {self.get_backfill(backfill_id).backfill_id} has ended already")

    def _tables_of(self, groups: Sequence[list[Feature]], config: OfflineStoreConfig) -> dict[str, list[Feature]]:
        """For each group the table that keeps such features already, or the first free name. Raises InvalidInput, NotFound."""
        found: dict[str, list[Feature]] = {}
        for group in groups:
            parts = (config.catalog_name, config.schema_name, materialized.group_name(group, config.table_name_prefix))
            base = ".".join(p for p in parts if p)
            for number in count(1):
                table = base if number == 1 else f"{base}_{number}"
                known = [*self._kept_in(table), *found.get(table, ())]
                if not known or len(grouped([*known, *group])) == 1:
                    found[table] = group
                    break
                if twice := {f.name for f in known} & {f.name for f in group}:
                    raise InvalidInput(f"{table} keeps a {min(twice)!r} of another source or time: give the feature another "
                                       "name=, or its table a table_name_prefix of its own")  # fmt: skip
        return found

    def _kept_in(self, table: str) -> list[Feature]:
        if not self._context.table_exists(table):
            return []
        return materialized.features_in(self._context.table_info(table))

    def _materialize(self, table: str, group: list[Feature], tags: dict[str, str],
                     online: OnlineStoreConfig | None) -> list[MaterializedFeature]:  # fmt: skip
        if self._context.table_exists(table):
            info = self._context.table_info(table)
            known = {f.name: f for f in materialized.features_in(info)}
            changed = [f.name for f in group if f.name in known and not materialized.same(f, known[f.name])]
            if changed:
                raise InvalidInput(f"{info.name} keeps a {changed[0]!r} that is declared otherwise; drop that table, or rename")
            if {f.name for f in group} - set(known):  # its rows are made anew, with all columns
                group = [*known.values(), *(f for f in group if f.name not in known)]
                tags = {**info.tags, **tags}
                self._context.drop_table(table, force=True)  # nobody loses a column
            else:
                group = list(known.values())
        if not self._context.table_exists(table):
            create(self._context, table, group, {**tags, **materialized.tag_of(group)})
        done = refresh(self._context, table, group)
        if online:
            self.publish_table(source_table_name=table, online_store=online.online_store_name)
        return [MaterializedFeature(f.name, done.table, done.source_version, done.until, online is not None) for f in group]

    def _schedule(self, table: str, group: Sequence[Feature], trigger: Trigger, online: OnlineStoreConfig | None) -> None:
        body: dict[str, Any] = {"publish": online is not None, "store": online.online_store_name if online else None}
        if isinstance(trigger, CronSchedule):
            body["schedule"] = asdict(trigger)
        else:
            sources = {f.source.full_name for f in group if isinstance(f.source, DeltaTableSource)}
            body |= {"tables": sorted(map(self._context.complete, sources)), "at_once": isinstance(trigger, StreamingMode)}
        self._context.call("PUT", f"/api/v1/tables/{table}/refresh", body)

    @abstractmethod
    def publish_table(self, *, source_table_name: str, online_store: Any = None) -> Any:
        """Copy a table's newest rows into the online store."""


def _check_configs(offline: Any, online: Any, trigger: Any) -> None:
    if not isinstance(offline, OfflineStoreConfig):
        raise InvalidInput(f"offline_config is {offline!r}: give OfflineStoreConfig(schema_name=…)")
    if online is not None and not isinstance(online, OnlineStoreConfig):
        raise InvalidInput(f"online_config is {online!r}: give OnlineStoreConfig(), with an online_store_name or without")
    if trigger is not None and not isinstance(trigger, Trigger):
        raise InvalidInput(f"trigger is {trigger!r}: give CronSchedule(quartz_cron_expression=…), TableTrigger() or "
                           "StreamingMode()")  # fmt: skip


def _moment(moment: datetime | str, name: str) -> datetime:
    try:
        return clock.parse_instant(moment)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{name} is {moment!r}: give a datetime, or text such as 2025-03-30T12:00:00+02:00") from error
