"""The end of what tasks said, for servers that see no folder of their machine."""

from pathlib import Path

from boathouse.database import Database
from boathouse.jobs.kept_words import MOST, KeptWords


def test_each_machines_words_are_kept_once_in_order_and_only_the_end_of_long_ones(database: Database, tmp_path: Path) -> None:
    words, log = KeptWords(database), tmp_path / "a.log"
    words.keep("r", "a", "one", log)
    assert words.of("r", "a") is None
    log.write_bytes(b"first try\n")
    words.keep("r", "a", "one", log)
    log.write_bytes(b"first try\nsecond try\n")
    words.keep("r", "a", "one", log)
    words.keep("r", "b", "one", log)
    log.write_bytes(b"elsewhere\n")
    words.keep("r", "a", "two", log)
    assert words.of("r", "a") == b"first try\nsecond try\nelsewhere\n"
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)))
    words.keep("r", "a", "two", log)
    kept = words.of("r", "a") or b""
    assert kept.endswith(b"\nline 99999\n")
    assert len(kept) < MOST + 200
    head = kept.removeprefix(b"first try\nsecond try\n").splitlines()
    assert head[0].startswith(b"[what was written before lies on the machine")
    assert head[1].startswith(b"line ")
