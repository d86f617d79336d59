"""Values of requests and of the log as functions get them from the batch join: of the declared type, None for a missing one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

from boathouse import clock
from boathouse.errors import InvalidInput
from boathouse.features.data_types import family, feature_type
from boathouse.lake import type_named

_DIGITS = Context(prec=38)


def as_arguments(name: str, parameter: str, values: Sequence[Any], kind: str) -> list[Any]:
    """The values for one parameter of a function. Raises InvalidInput, naming both, for one that is not of its type."""
    take = _taker(kind)
    try:
        return [None if _is_missing(value) else take(_plain(value)) for value in values]
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InvalidInput(f"{parameter!r} of the function {name} takes {feature_type(kind)}: {error}") from error


def _is_missing(value: Any) -> bool:
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT", "<NA>"))  # as pandas says it


def _plain(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def _taker(kind: str) -> Callable[[Any], Any]:
    published, arrow = feature_type(kind), type_named(kind)
    if pa.types.is_nested(arrow):
        return lambda value: _mapped(value, arrow)
    if pa.types.is_decimal(arrow):
        unit = Decimal(1).scaleb(-arrow.scale)
        return lambda value: Decimal(str(value)).quantize(unit, context=_DIGITS)
    known: dict[str, Callable[[Any], Any]] = {"double": float, "float": float, "date": _day, "string": _text}
    of_family: dict[str, Callable[[Any], Any]] = {"number": _whole, "time": _moment}
    return known.get(published) or of_family.get(family(kind), lambda value: value)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _whole(value: Any) -> Any:
    """JSON has one kind of numbers: 3.0 is 3."""
    if isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _moment(value: Any) -> datetime:
    """A text, or a time of any zone, in UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return clock.parse_instant(value).astimezone(UTC)


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return _moment(value).date()


def _mapped(value: Any, kind: pa.DataType) -> Any:
    """A value with the maps in it as dicts: a request brings objects, the online store pairs."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {key: _mapped(one, kind.item_type) for key, one in (value.items() if isinstance(value, Mapping) else value)}
    if pa.types.is_list(kind):
        return [_mapped(one, kind.value_type) for one in value]
    if pa.types.is_struct(kind):
        return {field.name: _mapped(value.get(field.name), field.type) for field in kind}
    return value
