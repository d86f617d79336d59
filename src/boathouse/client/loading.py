"""What a connection does with files of rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from boathouse.client.file_source import in_volume, source_at, volume_files
from boathouse.client.import_report import ImportReport
from boathouse.client.imports import Importer, ImportOptions, Mode, Progress, loading_options
from boathouse.client.ingest_report import IngestReport
from boathouse.client.ingestion import Changed, Ingester, IngestOptions
from boathouse.lake import InputFile, ReadOptions, find_files

if TYPE_CHECKING:
    from boathouse.client.lake import Lake


class Loading:
    """Files into tables: once, or as they arrive."""

    def import_files(self, name: str, files: str | Path | Sequence[str | Path], *, types: Mapping[str, str] | None = None,
                     primary_keys: Sequence[str] = (), event_time: str | None = None, partition_by: Sequence[str] = (),
                     description: str = "", mode: Mode = "append", evolve: bool = False,
                     rejects: str | Path | None = None, max_bad_rows: int | None = None, file_column: bool = False,
                     time_column: bool = False, progress: Progress | None = None, **reading: Any) -> ImportReport:  # fmt: skip
        """Rows of CSV, JSON and Parquet files as a table, in one commit: all of them or none.

        `files` are files, folders or patterns, here or in a volume (`volume:raw.landing/2024`). Types are inferred over
        all of the input unless `types` or the table say them; rows that do not fit are kept in `<name>_rejected`, or the
        file `rejects`. `file_column` adds `_file`, `time_column` `_ingested_at`. `reading` takes `format`, `encoding`,
        `delimiter`, `quote`, `header`, `nulls` and `date_format`.
        Raises NotFound, InvalidInput, SchemaMismatch, DuplicateKey, and Conflict for a file that changes meanwhile.
        """
        options = ImportOptions(
            types=dict(types or {}), primary_keys=tuple(primary_keys), event_time=event_time,
            partition_by=tuple(partition_by), description=description, mode=mode, evolve=evolve,
            rejects=Path(rejects) if rejects else None, max_bad_rows=max_bad_rows, file_column=file_column,
            time_column=time_column, reading=ReadOptions(**reading),
        )  # fmt: skip
        words = [files] if isinstance(files, str | Path) else files
        found, sources = self._found(words, options.reading.format)
        return Importer(self._lake, name, options, progress, sources=sources).run(found)

    def ingest(self, name: str, source: str | Path, *, pattern: str = "", changed: Changed = "ignore", settle: float = 2.0,
               progress: Progress | None = None, **loading: Any) -> IngestReport:  # fmt: skip
        """The files of a folder or volume that are new, as rows of a table: each file exactly once, however often this is called.

        `changed` says what to do with a file that was taken in and is another now: ignore, fail or append. A file must
        have stood still for `settle` seconds. `loading` takes what `import_files` takes, but for `mode` and `rejects`.
        Raises NotFound, InvalidInput, and Conflict for a changed file where it fails.
        """
        return self.ingester(name, source, pattern=pattern, changed=changed, settle=settle, progress=progress, **loading).run()

    def ingester(self, name: str, source: str | Path, *, pattern: str = "", changed: Changed = "ignore",
                 settle: float = 2.0, progress: Progress | None = None, **loading: Any) -> Ingester:  # fmt: skip
        """What `ingest` calls `run()` of; its `watch()` looks again and again."""
        options = IngestOptions(loading_options(**loading), changed, settle)
        place = source_at(source, self._lake.volumes, pattern, options.loading.reading.format)
        return Ingester(self._lake, name, place, options, progress)

    @property
    def _lake(self) -> "Lake":
        return cast("Lake", self)

    def _found(self, words: Sequence[str | Path], form: str | None) -> tuple[list[InputFile], list[str] | None]:
        """The files that words mean, and the lineage's names of where they come from, where those are volumes."""
        places = [in_volume(word) for word in words]
        found = find_files([w for w, place in zip(words, places, strict=True) if place is None], form)
        volumes = [(self._lake.volume(place[0]), place[1]) for place in places if place]
        found += [file for volume, path in volumes for file in volume_files(volume, path, form)]
        return found, [f"volume:{volume.name}" for volume, _ in volumes] or None
