"""Some rows of a table, chosen by their keys: samples of tables that share keys keep the same ones."""

from collections.abc import Sequence

from boathouse.lake import quoted


def sampled(relation: str, by: Sequence[str], seed: str, share: float | None, rows: int | None) -> str:
    """SQL of the rows whose key falls into a share, or of the given number with the lowest.

    The key's place is the hash of its values as text, whatever the columns are called and however wide they are.
    """
    values = ", ".join(f"coalesce({quoted(column)}::VARCHAR, chr(30))" for column in sorted(by, key=str.lower))
    text = seed.replace("'", "''")
    place = f"md5_number_lower(concat_ws(chr(31), '{text}', {values}))"
    if share is not None:
        return f"(SELECT * FROM {relation} WHERE {place} < {int(share * (1 << 64)) - 1}::UBIGINT)"
    return f"(SELECT * FROM {relation} ORDER BY {place} LIMIT {rows})"
