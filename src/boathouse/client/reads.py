"""What a process has read, and which of it goes into what it writes."""

from collections.abc import Callable

from boathouse.catalog import Making


class Reads:
    """Keeps every read, and hands each write its sources.

    A writer that names its sources is believed. Else rows that know their origin say what they were made
    out of. Of rows that do not, it can only be inferred: whatever was read since the write before it, or,
    where nothing was and that write's rows did not know more, what that write had. Such sources are marked.
    """

    def __init__(self, complete: Callable[[str], str]) -> None:
        self._complete = complete
        self._newest: dict[str, int] = {}
        self._since: dict[str, int | None] = {}
        self._before: dict[str, str | None] = {}

    @property
    def newest(self) -> dict[str, int]:
        """Table -> newest version, of all that was read."""
        return dict(self._newest)

    def note(self, name: str, version: int | None) -> None:
        """A version was read; files of a volume have none."""
        self._since[name] = version
        if version is not None:
            self._newest[name] = version

    def sources(self, target: str, making: Making) -> list[tuple[str, str | None, str]]:
        """(name, version, how it is known) of a write's sources; what comes next is counted anew."""
        if making.sources is not None and not making.sources:
            return []  # a delete between a read and the write that it is for changes nothing
        since, self._since = {n: None if v is None else str(v) for n, v in self._since.items()}, {}
        if making.sources is not None:
            self._before = {}
            return [(*self._declared(source), "declared") for source in making.sources]
        derived = making.origin.tables()
        inferred: dict[str, str | None] = {}
        if not making.origin.complete:
            inferred = {n: v for n, v in (since or self._before).items() if n != target}
        self._before = {} if making.origin.complete else {**inferred, **derived}
        found = [(n, v, "derived") for n, v in derived.items()]
        return found + [(n, v, "inferred") for n, v in inferred.items() if n not in derived]

    def may_hold_itself(self, target: str, making: Making) -> bool:
        """Whether rows that replace a table may have been read from it before; to be asked before `sources`."""
        if making.sources is not None:
            return any(self._declared(source)[0] == target for source in making.sources)
        return target in making.origin.tables() or (not making.origin.complete and target in self._since)

    def _declared(self, source: str | tuple[str, int | str | None]) -> tuple[str, str | None]:
        name, version = source if isinstance(source, tuple) else (source, None)
        full = name if ":" in name else self._complete(name)
        if version is None:
            version = self._newest.get(full)
        return full, None if version is None else str(version)
