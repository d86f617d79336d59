"""Named computes: how many processors and how much memory a task's processes may use together."""

from typing import Annotated

from pydantic import AfterValidator, Field

from boathouse.project.shape import Resource
from boathouse.settings import parse_size


def _size(text: str) -> str:
    parse_size(text)
    return text


class Compute(Resource):
    """Limits that tasks choose by name, `compute: small`; what is left out is as much as the machine has."""

    cpus: int | None = Field(default=None, ge=1)
    memory: Annotated[str, AfterValidator(_size)] | None = None
    comment: str = ""
