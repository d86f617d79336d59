"""Whether what a version says it requires can be installed: by what is installed here, else by asking a resolver."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from boathouse.delivery.evidence import Check

_SECONDS = 90.0
_AWAY = (
    "failed to fetch", "could not connect", "connection", "dns error", "timed out", "timeout", "network", "offline",
    "temporary failure", "client error", "request failed", "error sending request",
)  # fmt: skip
"""Words by which resolvers say that nobody answered, which says nothing about the requirements."""


def check_requirements(folder: Path, cache: Path | None = None, seconds: float = _SECONDS) -> Check:
    """Pass where a model's `requirements.txt` can be installed; fail where it cannot; hold where nobody could say.

    What this environment has already is asked nobody. A resolver's yes is kept in `cache` under the hash of the
    requirements. Reasons are in the resolver's words.
    """
    path = folder / "requirements.txt"
    if not path.is_file():
        return _check("fail", "the version has no requirements.txt: log it with pip_requirements")
    lines = [line.strip() for line in path.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    absent = [line for line in wanted if not _installed(line)]
    if not absent:
        return _check("pass", f"all {len(wanted)} requirements are met by the environment that tested it")
    place = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boathouse" / "requirements"
    text = "\n".join(sorted(wanted))
    mark = place / hashlib.sha256(f"{sys.version_info[:2]}\n{text}".encode()).hexdigest()
    if mark.exists():
        return _check("pass", mark.read_text())
    found = _resolve(text, seconds)
    if found.outcome == "pass":
        place.mkdir(parents=True, exist_ok=True)
        mark.write_text(found.reason)
    return found


def _installed(line: str) -> bool:
    """Whether a requirement is met here; a line that is none, such as an option, is for the resolver."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(line)
        if asked.marker and not asked.marker.evaluate():
            return True
        return not asked.url and asked.specifier.contains(version(asked.name), prereleases=True)
    except (InvalidRequirement, PackageNotFoundError):
        return False


def _resolve(text: str, seconds: float) -> Check:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "requirements.txt")
        source.write_text(text + "\n")
        command = _resolver(source)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=scratch)
        except subprocess.TimeoutExpired:
            said = f"the resolver had no answer after {seconds:.0f} s"
            return _check("hold", f"it is not known whether the requirements can be installed: {said}")
    told = " ".join((done.stderr or done.stdout).split())[-600:]
    if done.returncode == 0:
        return _check("pass", f"the requirements resolve to {_count(done.stdout + done.stderr)} packages that can be installed")
    if any(word in told.lower() for word in _AWAY):
        return _check("hold", f"it is not known whether the requirements can be installed: {told}")
    return _check("fail", f"the requirements cannot be installed: {told}")


def _resolver(source: Path) -> Sequence[str]:
    """uv where it is there, which takes a second, else pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", sys.executable, str(source)]
    return [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--requirement", str(source)]


def _count(output: str) -> int:
    return sum("==" in line for line in output.splitlines()) or output.count("-")


def _check(outcome: str, reason: str) -> Check:
    return Check("requirements", outcome, reason)  # type: ignore[arg-type]
