"""SQL's LIKE patterns, for matching names."""

import re


def like(pattern: str) -> re.Pattern[str]:
    """What matches whole names as LIKE does: % is any text, _ any letter, and a backslash makes either plain."""
    parts, escaped = [], False
    for letter in pattern:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        wild = {"%": ".*", "_": "."}.get(letter) if not escaped else None
        parts.append(wild or re.escape(letter))
        escaped = False
    return re.compile("".join(parts), re.DOTALL)
