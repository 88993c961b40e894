import subprocess
import sys

import numpy as np
import pytest

from lava_async import plots
from lava_async._semantics.connections import Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError

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

    @pytest.mark.parametrize("spikes", [{}, {"layered": []}])
    def test_needs_a_population(self, spikes):
        with pytest.raises(ValidationError, match="at least one population"):
            plots.spikes_per_population_figure(spikes)


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
    code = (
        "import sys, lava_async.plots as p;"
        "before = 'matplotlib' in sys.modules;"
        "p.accuracy_figure({'a': ([0, 1], [0, 1])});"
        "print(before, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr
