"""The reference names everything there is, links lead somewhere, and examples use commands that exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from fastapi.routing import APIRoute

from boathouse import errors, settings
from boathouse.catalog import privileges
from boathouse.cli.app import app
from boathouse.server.routes import ROUTERS

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMENT = re.compile(r"(^|\s)#[^\n]*$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command by its words."""
    return dict(_walk(typer.main.get_command(app), ()))


def _walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    below: dict[str, click.Command] = getattr(command, "commands", {})
    if not below:
        yield words, command
    for name, child in below.items():
        yield from _walk(child, (*words, name))


def options(command: click.Command) -> set[str]:
    """The options of a command, as they are written."""
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("-")}


def routes() -> list[tuple[str, str]]:
    """(method, path) of every route of the API."""
    found = [r for router in ROUTERS for r in router.routes if isinstance(r, APIRoute)]
    return [(method, route.path) for route in found for method in sorted(route.methods or ())]


def error_classes(root: type[errors.BoathouseError] = errors.BoathouseError) -> list[type[errors.BoathouseError]]:
    """The error tree of `boathouse.errors`."""
    below = [c for child in root.__subclasses__() for c in error_classes(child)]
    return [c for c in (root, *below) if c.__module__ == errors.__name__]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def calls(text: str) -> list[list[str]]:
    """The words after `boathouse` of each command in a shell block; assignments may stand before it."""
    plain = COMMENT.sub("", text).replace("\\\n", " ")
    tokens = shlex.shlex(plain, posix=True, punctuation_chars="&|;<>\n")
    tokens.whitespace, tokens.whitespace_split, tokens.commenters = " \t\r", True, ""
    found: list[list[str]] = []
    sentence: list[str] = []
    for token in [*tokens, "\n"]:
        if not set(token) <= set("&|;<>\n"):
            sentence.append(token)
            continue
        words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), sentence))
        found += [words[1:]] if words[:1] == ["boathouse"] else []
        sentence = []
    return found


def check_call(words: list[str]) -> None:
    """Fail unless the words name a command, with options that it has."""
    rest = list(words)
    while rest and rest[0] in ("--env", "-e", "--home"):
        del rest[:2]
    while rest and rest[0] == "--debug":
        del rest[0]
    if rest in ([], ["--help"]):
        return
    known = [path for path in commands() if tuple(rest[: len(path)]) == path]
    assert known, f"no command: boathouse {' '.join(rest)}"
    [path] = known
    there = options(commands()[path]) | {"--help"}
    used = {w for w in rest[len(path) :] if re.fullmatch(r"--?[a-z][a-z-]*", w)}
    assert used <= there, f"boathouse {' '.join(path)} has no {', '.join(sorted(used - there))}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as Git hosts make them."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in HEADING.findall(prose(page))}


def links(page: Path) -> list[str]:
    """Relative links of a page."""
    return [link for link in LINK.findall(prose(page)) if not link.startswith(("http://", "https://", "mailto:"))]


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_every_command_has_its_place_in_the_reference(words: tuple[str, ...]) -> None:
    page = (REFERENCE / "cli.md").read_text()
    _, heading, rest = page.partition(f"\n### boathouse {' '.join(words)}\n")
    assert heading, f"docs/reference/cli.md has no heading 'boathouse {' '.join(words)}'"
    section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for option in options(commands()[words]) - {"--help"}:
        assert f"`{option}`" in section, f"'boathouse {' '.join(words)}' does not name {option}"


def test_the_reference_names_no_command_that_is_gone() -> None:
    named = re.findall(r"^### boathouse (.+)$", (REFERENCE / "cli.md").read_text(), re.MULTILINE)
    assert {tuple(n.split()) for n in named} == set(commands())


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_is_named_in_the_reference(method: str, path: str) -> None:
    assert f"| {method} | `{path}` |" in (REFERENCE / "http.md").read_text()


def test_the_reference_names_no_route_that_is_gone() -> None:
    named = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", (REFERENCE / "http.md").read_text(), re.MULTILINE)
    assert set(named) == set(routes())


def test_every_privilege_is_explained() -> None:
    explained = re.findall(r"^\| `([A-Z ]+)` \|", (REFERENCE / "privileges.md").read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(privileges.PRIVILEGES)


_SETTINGS = {*settings.Settings.__dataclass_fields__, "storage_<environment>", "storage_<environment>_role_arn"} - {
    "storages", "storage_roles",
}  # fmt: skip


def test_every_setting_is_named_with_its_variable() -> None:
    page = (REFERENCE / "settings.md").read_text()
    for name in _SETTINGS:
        assert f"| `{name}` | `BOATHOUSE_{name.upper()}` |" in page, f"settings.md does not name {name}"


@pytest.mark.parametrize("error", error_classes(), ids=lambda e: e.__name__)
def test_every_error_is_named_with_its_code_and_status(error: type[errors.BoathouseError]) -> None:
    row = f"| `{error.error_code}` | `{error.__name__}` | {error.http_status} |"
    assert row in (REFERENCE / "errors.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(file), f"{link}: {file.name} has no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        found = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        waiting += [p for p in found - seen if p.suffix == ".md"]
    assert set(PAGES) <= seen, f"no way leads to {sorted(set(PAGES) - seen)[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_shell_examples_use_commands_that_exist(page: Path) -> None:
    for block in blocks(page, "bash"):
        for words in calls(block):
            check_call(words)


def test_make_targets_of_the_examples_exist() -> None:
    there = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        used = {t for block in blocks(page, "bash") for t in re.findall(r"^make (\w+)", block, re.MULTILINE)}
        assert used <= there, f"{page.name}: make has no {sorted(used - there)[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_examples_can_be_read_and_import_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("boathouse"):
                module: Any = __import__(str(node.module), fromlist=["*"])
                missing = [n.name for n in node.names if not hasattr(module, n.name)]
                assert not missing, f"{node.module} has no {missing}"


def test_a_command_that_does_not_exist_is_found() -> None:
    assert calls("A=1 boathouse --env prod models list | head -3 # all\ncd x && boathouse trace ID\n") == [
        ["--env", "prod", "models", "list"], ["trace", "ID"],
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="no command"):
        check_call(["models", "forget", "x"])
    with pytest.raises(AssertionError, match="has no --wrong"):
        check_call(["--env", "prod", "models", "list", "--wrong"])


def test_each_hole_of_mlflow_names_tests_that_there_are() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (REFERENCE / "mlflow.md").read_text())
    assert len(named) > 25
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []
