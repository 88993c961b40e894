"""Figures of a study: what they show, from rows made by hand, and when there is nothing to."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from lava_async.study import charts
from lava_async.study.chart_parts import rows_of
from lava_async.study.results import Results
from lava_async.study.table import Point
from study_rows import realistic, row

DECISIVE = dict(method="decisive", trained_with="momentum:8")


def texts(axes):
    return [text.get_text() for text in axes.texts]


def labels(ticks):
    return [label.get_text() for label in ticks]


def lines(axes):
    """(x, y) of each line of an error bar, by its label."""
    found = {}
    for container in axes.containers:
        points = np.round(container.lines[0].get_xydata(), 6)
        found.setdefault(container.get_label(), []).append(tuple(points.T.tolist()))
    return found


class TestAccuracyByOrder:
    def rows(self):
        shares = {"layer:8": (0.9, 0.8), "random:1": (0.5, 0.4), "momentum:8": (0.7, 0.7)}
        rows = [row(run=run, accuracy=share, samples=10, seed=seed)
                for run, both in shares.items() for seed, share in enumerate(both)]  # fmt: skip
        return [*rows, row(**DECISIVE, run="momentum:8", accuracy=0.6, samples=10)]

    def test_numbers_and_what_was_not_run(self):
        axes = charts.accuracy_by_order(Results(self.rows())).axes[0]
        assert labels(axes.get_xticklabels()) == [
            "layer\nby layer", "momentum\nF = 8", "random\nF = 1"
        ]  # fmt: skip
        assert labels(axes.get_yticklabels()) == ["layered", "decisive, momentum F = 8"]
        assert sorted(texts(axes)) == sorted(
            ["85.0 ± 7.1", "70.0 ± 0.0", "45.0 ± 7.1", "not run", "60.0", "not run"]
        )
        values = axes.images[0].get_array().filled(np.nan)
        assert np.round(values[0], 6).tolist() == [85, 70, 45]
        assert np.isnan(values[1]).tolist() == [True, False, True]

    def test_the_worst_is_framed(self):
        axes = charts.accuracy_by_order(Results(self.rows())).axes[0]
        middles = {(patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2)
                   for patch in axes.patches}  # fmt: skip
        assert {(round(x, 6), round(y, 6)) for x, y in middles} == {(2, 0)}

    def test_small_differences_do_not_look_like_large_ones(self):
        rows = [row(run=run, correct=right, samples=1000)
                for run, right in (("layer:8", 900), ("momentum:8", 899))]  # fmt: skip
        image = charts.accuracy_by_order(Results(rows)).axes[0].images[0]
        low, high = image.get_clim()
        assert high - low >= 5

    def test_one_order_is_no_comparison(self):
        assert charts.accuracy_by_order(Results([row(), row(run="fifo:8", stop_after=0)])) is None


class TestTradeOff:
    def rows(self):
        return [
            row(**DECISIVE, run="momentum:8", penalty=penalty, accuracy=0.9, seed=seed, samples=10,
                spikes_per_sample=spikes + seed, synops_per_sample=10 * spikes)
            for penalty, spikes in ((0.01, 100), (0.001, 200))
            for seed in (0, 2)
        ] + [row(run=run, accuracy=accuracy, samples=10, spikes_per_sample=500)
             for run, accuracy in (("layer:8", 0.8), ("momentum:8", 0.7))]  # fmt: skip

    def test_a_line_a_method_over_penalties(self):
        spikes, synops = charts.trade_off(Results(self.rows())).axes
        ours = "decisive, momentum F = 8"
        assert lines(spikes)[ours] == [([201, 101], [90, 90])]
        assert lines(synops)[ours] == [([2000, 1000], [90, 90])]
        assert texts(spikes) == ["0.001", "0.01"]

    def test_layered_as_trained_and_asynchronously(self):
        spikes, _ = charts.trade_off(Results(self.rows())).axes
        found = [line for each in lines(spikes).values() for line in each]
        assert ([500], [80]) in found and ([500], [70]) in found
        faces = {tuple(c.lines[0].get_ydata()): c.lines[0].get_markerfacecolor()
                 for c in spikes.containers}  # fmt: skip
        assert faces[(70.0,)] == "white" and faces[(80.0,)] != "white"

    def test_a_network_that_never_fires(self):
        rows = [*self.rows(), row("unrolled", "momentum:8", trained_with="momentum:8",
                                  spikes_per_sample=0.0)]  # fmt: skip
        spikes, synops = charts.trade_off(Results(rows)).axes
        assert (spikes.get_xscale(), synops.get_xscale()) == ("linear", "log")

    def test_needs_two_networks(self):
        assert charts.trade_off(Results([row(), row(run="momentum:8")])) is None


class TestAccuracyInTime:
    def points(self, each, accuracies, run="momentum:8"):
        return [Point(each.name, each.network, each.seed, run, step, accuracy)
                for step, accuracy in enumerate(accuracies)]  # fmt: skip

    def test_mean_over_seeds_of_different_length(self):
        rows = [row(**DECISIVE, run="momentum:8", seed=seed, decision_step=1.0 + seed)
                for seed in (0, 1)]  # fmt: skip
        points = self.points(rows[0], [0, 0.5]) + self.points(rows[1], [0, 0.1, 1.0])
        axes, strip = charts.accuracy_in_time(Results(rows), points).axes
        (curve,), (decision,) = axes.get_lines(), strip.get_lines()
        assert curve.get_xdata().tolist() == [0, 1, 2]
        assert np.round(curve.get_ydata(), 6).tolist() == [0, 30, 75]  # the first stays at 0.5
        assert (list(decision.get_xdata()), list(decision.get_ydata())) == ([1.5], [0])

    def test_nobody_decides(self):
        rows = [row(**DECISIVE, run="momentum:8", decision_step=None)]
        figure = charts.accuracy_in_time(Results(rows), self.points(rows[0], [0, 0.5]))
        assert [len(axes.get_lines()) for axes in figure.axes] == [1, 0]

    @pytest.mark.parametrize("count", [3, 7, 10])
    def test_those_that_decide_equally_soon_hide_no_other(self, count):
        rows = [row("decisive", trained_with=f"momentum:{size}", run="momentum:8", penalty=0.1)
                for size in range(1, count + 1)]  # fmt: skip
        points = [point for each in rows for point in self.points(each, [0, 0.9])]
        figure = charts.accuracy_in_time(Results(rows), points)
        panels, strips = figure.axes[::2], figure.axes[1::2]
        assert len(panels) == len(strips) == (1 if count <= 7 else 2)
        for axes, strip in zip(panels, strips, strict=True):
            lanes = [line.get_ydata()[0] for line in strip.get_lines()]
            assert lanes == list(range(len(axes.get_lines())))
            low, high = strip.get_ylim()
            assert high < 0 and low > lanes[-1]
            looks = [
                [(line.get_color(), line.get_marker()) for line in each.get_lines()]
                for each in (axes, strip)
            ]
            assert looks[0] == looks[1]
            assert axes.get_xlim() == strip.get_xlim() and axes.get_ylim() == (0, 100)

    def test_layer_by_layer_and_the_reference(self):
        rows, points = realistic(1)
        panels = charts.accuracy_in_time(Results(rows), points).axes
        assert [axes.get_title() for axes in panels[:2]] == [
            "run layer by layer", "run momentum, F = 8"
        ]  # fmt: skip

    def test_needs_points_of_the_networks(self):
        rows = [row(**DECISIVE, run="momentum:8")]
        assert charts.accuracy_in_time(Results(rows), []) is None
        assert charts.accuracy_in_time(Results(rows), self.points(row(seed=5), [0, 1])) is None


class TestEarlyDecision:
    def test_rising_k_then_without(self):
        rows = [
            row(**DECISIVE, run="momentum:8", stop_after=stop, correct=right, samples=10,
                spikes_per_sample=spikes)
            for stop, right, spikes in ((None, 9, 100), (4, 8, 50), (0, 6, 30))
        ]  # fmt: skip
        accuracy, spikes = charts.early_decision(Results(rows)).axes
        assert lines(accuracy) == {"decisive, momentum F = 8": [([0, 1, 2], [60, 80, 90])]}
        assert [each for (each,) in lines(spikes).values()] == [([0, 1, 2], [30, 50, 100])]
        assert labels(accuracy.get_xticklabels()) == ["0", "4", "never"]

    @pytest.mark.parametrize("stops", [[None], [0, 4]])
    def test_needs_runs_with_and_without(self, stops):
        rows = [row(**DECISIVE, run="momentum:8", stop_after=stop) for stop in stops]
        assert charts.early_decision(Results(rows)) is None


class TestGroupSize:
    def test_a_panel_a_scheduler(self):
        rows = [row(run=run, correct=right, samples=10) for run, right in (
            ("layer:8", 10), ("momentum:8", 9), ("momentum:1", 5), ("fifo:8", 8), ("random:8", 7),
            ("random:4", 6), ("layer:1", 10)
        )]  # fmt: skip
        panels = charts.group_size(Results(rows)).axes
        assert [axes.get_title() for axes in panels] == ["run momentum", "run random"]
        assert lines(panels[0]) == {"layered": [([8, 1], [90, 50])]}
        assert labels(panels[0].get_xticklabels()) == ["1", "8"]
        assert labels(panels[1].get_xticklabels()) == ["4", "8"]

    def test_needs_two_sizes(self):
        rows = [row(run=run) for run in ("layer:8", "layer:1", "momentum:8", "random:1")]
        assert charts.group_size(Results(rows)) is None


class TestWorstOrder:
    def test_the_worst_is_named(self):
        rows = [row(run=run, correct=right, samples=10, seed=seed)
                for run, both in (("layer:8", (9, 9)), ("random:1", (5, 7)), ("fifo:8", (7, 7)))
                for seed, right in enumerate(both)]  # fmt: skip
        (axes,) = charts.worst_order(Results(rows)).axes
        assert texts(axes) == ["random, F = 1: 60.0 ± 14.1"]
        assert axes.texts[0].xy == (60, 0)
        markers = {line.get_marker(): np.round(line.get_xdata(), 6).tolist()
                   for line in axes.get_lines() if line.get_marker() != "None"}  # fmt: skip
        assert markers == {"s": [90], "^": [60], "D": [70]}

    def test_a_scheduler_looks_the_same_in_every_study(self):
        for runs in (("layer:8", "fifo:8"), ("momentum:8", "random:8", "fifo:8")):
            (axes,) = charts.worst_order(Results([row(run=run) for run in runs])).axes
            assert axes.get_lines()[-1].get_marker() == "D"

    def test_needs_two_orders(self):
        assert charts.worst_order(Results([row()])) is None


def test_lines_differ_without_their_colours():
    """As in greyscale: by the marker."""
    axes = charts.early_decision(Results(realistic(1)[0])).axes[0]
    shown = [container.lines[0] for container in axes.containers]
    assert len({line.get_marker() for line in shown}) == len(shown) == 6
    assert len({line.get_color() for line in shown}) == len(shown)


def test_a_way_to_train_looks_the_same_in_all_figures():
    results, points = Results(realistic(1)[0]), realistic(1)[1]
    figures = [charts.trade_off(results), charts.accuracy_in_time(results, points),
               charts.early_decision(results), charts.group_size(results)]  # fmt: skip
    looks = []
    for figure in figures:
        handles, names = figure.axes[0].get_legend_handles_labels()
        lines = [handle[0] if hasattr(handle, "lines") else handle for handle in handles]
        looks.append([(line.get_color(), line.get_marker()) for line in lines])
        assert [name.split(",")[0].split(" 0")[0] for name in names] == [
            "layered", "layered + penalty", "unrolled", "decisive", "decisive", "decisive"
        ]  # fmt: skip
    assert looks == [looks[0]] * len(looks)


def test_no_global_state():
    """Importing loads no matplotlib, and no figure needs pyplot or a display."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from lava_async.study import charts; from lava_async.study.results import Results;"
        "from study_rows import realistic;"
        "before = 'matplotlib' in sys.modules;"
        "charts.worst_order(Results(realistic(1)[0]));"
        "print(before, 'matplotlib.pyplot' in sys.modules)"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr


def test_long_paths_leave_room_for_the_figure():
    """Their ends tell them apart."""
    files = [f"/a/{'very/' * 60}long/way/to/{name}/network.net" for name in "ab"]
    rows = [
        row("given", run, name=file, trained_with="", network=file[-12:-8] * 4)
        for file in files
        for run in ("layer:8", "momentum:8")
    ]
    figure = charts.accuracy_by_order(Results(rows))
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [f"…{file[-39:]}" for file in files]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO())


def many(count):
    """Given networks that each ran in two orders, with early decision, too."""
    return [
        row("given", run, 0.9 - 0.01 * number, trained_with="momentum:8", epochs=number, seed=None,
            name=f"network {number}", stop_after=stop, spikes_per_sample=100.0 + number)
        for number in range(count)
        for run in ("momentum:8", "momentum:1")
        for stop in (None, 0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "sizes"), [(5, [5]), (7, [7]), (8, [4, 4]), (12, [6, 6]), (25, [6, 6, 6, 7])]
)
@pytest.mark.parametrize("draw", [charts.trade_off, charts.early_decision, charts.group_size])
def test_many_lines_are_drawn_in_rows_that_each_can_be_read(draw, count, sizes):
    figure = draw(Results(many(count)))
    first = [axes for axes in figure.axes if axes.get_subplotspec().is_first_col()]
    shown = [list(lines(axes)) for axes in first]
    assert [len(row) for row in shown] == sizes
    assert [label for row in shown for label in row] == [f"network {i}" for i in range(count)]
    for axes in first:
        looks = {(line[0].get_color(), line[0].get_marker()) for line in axes.containers}
        assert len(looks) == len(lines(axes))
        assert axes.get_ylim() == first[0].get_ylim() and axes.get_xlim() == first[0].get_xlim()
    if len(sizes) > 1:
        last = [axes for axes in figure.axes if axes.get_subplotspec().is_last_col()]
        legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in last]
        assert legends == shown


def test_methods_stay_together_in_rows():
    rows = [row("layered", seed=0), row("layered + penalty", penalty=0.1)]
    rows += [row("decisive", trained_with=f"momentum:{size}", penalty=0.1) for size in range(1, 13)]
    rows.append(row("decisive, mixture", trained_with="mixture", penalty=0.1))
    results = Results(rows)
    variants = [v for v in results.main_variants() if v.method != "layered"]
    assert [[v.method for v in row] for row in rows_of(results, variants)] == [
        ["layered + penalty"], ["decisive"] * 6, ["decisive"] * 6, ["decisive, mixture"]
    ]  # fmt: skip
