"""What a table expects of its rows, and what became of the newest batches."""

from typing import TYPE_CHECKING

from boathouse.cli.output import say, show

if TYPE_CHECKING:
    from boathouse.catalog import TableInfo


def print_expectations(info: "TableInfo") -> None:
    """Nothing for a table that expects nothing."""
    if not info.expectations:
        return
    say("")
    show([{"expectation": name, **said} for name, said in info.expectations.items()], ["expectation", "expr", "action"], False)
    for check in info.checks:
        failed = ", ".join(f"{name}: {count}" for name, count in check["failed"].items() if count)
        say(f"{check['at'][:19]} {check['outcome']}: {check['written']:,} of {check['rows']:,} rows written, "
            f"{check['quarantined']:,} kept aside; failed: {failed or 'none'}")  # fmt: skip
