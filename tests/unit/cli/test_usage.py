"""Exit codes of a wrong usage, and help that teaches."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from boathouse.cli import main
from boathouse.cli.app import app
from boathouse.cli.examples import examples

TREE: Any = typer.main.get_command(app)


def leaves(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    if children := getattr(command, "commands", None):
        for name, child in children.items():
            yield from leaves(child, *path, name)
    else:
        yield " ".join(path), command


LEAVES = dict(leaves(TREE))


def ends(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


@pytest.mark.parametrize("arguments", [["nope"], ["runs", "lst"], ["runs", "show"], ["runs", "list", "--limit", "x"], ["--nope"]])
def test_a_wrong_usage_ends_with_two_and_says_how_it_is_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(*arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("Usage: ")
    assert "--help' for help." in told


def test_a_group_without_a_verb_shows_its_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("runs") == 2
    told = capsys.readouterr().err
    assert "Runs, newest first." in told
    assert "Error" not in told


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.startswith("boathouse ")


def test_every_command_has_an_example_in_its_help() -> None:
    without = [path for path, leaf in LEAVES.items() if f"{path}" not in f"{leaf.help} {leaf.epilog}"]
    assert without == []


@pytest.mark.parametrize("line", [line for line in examples() if line])
def test_every_example_is_a_right_usage(line: str) -> None:
    words = shlex.split(line)
    depth = next(n for n in range(1, len(words) + 1) if " ".join(words[:n]) in LEAVES)
    LEAVES[" ".join(words[:depth])].make_context("boathouse", words[depth:])
