"""Names of columns, made out of what files call them."""

import re
import unicodedata
from collections.abc import Sequence

_FORBIDDEN = re.compile(r"\W+")


def clean_names(headers: Sequence[str]) -> list[str]:
    """Names that every engine takes: letters of any script, digits and underscores, each once whatever its case.

    `Unit price (€)` becomes `Unit_price`, an empty one `column_3`, a second `id` `id_2`.
    """
    found: list[str] = []
    taken: set[str] = set()
    for number, header in enumerate(headers, 1):
        plain = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", header)).strip("_")
        name = f"column_{number}" if not plain else f"_{plain}" if plain[0].isdigit() else plain
        if header.startswith("_") and plain and not name.startswith("_"):
            name = f"_{name}"
        unique, copy = name, 2
        while unique.casefold() in taken:
            unique, copy = f"{name}_{copy}", copy + 1
        taken.add(unique.casefold())
        found.append(unique)
    return found
