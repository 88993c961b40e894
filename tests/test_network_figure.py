"""The graph of populations: what stands on it, and that nothing covers anything else."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon

import lava_async as la
from lava_async import plots
from lava_async.errors import ValidationError
from lava_async.plots._layout import spread
from random_networks import async_schedules, graphs, inputs, schedules


def patches(figure, kind):
    return [patch for patch in figure.axes[0].patches if type(patch) is kind]


def boxes(figure):
    """(x0, y0, x1, y1) of the input and of each population."""
    found = patches(figure, FancyBboxPatch)
    return [(b.get_x(), b.get_y(), b.get_x() + b.get_width(), b.get_y() + b.get_height())
            for b in found]  # fmt: skip


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def labels(figure):
    """Those of the arrows, in order of the connections."""
    return texts(figure)[2 * len(boxes(figure)) :]


def widths(figure):
    return [patch.get_linewidth() for patch in patches(figure, PathPatch)]


def dense(source, target, out, into, **options):
    return la.Dense(source, target, np.full((out, into), 2), **options)


def network():
    """A chain with a skip, a loop, and a way back that is late."""
    populations = (
        la.Population("first (conv)", (2, 1, 2), 4096, 4096, 1),
        la.Population("second", (3,), 4096, 4096, 1),
        la.Population("output", (2,), 4096, 4096, 1),
    )
    connections = (
        la.Conv(-1, 0, np.full((2, 1, 1, 1), 2)),
        dense(0, 1, 3, 4),
        dense(1, 2, 2, 3, delay=1),
        dense(0, 2, 2, 4, delay=[0, 1, 2, 3]),
        la.OneToOne(1, 1, 4),
        dense(2, 0, 4, 2, delay=2),
    )
    return la.Graph((1, 1, 2), populations, connections)


X = np.array([[1, 1], [1, 0]]).reshape(2, 1, 1, 2, 1)


def test_words_without_a_record():
    figure = plots.network_figure(network(), title="Network")
    assert figure.get_suptitle() == "Network"
    assert texts(figure)[:8] == [
        "input", "1×1×2 = 2 channels",
        "first (conv)", "2×1×2 = 4 neurons",
        "second", "3 neurons",
        "output", "2 neurons",
    ]  # fmt: skip
    assert labels(figure) == [
        "conv", "dense", "dense\ndelay 1", "dense\ndelay 0 to 3", "one-to-one", "dense\ndelay 2",
    ]  # fmt: skip
    assert len(set(widths(figure))) == 1
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["within the time step", "recurrent", "delayed", "recurrent, delayed"]


def test_looks_differ_without_colour():
    figure = plots.network_figure(network())
    dashes = [patch.get_linestyle() for patch in patches(figure, PathPatch)]
    solid, other, late, also_late, loop, back = map(str, dashes)
    assert solid == other and late == also_late
    assert len({solid, late, loop, back}) == 4


def test_spikes_on_the_arrows():
    record = la.simulate(network(), X, la.Momentum(8), backend="reference")
    assert record.all_spikes.sum(axis=(0, 2)).tolist() == [2, 1, 2, 1, 2, 2, 2, 2, 2]
    figure = plots.network_figure(network(), record, X)
    # Two samples: 3 spikes of the input, 6 of the first, 6 of the second, 4 of the output.
    assert [label.split("\n")[-1] for label in labels(figure)] == [
        "1.5 spikes", "3 spikes", "3 spikes", "3 spikes", "3 spikes", "2 spikes",
    ]  # fmt: skip
    assert texts(figure)[1].endswith("\n1.5 spikes a sample")
    assert texts(figure)[7].endswith("\n2 spikes a sample")
    assert np.argsort(widths(figure), kind="stable").tolist() == [0, 5, 1, 2, 3, 4]


def test_input_of_one_sample_needs_no_axis_for_samples():
    record = la.simulate(network(), X[0], la.Momentum(8), backend="reference")
    one, batch = (labels(plots.network_figure(network(), record, x)) for x in (X[0], X[:1]))
    assert one == batch


def test_synaptic_operations_on_the_arrows():
    record = la.simulate(network(), X, la.Momentum(8), backend="reference")
    figure = plots.network_figure(network(), record, X, on_edges="synops")
    found = [label.split("\n")[-1] for label in labels(figure)]
    assert found == [
        "3 synops", "9 synops", "6 synops", "6 synops", "3 synops", "8 synops",
    ]  # fmt: skip
    assert sum(float(label.split()[0]) for label in found) == record.synops.sum() / 2


def test_without_the_input_its_arrows_say_nothing():
    record = la.simulate(network(), X, la.Momentum(8), backend="reference")
    figure = plots.network_figure(network(), record)
    assert labels(figure)[:2] == ["conv", "dense\n3 spikes"]


@pytest.mark.parametrize(
    ("weight", "said"), [(999, "999"), (1000, "1k"), (12345, "12.3k"), (999_600, "1M")]
)
def test_large_numbers(weight, said):
    populations = (la.Population("o", (1,), 0, 0, 1),)
    graph = la.Graph((1,), populations, (dense(-1, 0, 1, 1),))
    x = np.full((1, 1, 1), weight)
    record = la.simulate(graph, x, la.Momentum(1), backend="reference")
    assert labels(plots.network_figure(graph, record, x)) == [f"dense\n{said} spikes"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_record_with_its_input(data):
    """What the arrows carry adds up to the record's synaptic operations, or it would complain."""
    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    early = data.draw(st.booleans())
    schedule = data.draw(async_schedules() if early else schedules())
    stop = data.draw(st.integers(0, 2)) if early else None
    record = la.simulate(graph, x, schedule, stop_after=stop, trace=True, backend="reference")
    for on_edges in ("spikes", "synops"):
        figure = plots.network_figure(graph, record, x, on_edges)
        assert len(labels(figure)) == len(widths(figure)) == len(graph.connections)


def is_inside(box, x, y, by=0.01):
    return box[0] + by < x < box[2] - by and box[1] + by < y < box[3] - by


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def on_side(box, x, y, side):
    x0, y0, x1, y1 = box
    return {
        "top": y == pytest.approx(y1) and x0 < x < x1,
        "bottom": y == pytest.approx(y0) and x0 < x < x1,
        "left": x == pytest.approx(x0) and y0 < y < y1,
    }[side]


@settings(max_examples=40, deadline=None)
@given(graphs(max_populations=6), st.sampled_from(["p", "input", "$W$ \\frac", "M" * 60]))
def test_nothing_covers_anything(graph, name):
    named = dataclasses.replace(graph.populations[0], name=name)
    graph = graph.replace(populations=(named, *graph.populations[1:]))
    figure = plots.network_figure(graph)
    figure.draw_without_rendering()
    axes, found = figure.axes[0], boxes(figure)
    inside = [tuple(axes.transData.inverted().transform(text.get_window_extent()).reshape(-1))
              for text in axes.texts[: 2 * len(found)]]  # fmt: skip
    for i, (x0, y0, x1, y1) in enumerate(inside):
        box = found[i // 2]
        assert box[0] < x0 and x1 < box[2] and box[1] < y0 and y1 < box[3]
    assert not any(overlap(a, b) for a, b in itertools.combinations(inside, 2))
    assert len(found) == len(graph.populations) + 1
    assert not any(overlap(a, b) for a, b in itertools.combinations(found, 2))

    to_data = axes.transData.inverted()
    arrows = zip(
        graph.connections, patches(figure, PathPatch), patches(figure, Polygon), strict=True
    )
    for connection, line, head in arrows:
        back = connection.source >= 0 and (
            graph.order.index(connection.target) <= graph.order.index(connection.source)
        )
        source, target = found[connection.source + 1], found[connection.target + 1]
        assert on_side(source, *line.get_path().vertices[0], "left" if back else "bottom")
        assert on_side(target, *head.get_xy()[0], "left" if back else "top")
        assert back or source[1] >= target[3]  # forward is downwards
        (way,) = line.get_path().to_polygons(closed_only=False)
        dense_way = np.concatenate(
            [np.linspace(a, b, 20) for a, b in itertools.pairwise(np.asarray(way))]
        )
        assert not any(is_inside(box, x, y) for box in found for x, y in dense_way)

    words = [text.get_window_extent() for text in axes.texts[2 * len(found) :]]
    places = [tuple(to_data.transform(extent).reshape(-1)) for extent in words]
    assert not any(overlap(a, b) for a, b in itertools.combinations(places, 2))
    assert not any(overlap(place, box) for place in places for box in found)
    x0, x1 = axes.get_xlim()
    y0, y1 = axes.get_ylim()
    assert all(x0 < a and b < x1 and y0 < c and d < y1 for a, c, b, d in (*places, *found))


def test_a_chain_stands_in_line():
    names = [f"layer {i}" for i in range(12)]
    populations = tuple(la.Population(name, (4,), 0, 0, 1) for name in names)
    connections = tuple(dense(i - 1, i, 4, 4) for i in range(12))
    figure = plots.network_figure(la.Graph((4,), populations, connections))
    assert len({round(box[0], 9) for box in boxes(figure)}) == 1
    for line in patches(figure, PathPatch):
        assert np.ptp(line.get_path().vertices[:, 0]) == pytest.approx(0)


@given(
    st.lists(
        st.tuples(st.floats(-9, 9), st.floats(0, 3), st.floats(0.1, 9)), min_size=1, max_size=6
    )
)
def test_spread_keeps_apart_and_moves_no_more_than_it_must(items):
    wanted, apart, weight = (list(values) for values in zip(*items, strict=True))
    apart = apart[1:]
    found = spread(wanted, apart, weight)
    assert (np.diff(found) >= np.array(apart) - 1e-9).all()
    if (np.diff(wanted) >= apart).all():
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    # No neighbour of the solution that keeps apart is better.
    cost = float(np.square(found - wanted) @ weight)
    for step in (1e-3, -1e-3):
        for first, last in itertools.combinations(range(len(found) + 1), 2):
            moved = found.copy()
            moved[first:last] += step
            if (np.diff(moved) >= np.array(apart) - 1e-12).all():
                assert np.square(moved - wanted) @ weight >= cost - 1e-9


class TestErrors:
    def test_on_edges(self):
        with pytest.raises(ValidationError, match="on_edges: expected 'spikes' or 'synops'"):
            plots.network_figure(network(), on_edges="weights")

    def test_input_without_record(self):
        with pytest.raises(ValidationError, match="record: expected that of a run on x"):
            plots.network_figure(network(), x=X)

    def test_record_of_another_graph(self):
        record = la.simulate(network(), X, la.Momentum(8), backend="reference")
        other = la.Graph((1, 1, 2), network().populations[:1], network().connections[:1])
        with pytest.raises(ValidationError, match=r"neurons: expected 4 \(got 9\)"):
            plots.network_figure(other, record)

    @pytest.mark.parametrize("x", [X[:1], X[0], np.zeros((2, 1, 1, 2, 2), int), 3])
    def test_shape_of_the_input(self, x):
        record = la.simulate(network(), X, la.Momentum(8), backend="reference")
        with pytest.raises(ValidationError, match=r"x shape: expected \(2, 1, 1, 2, 1\)"):
            plots.network_figure(network(), record, x)

    def test_input_of_another_run(self):
        record = la.simulate(network(), X, la.Momentum(8), backend="reference")
        with pytest.raises(ValidationError, match="synaptic operations: expected those of the"):
            plots.network_figure(network(), record, 1 - X)

    def test_discarded_spikes_need_a_trace(self):
        forward = (*network().connections[:2], dense(0, 2, 2, 4), dense(1, 2, 2, 3))
        graph = dataclasses.replace(network(), connections=forward)
        run = {"schedule": la.Momentum(1), "stop_after": 0, "backend": "reference"}
        record = la.simulate(graph, X, **run)
        with pytest.raises(ValidationError, match="it has a trace"):
            plots.network_figure(graph, record, X)
        plots.network_figure(graph, la.simulate(graph, X, trace=True, **run), X)
