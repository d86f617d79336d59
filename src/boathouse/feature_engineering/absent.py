"""The published client's names for what is not here: they import, and say what to do instead when they are used."""

from typing import Any, Final, NoReturn

from boathouse.errors import InvalidInput


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""The published client's word for an argument that was not given."""


def given(argument: Any) -> Any:
    """An argument, None where it is UNSET."""
    return None if argument is UNSET else argument


_STREAMS = "rows come into a table by `boathouse tables ingest` or a job, and lake.table(…).stream() follows it"


def absent(name: str, instead: str) -> NoReturn:
    """Raises the InvalidInput that says so."""
    raise InvalidInput(f"{name} is not here: {instead}")


class UpgradeClient:
    """Moves workspace feature tables into a catalog: here all are in one from the start."""

    def __init__(self, *_given: Any, **_named: Any) -> None:
        absent("UpgradeClient", "tables and models are in a catalog from the start; `boathouse tables import` takes others in")


class AbsentServices:
    """Methods of the published client that answer with an InvalidInput that names the way to go here."""

    def create_stream(self, *_given: Any, **_named: Any) -> NoReturn:
        """Kafka and Kinesis: not here."""
        absent("create_stream", _STREAMS)

    def update_stream(self, *_given: Any, **_named: Any) -> NoReturn:
        """Kafka and Kinesis: not here."""
        absent("update_stream", _STREAMS)

    def get_stream(self, *_given: Any, **_named: Any) -> NoReturn:
        """Kafka and Kinesis: not here."""
        absent("get_stream", _STREAMS)

    def list_streams(self, *_given: Any, **_named: Any) -> NoReturn:
        """Kafka and Kinesis: not here."""
        absent("list_streams", _STREAMS)

    def delete_stream(self, *_given: Any, **_named: Any) -> NoReturn:
        """Kafka and Kinesis: not here."""
        absent("delete_stream", _STREAMS)

    def build_model_env(self, *_given: Any, **_named: Any) -> NoReturn:
        """Archives of a model's environment: not here."""
        absent("build_model_env", "a task runs in the environment of its project's lock, built once and kept")

    def purge_feature_entities(self, *_given: Any, **_named: Any) -> NoReturn:
        """Erasing entities everywhere: not here."""
        absent("purge_feature_entities", "lake.table(name).delete(condition), then vacuum() and publish_table, erase rows")

    def grant_feature_serving_access(self, *_given: Any, **_named: Any) -> NoReturn:
        """Granting all that a model reads at once: not here."""
        absent("grant_feature_serving_access", "`boathouse grants add EXECUTE --model NAME --to WHO`, and SELECT on its tables")
