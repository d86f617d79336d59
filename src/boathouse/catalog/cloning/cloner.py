"""Copies of tables: whole, by shared files, by sample, masked, or made up."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from boathouse import names
from boathouse.catalog.cloning.profile import profiles
from boathouse.catalog.cloning.pseudonym import Pseudonyms
from boathouse.catalog.cloning.sample import sampled
from boathouse.catalog.cloning.seen import seen
from boathouse.catalog.cloning.spec import Clone, CloneSpec
from boathouse.catalog.service import Catalog
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.sql import SqlDesk
from boathouse.catalog.values import TableInfo
from boathouse.errors import Conflict, InvalidInput
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Engine, Stream, batches, link, quoted, sql_type

_MEMORY = "2GB"
_BATCH_ROWS = 50_000
_CONSTRAINT = "delta.constraints."
_KEPT_PROPERTIES = ("delta.autoOptimize.autoCompact", "delta.checkpointInterval", "delta.dataSkippingNumIndexedCols")


class Cloner:
    """Makes clones under the grants of whoever asks: SELECT on the source, CREATE TABLE in the target's schema."""

    def __init__(self, catalog: Catalog, desk: SqlDesk, scratch: Path) -> None:
        self._catalog = catalog
        self._desk = desk
        self._scratch = scratch

    def clone(self, identity: Identity, spec: CloneSpec) -> Clone:
        """A new table with rows of another.

        Masks and filter hold: the rows are those that the caller sees, and the clone has the same masks and filter.
        Raises NotFound, NotPermitted, AlreadyExists, and InvalidInput for what does not go together.
        """
        spec = replace(spec, source=str(names.parse(spec.source)), target=str(names.parse(spec.target)))
        spec.check()
        info = self._catalog.granted(identity, spec.source, ("SELECT",)).info
        if info.view is not None:
            raise InvalidInput(f"{spec.source} is a view: make a table of it with `CREATE TABLE {spec.target} AS SELECT …`")
        if identity.run_id is not None and spec.target.partition(".")[0] != identity.environment:
            raise Conflict(f"{spec.target} cannot be made from {identity.environment}: a run writes its own environment")
        folder = self._catalog.folder(info)
        snapshot = folder.table(spec.version)
        version = snapshot.version()
        guarded = bool(info.masks or info.row_filter)
        if spec.mask and not guarded:
            raise InvalidInput(f"{spec.source} has no masks and no filter, so there is nothing to mask; leave out `mask`")
        if spec.shallow and guarded:
            raise InvalidInput(f"{spec.source} has masks or a filter: a shallow clone would share what they hide")
        made = self._made(identity, spec, info, folder, version)
        try:
            guards = {"masks": dict(info.masks), "row_filter": info.row_filter}
            if guarded and not spec.synthetic:  # before there are rows to see
                self._catalog.describe(identity, spec.target, guards)
            notes = self._fill(identity, spec, info, folder, version, made)
            target = self._catalog.folder(made)
            actions = batches(target.table().get_add_actions()).read_all()
            newest, rows = target.version(), sum(actions.column("num_records").to_pylist())
            self._catalog.note_write(identity, spec.target, newest, "CLONE", [(spec.source, str(version))], replaces=True)
        except BaseException:
            self._catalog.unregister(identity, "table", spec.target)
            raise
        return Clone(spec.source, version, spec.target, newest, spec.way, rows, notes)

    def _made(self, identity: Identity, spec: CloneSpec, info: TableInfo, folder: DeltaFolder, version: int) -> TableInfo:
        """The target, empty, with the source's description, keys and partitions."""
        schema = folder.schema(version)
        columns = {c.name: c.comment for c in info.columns if c.name in schema.names and c.comment}
        return self._catalog.create_table(identity, TableSpec(
            spec.target, schema, _there(info.primary_keys, schema), info.event_time, info.known_time,
            tuple(folder.table(version).metadata().partition_columns),
            info.description, info.tags, columns,
            properties={k: v for k, v in folder.properties().items() if k in _KEPT_PROPERTIES},
        ))  # fmt: skip

    def _fill(self, identity: Identity, spec: CloneSpec, info: TableInfo, source: DeltaFolder, version: int,
              made: TableInfo) -> tuple[str, ...]:  # fmt: skip
        target = self._catalog.folder(made)
        if spec.shallow:
            link(source.table(version), target.table(), spec.source)
        else:
            seed = spec.seed if spec.seed is not None else secrets.token_hex(16)
            with self._relation(identity, spec, info, source, version) as (engine, relation):
                share, rows = spec.share()
                chosen = sampled(relation, self._by(spec, info, target), seed, share, rows) if spec.sample else relation
                self._copy(engine, chosen, spec, identity, target, seed)
        return self._constrain(target, source, version)

    def _copy(self, engine: Engine, relation: str, spec: CloneSpec, identity: Identity, target: DeltaFolder, seed: str) -> None:
        schema = target.schema()
        query = f"SELECT {', '.join(map(quoted, schema.names))} FROM {relation}"

        def read() -> pa.RecordBatchReader:
            return engine.connection.sql(query).to_arrow_reader(_BATCH_ROWS)

        if not spec.synthetic:
            target.append(Stream(engine.connection.sql(query).limit(0).to_arrow_table().schema, read))
            return
        from boathouse.catalog.cloning.generate import Generator

        if spec.sample:  # it is read twice
            engine.connection.execute(f"CREATE TEMP TABLE chosen AS {query}")
            query = "SELECT * FROM chosen"
        known = profiles(engine, f"({query})", schema, self._keys(identity, spec, schema))
        secret = Pseudonyms(blake2b(seed.encode(), digest_size=32).digest())
        target.append(Stream(schema, lambda: pa.RecordBatchReader.from_batches(schema, Generator(known, secret).rows(read()))))

    @contextmanager
    def _relation(self, identity: Identity, spec: CloneSpec, info: TableInfo, source: DeltaFolder,
                  version: int) -> Iterator[tuple[Engine, str]]:  # fmt: skip
        """The rows that the caller may see, on an engine of their own."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="clone-", dir=self._scratch))
        engine = Engine(folder, _MEMORY)
        try:
            if not (info.masks or info.row_filter):
                yield engine, engine.scan(source.table(version))
                return
            with self._desk.run(identity, seen(info, version, spec.mask), spec.source.partition(".")[0]) as result:
                engine.connection.register("seen", result.reader())
                engine.connection.execute("CREATE TEMP TABLE rows AS SELECT * FROM seen")
            yield engine, "rows"
        finally:
            engine.connection.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _by(self, spec: CloneSpec, info: TableInfo, target: DeltaFolder) -> tuple[str, ...]:
        columns = target.schema().names
        if absent := [column for column in spec.by if column not in columns]:
            raise InvalidInput(f"{spec.source} has no column {absent[0]!r} to sample by (it has {', '.join(columns)})")
        return spec.by or _there(info.keys, target.schema()) or _there(info.primary_keys, target.schema()) or tuple(columns)

    def _keys(self, identity: Identity, spec: CloneSpec, schema: pa.Schema) -> set[str]:
        """The columns that some table of the environment has as a key, by name and type, and those that were named."""
        if absent := [column for column in spec.keys if column not in schema.names]:
            raise InvalidInput(f"{spec.source} has no column {absent[0]!r} to map as a key (it has {', '.join(schema.names)})")
        environment = spec.source.partition(".")[0]
        types = {field.name.lower(): field for field in schema}
        found = {*spec.keys}
        for info in self._catalog.tables(identity, catalog=environment):
            keys = {*info.primary_keys, *([info.known_time] if info.known_time else [])}
            kinds = {c.name: c.type for c in info.columns}
            for key in keys:
                field = types.get(key.lower())
                if field is not None and sql_type(field.type) == kinds.get(key):
                    found.add(field.name)
        return found

    def _constrain(self, target: DeltaFolder, source: DeltaFolder, version: int) -> tuple[str, ...]:
        """The source's constraints, but for those that made-up rows do not meet."""
        configuration = source.table(version).metadata().configuration
        notes = []
        for name, condition in configuration.items():
            if not name.startswith(_CONSTRAINT) or condition is None:
                continue
            try:
                target.constrain({name.removeprefix(_CONSTRAINT): condition})
            except InvalidInput:
                notes.append(f"the constraint {name.removeprefix(_CONSTRAINT)} ({condition}) does not hold of its rows: left out")
        return tuple(notes)


def _there(columns: Sequence[str], schema: pa.Schema) -> tuple[str, ...]:
    """The columns that the version has."""
    return tuple(column for column in columns if column in schema.names)
