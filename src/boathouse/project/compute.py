"""Named computes: how many processors and how much memory a task's processes may use together, here or on a cluster."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from boathouse.project.shape import Resource, Shape
from boathouse.settings import parse_size


def _size(text: str) -> str:
    parse_size(text)
    return text


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is no address; write for example http://ray-head:8265, where the cluster's dashboard answers")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


class Ray(Shape):
    """A Ray cluster, by its dashboard's address; `server` is how it reaches this server, `token` what it asks callers for."""

    address: Address
    server: Address | None = None
    token: str | None = Field(default=None, pattern=r"^\{\{\s*secrets/[^}\s]+\s*\}\}$")
    gpus: float | None = Field(default=None, gt=0)
    packages: Literal["lock", "cluster"] | None = None


class Compute(Resource):
    """Limits that tasks choose by name, `compute: small`; what is left out is as much as the machine has."""

    cpus: int | None = Field(default=None, ge=1)
    memory: Annotated[str, AfterValidator(_size)] | None = None
    comment: str = ""
    ray: Ray | None = None
