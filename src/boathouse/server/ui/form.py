"""What a form sent."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request


async def _fields(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}


Fields = Annotated[dict[str, str], Depends(_fields)]
"""A form's fields by name; of several with one name the last."""
