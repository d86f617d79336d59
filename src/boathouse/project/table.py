"""Tables of which a project says what their rows must be; jobs make them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from boathouse.project.gates import Duration, seconds_of
from boathouse.project.shape import Level, Resource, Shape, Word


class Expectation(Shape):
    """An SQL expression on a row's columns, and what becomes of a row for which it is not true."""

    expr: Word
    action: Literal["warn", "drop", "fail"] = "warn"


def _as_rule(value: Any) -> Any:
    return {"expr": value} if isinstance(value, str) else value


class Table(Resource):
    """A table's expectations, and how far its newest event may lie back."""

    schema_name: Level
    name: Level
    expectations: dict[Word, Annotated[Expectation, BeforeValidator(_as_rule)]] = Field(default_factory=dict)
    freshness: Duration | None = None

    @property
    def rules(self) -> dict[str, dict[str, str]]:
        """The expectations as tables keep them."""
        return {name: {"expr": rule.expr, "action": rule.action} for name, rule in self.expectations.items()}

    @property
    def lag(self) -> float | None:
        """The freshness in seconds."""
        return float(seconds_of(self.freshness)) if self.freshness else None
