import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
import training_folders
from lava_async import metrics, plots
from lava_async._semantics.connections import Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from random_networks import graphs, inputs, schedules

GRAPH = Graph(
    (1,),
    (Population("hidden", (3,), 0, 0, 1), Population("output", (2,), 0, 0, 1)),
    (Dense(-1, 0, np.ones((3, 1))), Dense(0, 1, np.ones((2, 3)))),
)
NEVER = -1


def make_record(released=True, trace=True):
    """One sample: neuron 0 fires on the input, waits, goes second; 3 follows; 4 is discarded."""
    fired_at = np.full((1, 5, 2), NEVER, np.int32)
    released_at = fired_at.copy()
    fired_at[0, 0, 0], released_at[0, 0, 0] = 0, 1
    fired_at[0, 3, 0], released_at[0, 3, 0] = 2, 2
    fired_at[0, 4, 1] = 1
    spikes = (fired_at >= 0).astype(np.int8)
    zeros = np.zeros((1, 2), np.int64)
    return Record(
        spikes=spikes[:, 3:],
        all_spikes=spikes,
        forward_steps=np.array([[3, 1]]),
        synops=zeros,
        output_steps=fired_at[:, 3:],
        overflows=zeros,
        fired_at=fired_at if trace else None,
        released_at=released_at if trace and released else None,
    )


def texts(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def markers(axes, filled):
    """x of the markers of each population."""
    return [
        line.get_xdata().tolist()
        for line in axes.get_lines()
        if line.get_marker() == "o" and (line.get_markerfacecolor() != "white") == filled
    ]


class TestRaster:
    def test_places_of_the_spikes(self):
        axes = plots.raster_figure(GRAPH, make_record(), 0).axes[0]
        # Time step 0 takes places 0..3 (3 forward steps), time step 1 places 4 and 5.
        assert markers(axes, filled=False) == [[0], [2, 5]]
        assert markers(axes, filled=True) == [[1.5], [2.5]]
        assert axes.get_xlim() == (-0.5, 5.5)
        assert axes.get_xticks().tolist() == [1.5, 4.5]
        assert texts(axes) == ["0", "1"]
        assert axes.get_xticks(minor=True).tolist() == [0, 1, 2, 3, 4, 5]

    def test_populations_are_named_and_apart(self):
        axes = plots.raster_figure(GRAPH, make_record(), 0).axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["hidden\n3 neurons", "output\n2 neurons"]
        hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
        hidden, output = (line.get_ydata() for line in hollow[:2])
        assert max(hidden) < 3 < min(output)

    def test_layer_synchronized_record_has_no_releases(self):
        axes = plots.raster_figure(GRAPH, make_record(released=False), 0).axes[0]
        assert markers(axes, filled=False) == [[0], [2, 5]]
        assert markers(axes, filled=True) == []

    def test_needs_a_trace(self):
        with pytest.raises(ValidationError, match="trace=True"):
            plots.raster_figure(GRAPH, make_record(trace=False), 0)

    @pytest.mark.parametrize("sample", [-1, 1])
    def test_needs_a_sample_of_the_record(self, sample):
        with pytest.raises(ValidationError, match=r"sample: expected 0\.\.0"):
            plots.raster_figure(GRAPH, make_record(), sample)

    def test_needs_the_graph_of_the_record(self):
        other = Graph((1,), GRAPH.populations[:1], GRAPH.connections[:1])
        with pytest.raises(ValidationError, match=r"neurons: expected 3 \(got 5\)"):
            plots.raster_figure(other, make_record(), 0)


    def test_several_stand_on_one_axis(self):
        records = {"layered": make_record(released=False), "asynchronous": make_record()}
        figure = plots.raster_figure(GRAPH, records, title="Two")
        above, below = figure.axes
        assert [axes.get_title(loc="left") for axes in (above, below)] == list(records)
        assert figure.get_suptitle() == "Two"
        assert markers(above, filled=False) == markers(below, filled=False) == [[0], [2, 5]]
        assert (markers(above, filled=True), markers(below, filled=True)) == ([], [[1.5], [2.5]])
        assert above.get_xlim() == below.get_xlim()

    def test_the_longer_one_sets_the_length(self):
        short = dataclasses.replace(make_record(), forward_steps=np.array([[3, 0]]))
        figure = plots.raster_figure(GRAPH, {"long": make_record(), "short": short})
        assert [axes.get_xlim() for axes in figure.axes] == [(-0.5, 5.5)] * 2

    def test_some_time_steps(self):
        axes = plots.raster_figure(GRAPH, make_record(), time_steps=range(1, 2)).axes[0]
        assert markers(axes, filled=False) == [[], [5]]
        assert markers(axes, filled=True) == [[], []]
        assert axes.get_xlim() == (3.5, 5.5)
        assert texts(axes) == ["1"]

    def test_layer_synchronized_sample_of_a_mixture(self):
        """Its record has -1 for the releases: nothing was discarded."""
        record = make_record()
        record = dataclasses.replace(record, released_at=np.full_like(record.fired_at, NEVER))
        axes = plots.raster_figure(GRAPH, record).axes[0]
        assert markers(axes, filled=False) == [[0], [2, 5]]
        assert markers(axes, filled=True) == []

    def test_needs_a_record(self):
        with pytest.raises(ValidationError, match="records: expected at least one"):
            plots.raster_figure(GRAPH, {})

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_every_spike_of_any_network(self, data):
        graph = data.draw(graphs())
        x = data.draw(inputs(graph))
        record = la.simulate(graph, x, data.draw(schedules()), trace=True, backend="reference")
        sample = len(x) - 1
        start = np.concatenate([[0], np.cumsum(record.forward_steps[sample] + 1)])
        axes = plots.raster_figure(graph, record, sample).axes[0]
        hollow = markers(axes, filled=False)
        assert len(hollow) == len(graph.populations)
        for p, places in enumerate(hollow):
            fired = record.fired_at[sample, graph.slice(p)]
            wanted = [start[t] + fired[n, t] for n, t in np.argwhere(fired >= 0)]
            assert places == wanted
        if record.released_at is not None:
            released = record.released_at[sample]
            wanted = [start[t] + released[n, t] + 0.5 for n, t in np.argwhere(released >= 0)]
            assert [x for places in markers(axes, filled=True) for x in places] == wanted

    def test_many_neurons_and_long(self, tmp_path):
        """Markers shrink, small ticks go, and a PDF holds an image in place of each spike."""
        rng = np.random.default_rng(0)
        graph = Graph(
            (1,),
            (Population("many", (3000,), 0, 0, 1), Population("few", (4,), 0, 0, 1)),
            (Dense(-1, 0, np.ones((3000, 1))), Dense(0, 1, np.ones((4, 3000)))),
        )
        fired_at = np.where(rng.random((1, 3004, 200)) < 0.05, 3, NEVER).astype(np.int32)
        spikes, zeros = (fired_at >= 0).astype(np.int8), np.zeros((1, 200), np.int64)
        record = Record(
            spikes=spikes[:, 3000:], all_spikes=spikes, forward_steps=zeros + 20, synops=zeros,
            output_steps=fired_at[:, 3000:], overflows=zeros, fired_at=fired_at,
            released_at=np.where(fired_at >= 0, 9, NEVER).astype(np.int32),
        )  # fmt: skip
        figure = plots.raster_figure(graph, record)
        axes = figure.axes[0]
        width, height = figure.get_size_inches()
        assert width <= 14 and height <= 9
        many, _, few, _ = (line for line in axes.get_lines() if line.get_marker() == "o")
        assert len(many.get_xdata()) == spikes[0, :3000].sum()
        assert many.get_markersize() <= few.get_markersize() < 3.5
        assert axes.get_xticks(minor=True).tolist() == [] and len(texts(axes)) <= 20
        assert axes.get_xlabel() == "Time step"
        plots.save(figure, tmp_path / "raster.pdf")
        assert (tmp_path / "raster.pdf").stat().st_size < 4 << 20


def history(*values, start=1):
    """Epochs with an accuracy and a number of spikes each, as training writes them."""
    return [
        {"epoch": epoch, "loss": 0.5, "accuracy": accuracy, "spikes_per_sample": spikes}
        for epoch, (accuracy, spikes) in enumerate(values, start)
    ]


class TestLearning:
    TRAININGS: ClassVar = {
        "layered": [history((0.5, 400), (0.75, 300)), history((0.25, 200), (0.75, 100))],
        "decisive": [history((0.5, 100), (1, 50), (1, 40))],
    }

    def test_means_and_spread(self):
        figure = plots.learning_figure(self.TRAININGS, title="Learning")
        assert figure.get_suptitle() == "Learning"
        accuracy, spikes = figure.axes
        layered, decisive = accuracy.get_lines()
        assert layered.get_xdata().tolist() == [1, 2] and decisive.get_xdata().tolist() == [1, 2, 3]
        assert layered.get_ydata().tolist() == [37.5, 75]
        assert decisive.get_ydata().tolist() == [50, 100, 100]
        assert spikes.get_lines()[0].get_ydata().tolist() == [300, 200]
        # One band each: a single seed has no spread.
        (band,) = accuracy.collections
        low, high = (37.5 + sign * statistics.stdev([50, 25]) for sign in (-1, 1))
        ys = band.get_paths()[0].vertices[:, 1]
        assert (ys.min(), ys.max()) == (pytest.approx(low), pytest.approx(max(high, 75)))
        assert len(spikes.collections) == 1
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names == ["layered (2 seeds)", "decisive (1 seed)"]

    def test_axes(self):
        accuracy, spikes = plots.learning_figure(self.TRAININGS).axes
        assert accuracy.get_ylim() == (10, 100) and spikes.get_ylim()[0] == 0
        assert [axes.get_ylabel() for axes in (accuracy, spikes)] == [
            "Accuracy (%)", "Spikes per sample",
        ]  # fmt: skip
        assert all(tick == int(tick) for tick in accuracy.get_xticks())

    def test_lines_differ_without_colour(self):
        trainings = {str(i): [history((0.5, 1))] for i in range(7)}
        lines = plots.learning_figure(trainings).axes[0].get_lines()
        assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 7

    def test_what_training_writes(self, few_digits, tmp_path, capsys):
        training_folders.run(capsys, "train", "--out", "out", "--epochs", "2")
        epochs = json.loads((tmp_path / "out" / "metrics.json").read_text())["epochs"]
        accuracy, spikes = plots.learning_figure({"digits": [epochs]}).axes
        assert accuracy.get_lines()[0].get_ydata().tolist() == [
            100 * entry["accuracy"] for entry in epochs
        ]
        assert spikes.get_lines()[0].get_ydata().tolist() == [
            entry["spikes_per_sample"] for entry in epochs
        ]

    @pytest.mark.parametrize(
        ("trainings", "complaint"),
        [
            ({}, "trainings: expected at least one"),
            ({"a": []}, "a: histories: expected epochs of a seed"),
            ({"a": [[]]}, "a: histories: expected epochs of a seed"),
            ({"a": [history((1, 1)), history((1, 1), (1, 1))]},
             r"a, history 1: epochs: expected \[1\], as of the first \(got \[1, 2\]\)"),
            ({"a": [history((1, 1)), history((1, 1), start=2)]}, "a, history 1: epochs"),
            ({"a": [[{"epoch": 1, "accuracy": 1}]]},
             r"a, entry 0: spikes_per_sample: expected a number \(got None\)"),
            ({"a": [history(("high", 1))]}, "a, entry 0: accuracy: expected a number"),
            ({"a": [[3]]}, "a, entry 0: epoch: expected a number"),
        ],
    )  # fmt: skip
    def test_bad_histories(self, trainings, complaint):
        with pytest.raises(ValidationError, match=complaint):
            plots.learning_figure(trainings)


class TestAccuracy:
    def test_curves(self):
        curves = {"layered": ([0, 1, 2], [0, 0.5, 1]), "unlayered": ([0, 1], [0.25, 0.75])}
        axes = plots.accuracy_figure(curves).axes[0]
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == ["layered", "unlayered"]
        assert lines[0].get_ydata().tolist() == [0, 50, 100]
        assert lines[1].get_xdata().tolist() == [0, 1]
        assert lines[0].get_color() != lines[1].get_color()
        assert (axes.get_xlim(), axes.get_ylim()) == ((0, 2), (0, 100))
        assert axes.get_ylabel() == "Accuracy (%)"

    def test_needs_a_curve(self):
        with pytest.raises(ValidationError, match="curves: expected at least one"):
            plots.accuracy_figure({})


class TestSpikesPerPopulation:
    def test_bars(self):
        figure = plots.spikes_per_population_figure(
            {"layered": [("a", 10.0), ("b", 4.0)], "unlayered": [("b", 3.0)]}
        )
        axes = figure.axes[0]
        heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
        assert heights == [[10, 4], [3]]
        assert texts(axes) == ["a", "b"]
        bar = axes.containers[1][0]
        assert 1 < bar.get_x() + bar.get_width() / 2 < 1.5  # beside "b" of the other
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == ["layered (14 in all)", "unlayered (3 in all)"]

    def test_bars_differ_without_colour(self):
        spikes = {str(i): [("a", 1.0)] for i in range(7)}
        bars = plots.spikes_per_population_figure(spikes).axes[0].patches
        assert len({bar.get_hatch() for bar in bars}) == 7

    def test_what_the_metric_counts(self):
        """(B, populations) of a record, named by its graph; bars are means over the samples."""
        x = np.array([[[1, 1]], [[2, 0]]])
        record = la.simulate(GRAPH, x, backend="reference")
        counts = metrics.spikes_per_population(GRAPH, record)
        figure = plots.spikes_per_population_figure({"mine": counts}, graph=GRAPH)
        (bars,) = figure.axes[0].containers
        assert texts(figure.axes[0]) == ["hidden", "output"]
        assert [bar.get_height() for bar in bars] == counts.mean(axis=0).tolist() != [0, 0]

    def test_arrays_and_pairs_side_by_side(self):
        spikes = {"counted": np.array([[3, 1], [4, 0]]), "told": [("output", 2.0), ("more", 1.0)]}
        axes = plots.spikes_per_population_figure(spikes, graph=GRAPH).axes[0]
        assert texts(axes) == ["hidden", "output", "more"]
        assert [[bar.get_height() for bar in bars] for bars in axes.containers] == [
            [3.5, 0.5], [2, 1]
        ]  # fmt: skip

    def test_populations_of_one_name_have_places_of_their_own(self):
        twins = dataclasses.replace(GRAPH, populations=tuple(
            dataclasses.replace(each, name="layer") for each in GRAPH.populations
        ))  # fmt: skip
        spikes = {name: np.array([[3, 1]]) for name in "ab"}
        axes = plots.spikes_per_population_figure(spikes, graph=twins).axes[0]
        assert texts(axes) == ["layer", "layer"]
        places = [round(bar.get_x() + bar.get_width() / 2) for bar in axes.patches]
        assert places == [0, 1, 0, 1]

    @pytest.mark.parametrize(
        ("shape", "graph", "complaint"),
        [
            ((2, 2), None, r"graph: expected the Graph that the arrays are of, .*NoneType\)"),
            ((2, 2), "a.net", r"graph: expected the Graph .* \(got str\)"),
            ((2, 3), GRAPH, r": mine: shape: expected \(samples, 2\), .* \(got \(2, 3\)\)"),
            ((2,), GRAPH, r": mine: shape: expected \(samples, 2\), .* \(got \(2,\)\)"),
            ((0, 2), GRAPH, r": mine: shape: expected \(samples, 2\), a sample or more"),
            ((1, 2, 2), GRAPH, r": mine: shape: expected"),
        ],
    )
    def test_arrays_need_their_graph(self, shape, graph, complaint):
        with pytest.raises(ValidationError, match=complaint):
            plots.spikes_per_population_figure({"mine": np.zeros(shape, int)}, graph=graph)

    @pytest.mark.parametrize(
        ("given", "got"),
        [
            (np.array([[3, 1]]).tolist(), r"\[3, 1\]"),  # no names
            (np.ones((2, 9), int).tolist(), r"\[1, 1, 1, 1, 1, 1, \.\.\.\]"),
            ([3, 1], "3"),
            ([("a", 1, 2)], r"\('a', 1, 2\)"),
            ([("a", "1")], r"\('a', '1'\)"),
            ([("a", None)], r"\('a', None\)"),
            ([("a", 1.0), "ab"], "'ab'"),
            ({"a": 1.0}, "'a'"),
            (5, "5"),
            (None, "None"),
        ],
    )
    def test_what_is_neither_pairs_nor_an_array_is_told(self, given, got):
        wanted = "pairs of a population's name and its spikes per sample, or the array that"
        with pytest.raises(ValidationError, match=rf": mine: expected {wanted} .*\(got {got}\)"):
            plots.spikes_per_population_figure({"mine": given}, graph=GRAPH)

    @pytest.mark.parametrize("given", [[("a", 1.0)], np.ones((1, 2), int), None])
    def test_several_have_names(self, given):
        with pytest.raises(ValidationError, match=r"spikes: expected a dict of what to show"):
            plots.spikes_per_population_figure(given, graph=GRAPH)

    @pytest.mark.parametrize("spikes", [{}, {"layered": []}])
    def test_needs_a_population(self, spikes):
        with pytest.raises(ValidationError, match="at least one population"):
            plots.spikes_per_population_figure(spikes)


class TestAccuracyBySchedule:
    ORDERS = (la.LayerSync(), la.Momentum(8), la.Random(1))

    def result(self, *correct, orders=ORDERS, samples=100):
        shares = np.array(correct) / samples
        predictions = np.zeros((len(correct), samples), np.int64)
        return metrics.AccuracyBySchedule(orders, shares, shares, predictions)

    def drawn(self, container):
        """Of an error bar: points, and their intervals."""
        points, _, (bars,) = container.lines
        ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
        return points.get_xdata().tolist(), points.get_ydata().tolist(), ends

    def rings(self, axes):
        return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines()
                if line.get_markersize() == 12]  # fmt: skip

    def test_points_intervals_numbers_and_the_worst(self):
        result = self.result(97, 95, 80)
        figure = plots.accuracy_by_schedule_figure(result)
        (axes,) = figure.axes
        (container,) = axes.containers
        shares, heights, ends = self.drawn(container)
        assert shares == (100 * result.accuracy).tolist() and heights == [0, 1, 2]
        np.testing.assert_allclose(ends, 100 * np.array(result.accuracy_intervals), rtol=1e-12)
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [str(order) for order in self.ORDERS]
        assert axes.get_ylim() == (2.5, -0.5)  # the first on top
        assert [text.get_text() for text in axes.texts] == ["97.0", "95.0", "80.0"]
        assert self.rings(axes) == [(shares[2], 2)]
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["the worst schedule"]
        assert all(0 <= tick <= 100 for tick in axes.get_xticks())

    def test_what_the_metric_returns(self):
        x, labels = np.ones((4, 1, 2), int), [0, 1, 0, 1]
        result = metrics.accuracy_by_schedule(
            GRAPH, x, labels, self.ORDERS[1:], backend="reference"
        )
        (axes,) = plots.accuracy_by_schedule_figure(result, title="Mine").axes
        assert self.drawn(axes.containers[0])[0] == (100 * result.accuracy).tolist()
        assert axes.get_title(loc="left") == "Mine"

    def test_several_networks_differ_without_colour_and_do_not_overlap(self):
        results = {str(i): self.result(90, 80, 70 + i) for i in range(7)}
        figure = plots.accuracy_by_schedule_figure(results)
        (axes,) = figure.axes
        points = [container.lines[0] for container in axes.containers]
        assert len({each.get_marker() for each in points}) == 7
        heights = np.array([each.get_ydata() for each in points], float).reshape(-1)
        assert len(set(np.round(heights, 6))) == 21
        assert set(np.round(heights)) == {0, 1, 2}
        told = [text.get_text() for text in figure.legends[0].get_texts()]
        assert told == [*results, "the worst schedule"]
        assert len(self.rings(axes)) == 7

    def test_long_names_have_lines_and_room(self):
        names = [la.Mixture(tuple(map(la.Momentum, range(1 + i, 7 + i)))) for i in range(3)]
        figure = plots.accuracy_by_schedule_figure(self.result(90, 80, 70, orders=names))
        figure.draw_without_rendering()
        (axes,) = figure.axes
        labels = axes.get_yticklabels()
        assert [" ".join(each.get_text().split()) for each in labels] == list(map(str, names))
        boxes = [each.get_window_extent() for each in labels]
        assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
        assert axes.get_window_extent().width > figure.bbox.width / 2

    def test_schedules_that_not_all_have_and_that_read_alike(self):
        six = tuple(map(la.Fifo, range(1, 7)))
        mixtures = tuple(la.Mixture((*six, la.Random(size))) for size in (1, 8))
        results = {
            "a": self.result(90, 80, orders=mixtures),
            "b": self.result(70, 60, orders=(mixtures[0], la.Fifo())),
        }
        (axes,) = plots.accuracy_by_schedule_figure(results).axes
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names[0] == names[1] != names[2] == "fifo, F = 8"
        assert [np.round(self.drawn(each)[1]).tolist() for each in axes.containers] == [
            [0, 1], [0, 2]
        ]  # fmt: skip

    def test_one_schedule_is_no_worst(self):
        figure = plots.accuracy_by_schedule_figure(self.result(90, orders=self.ORDERS[:1]))
        assert self.rings(figure.axes[0]) == [] and figure.legends == []

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            ({}, r"result: expected at least one \(got 0\)"),
            ([0.9], r"result: expected what metrics.accuracy_by_schedule returns \(got list\)"),
            ({"a": None}, r"result: expected what metrics.* \(got NoneType\)"),
        ],
    )
    def test_bad_results(self, given, complaint):
        with pytest.raises(ValidationError, match=complaint):
            plots.accuracy_by_schedule_figure(given)


class TestSave:
    @pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
    def test_format_by_suffix(self, tmp_path, suffix, magic):
        path = tmp_path / f"figure.{suffix}"
        plots.save(plots.raster_figure(GRAPH, make_record(), 0), path)
        assert path.read_bytes().startswith(magic)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["figure", "figure.xyz"])
    def test_unknown_format(self, tmp_path, name):
        with pytest.raises(ValidationError, match=r"format: expected one of .*png"):
            plots.save(plots.accuracy_figure({"a": ([0], [0])}), tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_error_while_drawing_keeps_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / "figure.png"
        path.write_bytes(b"old")
        figure = plots.accuracy_figure({"a": ([0], [0])})

        def half_written(target, **_):
            target.write(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(figure, "savefig", half_written)
        with pytest.raises(OSError, match="disk full"):
            plots.save(figure, path)
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_no_global_state():
    """Importing the module loads no matplotlib, and no figure needs pyplot or a display."""
    code = """if True:
        import sys, tempfile
        import numpy as np, lava_async as la, lava_async.plots as p
        before = "matplotlib" in sys.modules
        graph = la.Graph((1,), [la.Population("o", (1,), 0, 0, 1)], [la.Dense(-1, 0, [[4]])])
        x = np.ones((1, 1, 1), int)
        record = la.simulate(graph, x, la.Momentum(1), trace=True, backend="reference")
        import matplotlib
        # Looking the backend up would load pyplot.
        copy = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != "backend"}
        settings = copy()
        p.accuracy_figure({"a": ([0, 1], [0, 1])})
        p.spikes_per_population_figure({"a": [("o", 1)]})
        from lava_async import metrics
        p.accuracy_by_schedule_figure(metrics.accuracy_by_schedule(graph, x, [0], [la.Fifo()]))
        p.learning_figure({"a": [[{"epoch": 1, "accuracy": 1, "spikes_per_sample": 1}]]})
        p.save(p.raster_figure(graph, record), tempfile.mkdtemp() + "/a.png")
        p.network_figure(graph, record, x)
        for suffix in ("gif", "html"):
            animation = p.sample_animation(graph, {"a": record})
            p.save_animation(animation, tempfile.mkdtemp() + "/a." + suffix)
        print(before, "matplotlib.pyplot" in sys.modules, settings == copy())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False False True\n"), done.stderr
