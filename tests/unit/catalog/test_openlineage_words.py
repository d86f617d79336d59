"""Names and columns in OpenLineage's words, there and back."""

import pytest

from boathouse.catalog import Vocabulary
from boathouse.catalog.lineage.node import external, external_parts

WORDS = Vocabulary("boathouse")
MAPPING = {"columns": {"late": {"delay": "TRANSFORMATION", "kind": "CONDITIONAL"}, "n": {"id": "AGGREGATION"}},
           "rows": {"origin": ["FILTER", "JOIN"]}}  # fmt: skip


@pytest.mark.parametrize(
    ("node", "dataset"),
    [
        ("prod.raw.weather", ("boathouse", "prod.raw.weather")),
        ("model:prod.flights.delay", ("boathouse", "model:prod.flights.delay")),
        ("external:s3://bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("external:bigquery/project.set.table", ("bigquery", "project.set.table")),
        ("file:s3://bucket/a.csv", ("s3://bucket", "a.csv")),
        ("file:/data/a.csv", ("file", "/data/a.csv")),
        ("file:a.csv", ("file", "a.csv")),
    ],
)
def test_nodes_are_datasets(node: str, dataset: tuple[str, str]) -> None:
    assert WORDS.dataset(node) == dataset


@pytest.mark.parametrize("dataset", [("s3://bucket", "a/b.csv"), ("bigquery", "p.s.t"), ("postgres://db:5432", "shop.public.t")])
def test_foreign_datasets_come_back_as_they_were(dataset: tuple[str, str]) -> None:
    assert external_parts(external(*dataset)) == dataset
    assert WORDS.dataset(WORDS.node(*dataset)) == dataset


def test_columns_come_back_as_they_were() -> None:
    dataset = WORDS.dataset("prod.raw.flights")

    def fields(parts: list[tuple[tuple[str, str], str, str, str]]) -> list[dict[str, object]]:
        return [{"namespace": n, "name": t, "field": c, "transformations": [{"type": k, "subtype": how}]}
                for (n, t), c, k, how in parts]  # fmt: skip

    said = WORDS.fields({"prod.raw.flights": MAPPING, "prod.raw.other": None})
    facet = {"fields": {o: {"inputFields": fields(p)} for o, p in said.items() if o}, "dataset": fields(said[""])}
    assert WORDS.mapping(facet, dataset) == MAPPING
    assert WORDS.mapping(facet, ("boathouse", "prod.raw.elsewhere")) is None


def test_older_events_and_unknown_ways_are_understood() -> None:
    old = {"fields": {"a": {"inputFields": [{"namespace": "n", "name": "t", "field": "x"}], "transformationType": "IDENTITY"}}}
    assert WORDS.mapping(old, ("n", "t")) == {"columns": {"a": {"x": "IDENTITY"}}, "rows": {}}
    new = {"namespace": "n", "name": "t", "field": "x", "transformations": [{"type": "INDIRECT", "subtype": "TELEPATHY"}]}
    assert WORDS.mapping({"fields": {"a": {"inputFields": [new]}}}, ("n", "t")) == {"columns": {}, "rows": {"x": ["FILTER"]}}
