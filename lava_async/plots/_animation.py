"""One sample on its way through a network, forward step by forward step."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.plots._style import COLOURS, FRAME, GREY, new_figure
from lava_async.plots._trace import Ints, Trace, check_time_steps

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MAX_FRAMES = 400
"""Some tens of megabytes as HTML."""

MAX_NEURONS = 4000
"""Places for them in one panel, some hundred pixels each."""

_ROWS = 24
_GAP = 2.2
_WIDEST = 64.0
"""Places beside each other, before further populations stand below."""
_NAME = 5.0
"""Places that a name takes below its population."""
_INCH = 0.145
"""Size of one place in the grid of neurons."""

_SILENT, _FIRES, _WAITS, _RELEASED, _GONE = range(5)
_LOOKS = (
    ("silent", {"marker": ".", "color": FRAME, "markersize": 3}),
    ("fires", {"marker": "*", "color": COLOURS[1], "markersize": 10}),
    ("waits in the pool", {"marker": "s", "color": COLOURS[0], "markersize": 5.5}),
    ("is released", {"marker": ">", "color": "#000000", "markersize": 7}),
    ("was released", {"marker": ">", "color": GREY, "markersize": 5, "fillstyle": "none"}),
)


def sample_animation(
    graph: Graph,
    records: Mapping[str, Record],
    sample: int = 0,
    *,
    time_steps: range | None = None,
    max_neurons: int = 72,
    title: str | None = None,
) -> FuncAnimation:
    """One sample travelling through the network, under several schedules side by side.

    A frame is a forward step, for all panels at the same time, so that the faster one ends
    sooner; each time step begins with a frame in which its input has been delivered. A neuron's
    symbol says where its spike of this time step is. Captions count the spikes of all neurons
    and tell the class with most output spikes so far, as `metrics.predict` decides.

    Parameters
    ----------
    graph : Graph
    records : dict of str to Record
        Of runs of the same samples with ``trace=True``, by the name over the panel. Where one is
        of `LayerSync`, which has no pool, a population's spikes share the forward steps that
        the same machine would need for them, in order of the neurons.
    sample : int
        Which sample of the records.
    time_steps : range, optional
        Those to show, all by default.
    max_neurons : int
        Neurons shown of a population; of a larger one, those with most spikes in the records.
    title : str, optional

    Returns
    -------
    matplotlib.animation.FuncAnimation
        For `save_animation`, and for `animation_html` in a notebook.

    Raises
    ------
    ValidationError
        There is no record, one has no trace or no such sample or is not of this graph, or
        there would be more than 400 frames or 4000 neurons.
    """
    from matplotlib.animation import FuncAnimation

    where = "sample_animation"
    if not records:
        raise ValidationError(where, "records", "at least one", 0)
    if isinstance(max_neurons, bool) or not isinstance(max_neurons, int) or max_neurons < 1:
        raise ValidationError(where, "max_neurons", "an integer >= 1", repr(max_neurons))
    courses = {
        name: _Course.of(f"{where}: {name}", graph, record, sample, time_steps)
        for name, record in records.items()
    }
    shown = sum(min(population.size, max_neurons) for population in graph.populations)
    if shown > MAX_NEURONS:
        wanted = f"at most {MAX_NEURONS} in all (choose a smaller max_neurons)"
        raise ValidationError(where, "neurons shown", wanted, shown)
    activity = np.sum([course.activity for course in courses.values()], axis=0)
    blocks = _Blocks.of(graph, max_neurons, activity)
    frames = max(len(course.places) for course in courses.values())
    if frames > MAX_FRAMES:
        wanted = f"at most {MAX_FRAMES} (choose fewer time_steps)"
        raise ValidationError(where, "frames", wanted, frames)

    width, height = _INCH * blocks.width + 0.4, _INCH * blocks.height + 0.75
    beside = len(courses) * width <= 13
    rows, columns = (1, len(courses)) if beside else (len(courses), 1)
    size = (max(5.0, columns * max(width, 3.6)), rows * height + 0.8)
    figure, axes = new_figure(size, title or f"Sample {sample}", rows, columns)
    panels = [
        _Panel(axes[i], name, blocks, course)
        for i, (name, course) in enumerate(courses.items())
    ]
    handles = [panels[0].lines[state] for state in range(len(_LOOKS))]
    keys = len(_LOOKS) if size[0] >= 7 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=keys, frameon=False)
    for panel in panels:
        panel.show(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # nothing moves from frame to frame, and solving takes long

    def show(frame: int) -> list[Artist]:
        return [artist for panel in panels for artist in panel.show(frame)]

    return FuncAnimation(figure, show, frames=frames, interval=250, repeat=False)


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Where the neurons are drawn: a block of columns of dots for each population.

    Attributes
    ----------
    neurons : (shown,) int
        Their index in the graph.
    x, y : (shown,) float
        y upwards.
    names : list of (x, y, str)
        Middle of the upper edge, and what stands there.
    width, height : float
    """

    neurons: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    names: list[tuple[float, float, str]]
    width: float
    height: float

    @classmethod
    def of(cls, graph: Graph, max_neurons: int, activity: npt.NDArray[np.int64]) -> _Blocks:
        """Room for the most active neurons; ``activity`` (N,)."""
        neurons, xs, ys, names = [], [], [], []
        left = width = middle = 0.0
        for p, population in enumerate(graph.populations):
            count = min(population.size, max_neurons)
            chosen = np.argsort(-activity[graph.slice(p)], kind="stable")[:count]
            neurons.append(np.sort(chosen) + int(graph.offsets[p]))
            columns = -(-count // _ROWS)
            rows = -(-count // columns)
            name = _name(population, max_neurons)
            wide = max(columns, 0.56 * max(map(len, name.splitlines())))
            if left and left + wide > _WIDEST:
                left, middle = 0.0, middle - _ROWS - _NAME
            place = np.arange(count)
            xs.append(left + (wide - columns + 1) / 2 + place // rows)
            ys.append(middle + (rows - 1) / 2 - place % rows)
            names.append((left + wide / 2, middle - _ROWS / 2 - 0.4, name))
            width = max(width, left + wide)
            left += wide + _GAP
        return cls(
            np.concatenate(neurons), np.concatenate(xs), np.concatenate(ys), names, width,
            _ROWS + _NAME - middle,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Course:
    """What happens to one sample; P places, of which each time step has forward steps + 1.

    Attributes
    ----------
    fired_at, released_at : (N, T) int
    places : (P, 2) int
        Time step, and forward steps of it that have run.
    spikes : (P,) int
        Since the start of the sample.
    decisions : list of (P,) str
    ends : bool
        Whether the last place is the end of the sample.
    """

    fired_at: Ints
    released_at: Ints
    places: npt.NDArray[np.int64]
    spikes: npt.NDArray[np.int64]
    decisions: list[str]
    ends: bool

    @classmethod
    def of(
        cls, where: str, graph: Graph, record: Record, sample: int, time_steps: range | None
    ) -> _Course:
        trace = Trace.of(where, graph, record, sample)
        steps = len(trace.forward_steps)
        shown = check_time_steps(where, time_steps, steps)
        start = trace.start
        neuron, t = np.nonzero(trace.fired_at >= 0)
        place = start[t] + trace.fired_at[neuron, t]
        spikes = np.cumsum(np.bincount(place, minlength=start[-1]))

        time_step = np.repeat(np.arange(steps), np.diff(start))
        places = np.stack([time_step, np.arange(start[-1]) - start[time_step]], axis=1)
        output = graph.slice(graph.output)
        group = (output.stop - output.start) // graph.num_classes
        counts = np.zeros((start[-1], graph.num_classes), np.int32)
        decides = (neuron >= output.start) & (neuron < output.stop)
        np.add.at(counts, (place[decides], (neuron[decides] - output.start) // group), 1)
        counts = counts.cumsum(axis=0)
        none = "none yet" if graph.output_can_fire else "none by spikes"
        decisions = [
            f"class {best}" if decided else none
            for best, decided in zip(
                counts.argmax(axis=1).tolist(), counts.any(axis=1).tolist(), strict=True
            )
        ]
        here = slice(int(start[shown.start]), int(start[shown.stop]))
        return cls(
            trace.fired_at, trace.releases(graph), places[here], spikes[here],
            decisions[here], shown.stop == steps,
        )  # fmt: skip

    @property
    def activity(self) -> npt.NDArray[np.int64]:
        """(N,) spikes in the time steps shown."""
        first, last = self.places[[0, -1], 0]
        return (self.fired_at[:, first : last + 1] >= 0).sum(axis=1)

    def states(self, frame: int, neurons: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(len(neurons),) states when the forward steps of a place have run."""
        t, k = self.places[frame]
        fired, released = self.fired_at[neurons, t], self.released_at[neurons, t]
        has_left = (released >= 0) & (released < k)
        states = np.full(len(neurons), _WAITS)
        states[(fired < 0) | (fired > k)] = _SILENT
        states[fired == k] = _FIRES
        states[has_left] = _GONE
        states[has_left & (released == k - 1)] = _RELEASED
        return states


class _Panel:
    """One record's axes."""

    def __init__(self, axes: Axes, name: str, blocks: _Blocks, course: _Course):
        self._blocks, self._course = blocks, course
        self.lines = [
            axes.plot([], [], linestyle="none", label=label, zorder=2 + state, **look)[0]
            for state, (label, look) in enumerate(_LOOKS)
        ]
        self.caption = axes.text(
            0.0, 1.02, "", transform=axes.transAxes, va="bottom", linespacing=1.3
        )
        axes.set_xlim(-0.8, blocks.width + 0.8)
        axes.set_ylim(_ROWS / 2 + 0.6 - blocks.height, _ROWS / 2 + 0.6)
        axes.set_title(name, loc="left", fontsize=10, fontweight="bold", pad=34)
        for x, y, text in blocks.names:
            axes.text(x, y, text, ha="center", va="top", fontsize=8, parse_math=False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(FRAME)

    def show(self, frame: int) -> list[Artist]:
        """Draw a frame; past the end, the last one."""
        course, blocks = self._course, self._blocks
        last = len(course.places) - 1
        now = min(frame, last)
        states = course.states(now, blocks.neurons)
        for state, line in enumerate(self.lines):
            here = states == state
            line.set_data(blocks.x[here], blocks.y[here])
        t, k = course.places[now].tolist()
        when = f"time step {t}, " + (f"forward step {k}" if k else "input delivered")
        if now == last and course.ends:
            when += " – the end"
        self.caption.set_text(
            f"{when}\n{course.spikes[now]} spikes so far, "
            f"decision: {course.decisions[now]}"
        )
        return [*self.lines, self.caption]


def _name(population: Population, max_neurons: int) -> str:
    """What stands below a population."""
    some = f"{max_neurons} of " if population.size > max_neurons else ""
    name = textwrap.fill(population.name, 12, max_lines=3, placeholder="…")
    return f"{name}\n{some}{population.size}"
