"""One git command, run apart from the caller's own git: no shell, no prompts, no hooks, pinned transports."""

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from boathouse.errors import InvalidInput, Unavailable

TRANSPORTS = ("file", "https", "ssh")
_IDENTITY = ("Boathouse", "boathouse@localhost")
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK")


@dataclass(frozen=True)
class Answer:
    """What git said: its exit code, standard output as bytes and standard error as text."""

    code: int
    output: bytes
    error: str

    @property
    def text(self) -> str:
        """Standard output as text, without the newline at its end."""
        return self.output.decode("utf-8", "replace").rstrip("\n")


def git(
    directory: Path,
    *arguments: str,
    stdin: bytes | IO[bytes] = b"",
    extra: Mapping[str, str] | None = None,
    transports: Collection[str] = ("file",),
    users_configuration: bool = False,
    accepted: Collection[int] = (0,),
    timeout: float = 300,
) -> Answer:
    """Run `git <arguments>` in `directory`.

    `users_configuration` reads the caller's own git configuration (ignore files, safe directories).
    Raises InvalidInput when git ends with a code that is not `accepted`, Unavailable when there is no git
    or it takes longer than `timeout` seconds.
    """
    command = command_line(*arguments, transports=transports)
    environment = git_environment(users_configuration) | dict(extra or {})
    fed: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            **fed,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        if not directory.is_dir():
            raise InvalidInput(f"{directory} is not a directory") from error
        raise Unavailable("git was not found: install git 2.38 or newer") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"`git {arguments[0]}` took longer than {timeout:.0f} seconds in {directory}"
        ) from error
    answer = Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip())
    if answer.code not in accepted:
        raise InvalidInput(f"`git {arguments[0]}` failed in {directory}: {answer.error or answer.text}")
    return answer


def command_line(*arguments: str, transports: Collection[str] = ("file",)) -> list[str]:
    """The words of a git command, with the transports and the settings pinned."""
    return ["git", *_settings(transports), *arguments]


def git_environment(users_configuration: bool = False) -> dict[str, str]:
    """The environment of a git command: none of the caller's GIT_ variables, a fixed identity."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    name, email = _IDENTITY
    isolated = {} if users_configuration else {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
    return (
        kept
        | {
            "GIT_CONFIG_NOSYSTEM": "0" if users_configuration else "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "LC_ALL": "C",
        }
        | isolated
    )


def check_branch(name: str) -> str:
    """A name that git allows for a branch. Raises InvalidInput."""
    if name.startswith("-") or not _well_formed(f"refs/heads/{name}"):
        raise InvalidInput(f"{name!r} is not a name git allows for a branch or tag")
    return name


def _well_formed(reference: str) -> bool:
    if "\0" in reference:
        return False
    return git(Path("/"), "check-ref-format", reference, accepted=(0, 1)).code == 0


def _settings(transports: Collection[str]) -> Sequence[str]:
    if unknown := set(transports) - set(TRANSPORTS):
        raise InvalidInput(
            f"git transport {sorted(unknown)[0]!r} is not allowed; the transports are {', '.join(TRANSPORTS)}"
        )
    pinned = ["protocol.allow=never", *(f"protocol.{name}.allow=always" for name in sorted(transports))]
    safe = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false", "gc.auto=0"]
    return [part for setting in (*pinned, *safe) for part in ("-c", setting)]
