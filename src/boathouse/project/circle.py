"""Circles among things that need each other."""

from collections.abc import Iterable, Mapping


def circle(needs: Mapping[str, Iterable[str]]) -> list[str] | None:
    """One circle, as `[a, b, a]` where a needs b and b needs a; None where there is none."""
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        open_ends = [iter((start,))]
        while open_ends:
            name = next(open_ends[-1], None)
            if name is None:
                open_ends.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                return [*trail[trail.index(name) :], name]
            elif name in needs and name not in done:
                trail.append(name)
                open_ends.append(iter(needs[name]))
    return None
