"""Which code an environment may run: a pure decision over recorded facts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from boathouse.errors import NotReleased

EnvironmentKind = Literal["dev", "staging", "prod"]


@dataclass(frozen=True)
class Rule:
    """The code of one kind of environment.

    `any_code` admits everything, a changed working tree included. Else a commit must be recorded, or be the
    head of a branch that matches `branch`; to be an ancestor of such a head is not enough,
    since nobody tested it. `otherwise` says what was wanted and `next_step` what to do about it.
    """

    any_code: bool = False
    branch: str = "main"
    otherwise: str = ""
    next_step: str = ""


RULES: Mapping[EnvironmentKind, Rule] = {
    "dev": Rule(any_code=True),
    "staging": Rule(
        branch="main",
        otherwise="neither the head of {branch} nor a request under test",
        next_step="open one with `boathouse requests open`",
    ),
    "prod": Rule(
        branch="release/*",
        otherwise="not released",
        next_step="run `boathouse releases cut VERSION`",
    ),
}


def kind_of(environment: str) -> EnvironmentKind:
    """The kind of an environment, by its name. Raises NotReleased for one that has no rule."""
    for kind in RULES:
        if kind == environment:
            return kind
    raise NotReleased(f"no rule says which code {environment!r} may run; there are {', '.join(RULES)}")


def check(
    environment_kind: EnvironmentKind,
    commit: str | None,
    *,
    dirty: bool,
    released: Collection[str] = (),
    branch_heads: Mapping[str, str] | None = None,
    pattern: str | None = None,
) -> None:
    """Let code pass into an environment, or raise NotReleased with the reason and the next step.

    `commit` is the full id; `released` are the full ids recorded for the environment; `branch_heads` maps
    branches to their heads; `pattern` replaces the rule's branch, where
    `*` stands for one level (`release/*`).
    """
    rule = RULES[environment_kind]
    if rule.any_code:
        return
    branch = pattern or rule.branch
    if not commit:
        raise NotReleased(
            f"{environment_kind} runs only commits, and this code is in none: "
            "commit and push it, or run it in dev"
        )
    if dirty:
        raise NotReleased(
            f"{environment_kind} runs only commits, and files changed since {commit[:7]}: "
            "commit and push them, or run them in dev"
        )
    heads = {sha for name, sha in (branch_heads or {}).items() if matches(name, branch)}
    if commit not in released and commit not in heads:
        reason = rule.otherwise.format(branch=branch)
        raise NotReleased(f"commit {commit[:7]} is {reason}: {rule.next_step}", commit=commit)


def matches(branch: str, pattern: str) -> bool:
    """Whether a branch fits a pattern level by level: `release/*` fits `release/1.0`, not `release/1/0`."""
    levels, wanted = branch.split("/"), pattern.split("/")
    return len(levels) == len(wanted) and all(fnmatchcase(a, b) for a, b in zip(levels, wanted, strict=True))
