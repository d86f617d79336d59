"""What every part of a project file is made of: closed, frozen models and the small types they share."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from boathouse.errors import InvalidName
from boathouse.names import check_level


class Shape(BaseModel):
    """A mapping with known keys. `unsupported` keys are valid in bundle YAML but have no meaning here.

    `essential` keys have none either, and the mapping does nothing without them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    unsupported: ClassVar[frozenset[str]] = frozenset()
    essential: ClassVar[frozenset[str]] = frozenset()


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _as_texts(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_tags(value: Any) -> Any:
    """Tags as a mapping, or as the list of {key, value} that some bundle resources have."""
    if isinstance(value, list) and all(isinstance(tag, Mapping) and "key" in tag for tag in value):
        return {tag["key"]: tag.get("value", "") for tag in value}
    return value


def _level(text: str) -> str:
    try:
        return check_level(text)
    except InvalidName as error:
        raise ValueError(str(error)) from error


def _free(variables: dict[str, str]) -> dict[str, str]:
    for name in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is no name of an environment variable")
        if name.upper().startswith("BOATHOUSE_"):
            raise ValueError(f"{name} is what Boathouse itself tells tasks: take another name")
    return variables


Text = Annotated[str, BeforeValidator(_as_text)]
"""A text that YAML may have read as a number or a truth value."""
Word = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Word, ...], BeforeValidator(_as_texts)]
"""One text or several."""
Level = Annotated[str, AfterValidator(_level)]
"""One level of a name."""
Tags = Annotated[dict[str, Text], BeforeValidator(_as_tags)]
Variables = Annotated[dict[str, Text], AfterValidator(_free)]
"""Environment variables; a value may be `{{secrets/scope/key}}`, or hold it."""
PauseStatus = Literal["UNPAUSED", "PAUSED"]


class Principal(Shape):
    """A user or a service principal."""

    user_name: str | None = None
    service_principal_name: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.user_name is None) == (self.service_principal_name is None):
            raise ValueError("give either user_name or service_principal_name")
        return self

    @property
    def name(self) -> str:
        """Whose name it is."""
        return self.user_name or self.service_principal_name or ""


class Permission(Shape):
    """What a user, a group or a service principal may do with a resource."""

    level: Literal[
        "CAN_VIEW", "CAN_READ", "CAN_RUN", "CAN_QUERY", "CAN_EDIT", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"
    ]
    user_name: str | None = None
    group_name: str | None = None
    service_principal_name: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (
            sum(name is not None for name in (self.user_name, self.group_name, self.service_principal_name))
            != 1
        ):
            raise ValueError("give one of user_name, group_name and service_principal_name")
        return self

    @property
    def principal(self) -> str:
        """Whose permission it is."""
        return self.user_name or self.group_name or self.service_principal_name or ""


class Grant(Shape):
    """Privileges of one principal on a securable."""

    principal: Word
    privileges: tuple[Word, ...] = Field(min_length=1)


class Lifecycle(Shape):
    """`prevent_destroy`: a plan that would delete the resource is refused."""

    prevent_destroy: bool = False
    unsupported = words("started")


class Resource(Shape):
    """What a project deploys."""

    lifecycle: Lifecycle = Lifecycle()
