"""What MLflow's clients bring along: a token, and perhaps an environment."""

import base64

import pytest

from boathouse.server.mlflow_guard import credentials

HERE = ("dev", "prod")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [("Bearer bh_1", ("bh_1", None)), ("Bearer bh_1@prod", ("bh_1", "prod")), (basic("prod:bh_1"), ("bh_1", "prod")),
     (basic("ann:bh_1"), ("bh_1", None)), (basic(":bh_1"), ("bh_1", None)), (basic("ann:bh_1@prod"), ("bh_1", "prod")),
     (basic("dev:bh_1@prod"), ("bh_1", "prod")), ("Basic ?", (None, None))],
)  # fmt: skip
def test_the_user_beside_a_token_names_an_environment_or_nothing(header: str, found: tuple[str | None, str | None]) -> None:
    assert credentials({"authorization": header}, None, HERE) == found
