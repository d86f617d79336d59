"""Commits on their way between two repositories that reach each other through HTTP alone: as one pack of objects."""

import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO

from boathouse.environments.git_command import command_line, git, git_environment
from boathouse.errors import InvalidInput

LARGEST_PACK = 256 << 20
"""Bytes."""
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def full_id(commit: str) -> str:
    """What stands for one commit and nothing else. Raises InvalidInput."""
    if not _SHA.fullmatch(commit):
        raise InvalidInput(f"{commit!r} is no full id of a commit")
    return commit


def known_commits(repository: Path, commits: Iterable[str]) -> list[str]:
    """Those of some commits, given by their full ids, that a repository has."""
    asked = "".join(f"{full_id(commit)}^{{commit}}\n" for commit in commits)
    lines = git(repository, "cat-file", "--batch-check=%(objectname)", stdin=asked.encode()).text.splitlines()
    return [line for line in lines if not line.endswith((" missing", " ambiguous"))]


def write_pack(repository: Path, head: str, known: Collection[str], out: IO[bytes]) -> None:
    """All that `head` holds and the `known` commits, which the repository has, do not.

    Raises InvalidInput when there is more of it than goes over at once.
    """
    wanted = "\n".join([head, *(f"^{commit}" for commit in known)]) + "\n"
    with subprocess.Popen(
        command_line("pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "-q"),
        cwd=repository, env=git_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as packing:  # fmt: skip
        assert packing.stdin is not None
        assert packing.stdout is not None
        packing.stdin.write(wanted.encode())
        packing.stdin.close()
        size = 0
        while piece := packing.stdout.read(1 << 20):
            if (size := size + len(piece)) > LARGEST_PACK:
                packing.kill()
                raise InvalidInput(f"more than {LARGEST_PACK >> 20} MB would go over: keep large files in a volume, not in Git")
            out.write(piece)
    if packing.returncode:
        raise InvalidInput(f"`git pack-objects` failed in {repository} for commit {head[:12]}")


def take_pack(repository: Path, pack: Path, head: str) -> None:
    """Take a pack over, checked, if with it the repository holds all of `head`; else nothing of it stays. No branch moves.

    Raises InvalidInput.
    """
    full_id(head)
    objects = Path(git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects").text)
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=objects) as quarantine, pack.open("rb") as stream:
        apart = beside(objects, Path(quarantine))
        git(repository, "index-pack", "--stdin", "--fix-thin", "--strict", stdin=stream, extra=apart)
        git(repository, "rev-list", "--objects", "--quiet", head, "--not", "--all", extra=apart)
        place = objects / "pack"
        place.mkdir(exist_ok=True)
        found = sorted(Path(quarantine, "pack").glob("pack-*"), key=lambda file: file.suffix == ".idx")
        for file in found:  # the index last: with it the pack is there
            os.replace(file, place / file.name)


def beside(objects: Path, made: Path) -> dict[str, str]:
    """What makes git write new objects elsewhere than where it reads those that are there."""
    return {"GIT_OBJECT_DIRECTORY": str(made), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects)}


def _quoted(path: Path) -> str:
    """A path in a list of them, in which `:` stands between two."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
