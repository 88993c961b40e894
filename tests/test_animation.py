"""The animation of a sample: every frame says what the record says, and files are whole or none."""

import itertools
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.animation import AbstractMovieWriter
from PIL import Image

import lava_async as la
from lava_async import metrics, plots
from lava_async.errors import ValidationError
from random_networks import graphs, inputs, schedules

STATES = ("silent", "fires", "waits in the pool", "is released", "was released")


class Frames(AbstractMovieWriter):
    """Keeps, in place of pixels, what stands in each panel: captions and places by state."""

    def __init__(self):
        super().__init__()
        self.frames = []

    def setup(self, fig, outfile, dpi=None):
        self.fig = fig

    def grab_frame(self, **_):
        self.frames.append([self._panel(axes) for axes in self.fig.axes])

    def _panel(self, axes):
        places = {line.get_label(): set(zip(*line.get_data(), strict=True)) for line in axes.lines}
        return axes.get_title(loc="left"), axes.texts[0].get_text(), places

    def finish(self):
        pass


def frames_of(*args, **options):
    """[frame][panel] of an animation."""
    writer = Frames()
    plots.sample_animation(*args, **options).save("unused", writer)
    return writer.frames


def counts(panel):
    return [len(panel[2][state]) for state in STATES]


def dense(source, target, weight):
    return la.Dense(source, target, np.array(weight))


def chain():
    """Two neurons fire on the input, one waits; each drives an output neuron."""
    populations = la.Population("first", (2,), 4096, 4096, 1), la.Population("o", (2,), 4096, 0, 1)
    return la.Graph(
        (2,), populations, (dense(-1, 0, [[4, 0], [0, 8]]), dense(0, 1, [[8, 0], [0, 8]]))
    )


def traced(graph, x, schedule, **options):
    return la.simulate(graph, x, schedule, trace=True, backend="reference", **options)


X = np.ones((1, 2, 1), int)


def test_frames_by_hand():
    graph = chain()
    record = traced(graph, X, la.Momentum(1))
    frames = frames_of(graph, {"one by one": record})
    # Both fire on the input; the second is the stronger, and so is the output that it makes fire.
    assert [counts(panel) for (panel,) in frames] == [
        [2, 2, 0, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 1, 1, 1],
        [0, 1, 0, 1, 2],
        [0, 0, 0, 1, 3],
    ]
    texts = [panel[1] for (panel,) in frames]
    assert texts == [
        "time step 0, input delivered\n2 spikes so far, decision: none yet",
        "time step 0, forward step 1\n3 spikes so far, decision: class 1",
        "time step 0, forward step 2\n3 spikes so far, decision: class 1",
        "time step 0, forward step 3\n4 spikes so far, decision: class 0",
        "time step 0, forward step 4 – the end\n4 spikes so far, decision: class 0",
    ]


def test_both_run_on_one_clock_and_the_faster_one_stands_still():
    graph = chain()
    slow, fast = (traced(graph, X, schedule) for schedule in (la.LayerSync(1), la.Momentum(2)))
    frames = frames_of(graph, {"layered": slow, "asynchronous": fast})
    assert [[panel[0] for panel in frame] for frame in frames] == [["layered", "asynchronous"]] * 5
    assert [counts(frame[0]) for frame in frames] == [
        [2, 2, 0, 0, 0],
        [2, 0, 1, 1, 0],
        [0, 2, 0, 1, 1],
        [0, 0, 1, 1, 2],
        [0, 0, 0, 1, 3],
    ]
    assert [counts(frame[1]) for frame in frames] == [
        [2, 2, 0, 0, 0],
        [0, 2, 0, 2, 0],
        *[[0, 0, 0, 2, 2]] * 3,
    ]
    assert ["the end" in frame[1][1] for frame in frames] == [False, False, True, True, True]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_frame_is_the_record(data):
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph, max_steps=3))
    schedule = data.draw(schedules())
    record = traced(graph, x, schedule)
    assert record.fired_at is not None
    sample = len(x) - 1
    fired, steps = record.fired_at[sample], record.forward_steps[sample]
    assume((steps + 1).sum() <= 60)
    frames = frames_of(graph, {"": record}, sample, max_neurons=10**6)
    assert len(frames) == (steps + 1).sum()
    panels = iter(frame[0] for frame in frames)
    so_far, everywhere = 0, None
    for t, last in enumerate(steps.tolist()):
        gone = 0
        for k in range(last + 1):
            panel = next(panels)
            silent, fires, waits, released, before = counts(panel)
            places = set().union(*panel[2].values())
            everywhere = everywhere or places
            assert places == everywhere and len(places) == graph.num_neurons
            assert fires == (fired[:, t] == k).sum()
            so_far += fires
            assert f"\n{so_far} spikes so far" in panel[1]
            assert silent == ((fired[:, t] < 0) | (fired[:, t] > k)).sum()
            assert before == gone
            gone += released
            assert (released > 0) == (k > 0)
            assert released <= max(part.group_size for part in schedule.parts)
            if record.released_at is not None and (record.released_at[sample] >= 0).any():
                assert released == (record.released_at[sample, :, t] == k - 1).sum() * (k > 0)
        assert waits == 0  # nothing is left when a time step ends by itself
    decided = record.output_steps[sample].max() >= 0
    wanted = f"class {metrics.predict(record)[sample]}" if decided else "none yet"
    assert panel[1].endswith(f"decision: {wanted}")


def test_discarded_spikes_wait_to_the_end():
    graph = chain()
    record = traced(graph, X, la.Momentum(1), stop_after=0)
    frames = frames_of(graph, {"early": record})
    assert counts(frames[-1][0]) == [1, 1, 1, 1, 0]


def test_some_time_steps_only():
    graph = chain()
    x = np.zeros((1, 2, 4), int)
    x[0, 1] = [1, 0, 1, 0]
    record = traced(graph, x, la.Momentum(1))
    every = frames_of(graph, {"": record})
    some = frames_of(graph, {"": record}, time_steps=range(1, 3))
    assert some == every[3:7]
    assert [panel[1].splitlines()[0] for (panel,) in some] == [
        "time step 1, input delivered",
        "time step 2, input delivered",
        "time step 2, forward step 1",
        "time step 2, forward step 2",
    ]


def test_of_large_populations_some_are_shown():
    populations = la.Population("large", (3, 20, 20), 4096, 4096, 1), la.Population(
        "small", (2,), 4096, 4096, 1
    )
    weight = np.ones((2, 1200))
    graph = la.Graph((1,), populations, (dense(-1, 0, np.full((1200, 1), 8)), dense(0, 1, weight)))
    record = traced(graph, np.ones((1, 1, 1), int), la.Momentum(10**6))
    animation = plots.sample_animation(graph, {"": record}, max_neurons=50)
    writer = Frames()
    animation.save("unused", writer)
    assert counts(writer.frames[0][0]) == [2, 50, 0, 0, 0]
    assert "1200 spikes so far" in writer.frames[0][0][1]
    labels = [text.get_text() for text in writer.fig.axes[0].texts]
    assert labels[1:] == ["large\n50 of 1200", "small\n2"]


def test_the_most_active_are_shown():
    weight = np.array([[0]] * 6 + [[8]] * 4)
    population = la.Population("large", (10,), 4096, 4096, 1)
    graph = la.Graph((1,), (population,), (dense(-1, 0, weight),))
    record = traced(graph, np.ones((1, 1, 1), int), la.Momentum(1))
    writer = Frames()
    animation = plots.sample_animation(graph, {"": record}, max_neurons=5)
    animation.save("unused", writer)
    # One silent neuron fills the fifth place, the first of its kind.
    assert counts(writer.frames[0][0]) == [1, 4, 0, 0, 0]
    (silent,) = writer.frames[0][0][2]["silent"]
    assert silent[1] == max(y for places in writer.frames[0][0][2].values() for _, y in places)


def test_activity_is_that_of_the_time_steps_shown():
    weight = np.array([[8, 0], [0, 8]])
    population = la.Population("pair", (2,), 4096, 4096, 1)
    graph = la.Graph((2,), (population,), (dense(-1, 0, weight),))
    x = np.array([[[1, 1, 0], [0, 0, 1]]])
    record = traced(graph, x, la.Momentum(1))
    (frame, _) = frames_of(graph, {"": record}, max_neurons=1, time_steps=range(2, 3))
    assert counts(frame[0]) == [0, 1, 0, 0, 0]


def test_output_that_cannot_fire_decides_nothing():
    first, _ = chain().populations
    silent = la.Population("o", (2,), 4096, 0, (1 << 18) - 1)
    graph = chain().replace(populations=(first, silent))
    (*_, last) = frames_of(graph, {"": traced(graph, X, la.Momentum(1))})
    assert last[0][1].endswith("decision: none by spikes")


def test_many_populations_stand_below_each_other():
    count = 30
    populations = tuple(la.Population(f"layer {i} ($)", (40,), 0, 0, 1) for i in range(count))
    connections = tuple(
        dense(i - 1, i, np.full((40, 40 if i else 1), 2)) for i in range(count)
    )
    graph = la.Graph((1,), populations, connections)
    record = traced(graph, np.ones((1, 1, 1), int), la.Momentum(100))
    writer = Frames()
    animation = plots.sample_animation(graph, {"": record})
    animation.save("unused", writer)
    width, height = writer.fig.get_size_inches()
    assert width < 14 and height < 24
    axes = writer.fig.axes[0]
    writer.fig.draw_without_rendering()
    extents = [text.get_window_extent() for text in axes.texts[1:]]
    assert len(extents) == count
    assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))
    for line in axes.lines:
        dots = axes.transData.transform(np.column_stack(line.get_data()))
        assert not any(box.contains(x, y) for x, y in dots for box in extents)


class TestErrors:
    def test_no_record(self):
        with pytest.raises(ValidationError, match="records: expected at least one"):
            plots.sample_animation(chain(), {})

    def test_no_trace(self):
        record = la.simulate(chain(), X, la.Momentum(1), backend="reference")
        with pytest.raises(ValidationError, match=r"layered: record: expected .*trace=True"):
            plots.sample_animation(chain(), {"layered": record})

    @pytest.mark.parametrize("sample", [-1, 1])
    def test_no_such_sample(self, sample):
        with pytest.raises(ValidationError, match=r"sample: expected 0\.\.0"):
            plots.sample_animation(chain(), {"": traced(chain(), X, la.Momentum(1))}, sample)

    def test_of_another_graph(self):
        graph = chain()
        other = la.Graph((2,), graph.populations[:1], graph.connections[:1])
        with pytest.raises(ValidationError, match=r"neurons: expected 2 \(got 4\)"):
            plots.sample_animation(other, {"": traced(graph, X, la.Momentum(1))})

    @pytest.mark.parametrize("max_neurons", [0, -1, 2.5, True, None])
    def test_neurons(self, max_neurons):
        record = traced(chain(), X, la.Momentum(1))
        with pytest.raises(ValidationError, match="max_neurons: expected an integer >= 1"):
            plots.sample_animation(chain(), {"": record}, max_neurons=max_neurons)

    def test_too_many_frames(self):
        record = traced(chain(), np.ones((1, 2, 81), int), la.Momentum(1))
        with pytest.raises(ValidationError, match=r"frames: expected at most 400 .*\(got 405\)"):
            plots.sample_animation(chain(), {"": record})
        assert len(frames_of(chain(), {"": record}, time_steps=range(80))) == 400

    def test_too_many_neurons(self):
        population = la.Population("large", (5000,), 0, 0, 1)
        graph = la.Graph((1,), (population,), (dense(-1, 0, np.full((5000, 1), 2)),))
        record = traced(graph, np.zeros((1, 1, 1), int), la.Momentum(1))
        with pytest.raises(ValidationError, match=r"neurons shown: expected at most 4000 .*5000"):
            plots.sample_animation(graph, {"": record}, max_neurons=5000)
        plots.sample_animation(graph, {"": record}, max_neurons=4000).save("unused", Frames())

    @pytest.mark.parametrize(
        "time_steps", [range(0), range(-1, 1), range(1, 3), range(0, 2, 2), [0], 1, slice(1)]
    )
    @pytest.mark.parametrize("draw", [plots.sample_animation, plots.raster_figure])
    def test_time_steps(self, draw, time_steps):
        record = traced(chain(), np.ones((1, 2, 2), int), la.Momentum(1))
        with pytest.raises(ValidationError, match=r"time_steps: expected a range inside range\(2"):
            draw(chain(), {"": record}, time_steps=time_steps)


@pytest.fixture
def animation():
    records = {
        name: traced(chain(), X, schedule)
        for name, schedule in (("layered", la.LayerSync(1)), ("asynchronous", la.Momentum(1)))
    }
    return plots.sample_animation(chain(), records)


class TestSave:
    def test_gif(self, animation, tmp_path):
        path = tmp_path / "sample.gif"
        plots.save_animation(animation, path, fps=5)
        with Image.open(path) as image:
            assert (image.format, image.n_frames, image.info["duration"]) == ("GIF", 5, 200)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("suffix", ["html", "htm"])
    def test_html_needs_nothing_else(self, animation, tmp_path, suffix):
        path = tmp_path / f"sample.{suffix}"
        plots.save_animation(animation, path)
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<!DOCTYPE html>")
        assert text.count("data:image/png;base64,") == 5
        without_frames = re.sub(r"data:image/png;base64,[^\"]*", "", text)
        assert not re.search(r"https?:|<link|\bsrc=\"(?!\")|@import|url\(", without_frames)
        # Every button has its icon.
        icons = set(re.findall(r'class="fa fa-([\w-]+?)(?: fa-flip-horizontal)?"', text))
        assert icons and icons <= set(re.findall(r"\.fa-([\w-]+)::before", text))
        assert list(tmp_path.iterdir()) == [path]
        # In a notebook it is a part of a page, with nothing of its head.
        part = plots.animation_html(animation)
        assert text.endswith(part) and not re.search(r"<(!|html|head|meta|title|link)", part, re.I)

    def test_several_share_a_page(self, animation):
        other = plots.sample_animation(chain(), {"": traced(chain(), X, la.Momentum(1))})
        parts = [plots.animation_html(each) for each in (animation, other)]
        ids = [set(re.findall(r'\bid="([^"]+)"', part)) for part in parts]
        assert len(ids[0]) == len(ids[1]) > 4 and not ids[0] & ids[1]
        assert plots.animation_html(animation) == parts[0] != plots.animation_html(animation, 9)

    @pytest.mark.parametrize("suffix", ["gif", "html"])
    def test_same_bytes_again(self, animation, tmp_path, suffix):
        paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
        for path in paths:
            plots.save_animation(animation, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()

    @pytest.mark.parametrize("name", ["sample", "sample.mp4", "sample.GIF", ".gif"])
    def test_unknown_format(self, animation, tmp_path, name):
        with pytest.raises(ValidationError, match=r"format: expected one of \.gif, \.html"):
            plots.save_animation(animation, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("fps", [0, -1, 51, 2.5, True, float("nan")])
    def test_frames_a_second(self, animation, tmp_path, fps):
        with pytest.raises(ValidationError, match=r"fps: expected an integer in 1\.\.50"):
            plots.save_animation(animation, tmp_path / "sample.gif", fps)
        with pytest.raises(ValidationError, match=r"^animation_html: fps: expected an integer"):
            plots.animation_html(animation, fps)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", ["gif", "html"])
    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    def test_error_on_the_way_keeps_the_old_file(self, tmp_path, monkeypatch, suffix, error):
        from matplotlib import animation as of_matplotlib

        path = tmp_path / f"sample.{suffix}"
        path.write_bytes(b"old")
        animation = plots.sample_animation(chain(), {"": traced(chain(), X, la.Momentum(1))})
        writer = of_matplotlib.PillowWriter if suffix == "gif" else of_matplotlib.HTMLWriter

        def half_written(self):
            with open(self.outfile, "wb") as file:
                file.write(b"half")
            raise error

        monkeypatch.setattr(writer, "finish", half_written)
        with pytest.raises(type(error)):
            plots.save_animation(animation, path)
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]

    def test_no_such_folder(self, animation, tmp_path):
        with pytest.raises(ValidationError, match="folder: expected an existing folder"):
            plots.save_animation(animation, tmp_path / "none" / "sample.gif")

    @pytest.mark.parametrize("suffix", ["gif", "html"])
    @pytest.mark.parametrize("size", [0, 1000, 4000])
    def test_disk_that_takes_no_more(self, animation, tmp_path, monkeypatch, suffix, size):
        monkeypatch.chdir(tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(OSError) as raised:
                plots.save_animation(animation, f"sample.{suffix}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert str(raised.value) == f"[Errno 27] File too large: 'sample.{suffix}'"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("path", [None, 3, 2.5])
    def test_no_path(self, animation, path):
        with pytest.raises(ValidationError, match="path: expected a path"):
            plots.save_animation(animation, path)

    @pytest.mark.parametrize("kind", [str, Path, lambda p: str(p).encode()])
    def test_every_kind_of_path(self, animation, tmp_path, kind):
        plots.save_animation(animation, kind(tmp_path / "Größe.html"))
        assert [p.name for p in tmp_path.iterdir()] == ["Größe.html"]
