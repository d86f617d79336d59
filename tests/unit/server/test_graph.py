"""Graphs: where boxes stand, and how lines lead."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from boathouse.server.ui.graph import HEAD, WIDTH, Link, Node, Row, layered
from boathouse.server.ui.layering import arrange

graphs = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(20, 200), min_size=n, max_size=n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1]), max_size=14, unique=True
        ),
    )
)


@settings(max_examples=80, deadline=None)
@given(graphs)
def test_boxes_never_overlap_whatever_is_linked(graph: tuple[list[float], list[tuple[int, int]]]) -> None:
    sizes, links = graph
    layers = arrange(sizes, links, 10.0)
    by_layer: dict[int, list[tuple[float, float]]] = {}
    for (layer, centre), size in zip(layers.places, sizes, strict=True):
        by_layer.setdefault(layer, []).append((centre - size / 2, centre + size / 2))
        assert centre - size / 2 >= -0.01
        assert centre + size / 2 <= layers.height + 0.01
    for spans in by_layer.values():
        assert all(before[1] + 9.99 <= after[0] for before, after in pairwise(sorted(spans)))


def test_links_run_to_the_right_and_a_circle_runs_back_once() -> None:
    layers = arrange([40.0] * 4, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 0)], 10.0)
    at = [layer for layer, _ in layers.places]
    assert at == [0, 1, 2, 3]
    assert [layer for layer, _ in layers.routes[3]] == [1, 2]


def test_a_straight_chain_stays_level() -> None:
    layers = arrange([40.0, 160.0, 40.0], [(0, 1), (1, 2)], 10.0)
    assert len({round(centre) for _, centre in layers.places}) == 1


def test_lines_meet_the_rows_that_they_name() -> None:
    nodes = [Node("a", "a", rows=(Row("x", "x"), Row("y", "y"))), Node("b", "b", rows=(Row("z", "z"),))]
    picture = layered(nodes, [Link("a", "b", source_row="y", target_row="z"), ("a", "b")])
    (a, b), (column, plain) = picture.boxes, picture.lines
    assert column.path.startswith(f"M{a.x + WIDTH:.0f} {a.y + HEAD + 30:.1f}")
    assert column.path.endswith(f"{b.x:.0f} {b.y + HEAD + 10:.1f}")
    assert plain.path.startswith(f"M{a.x + WIDTH:.0f} {a.y + HEAD / 2:.1f}")


def test_nothing_is_drawn_of_nothing() -> None:
    assert layered([], []).boxes == ()
