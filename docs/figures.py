"""Draws the figures of the semantics, from runs of the reference: ``python docs/figures.py``."""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import lava_async as la

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
POPULATIONS = (("hidden 1", 6), ("hidden 2", 5), ("output", 2))
F = 2


def small_network():
    """A chain of three, and one input frame, in which the order of release matters."""
    rng = np.random.default_rng(59)
    sizes = [4, *(size for _, size in POPULATIONS)]
    weights = [rng.integers(-50, 70, shape) for shape in zip(sizes[1:], sizes[:-1], strict=True)]
    graph = la.Graph(
        (sizes[0],),
        [la.Population(name, (size,), 4096, 4096, 60) for name, size in POPULATIONS],
        [la.Dense(source, source + 1, w) for source, w in enumerate(weights, start=la.INPUT)],
    )
    return graph, np.ones((sizes[0], 1), int)


def layered_steps(graph, record):
    """Forward steps that the same machine needs for a population's spikes, one after another."""
    fired = np.full(graph.num_neurons, -1)
    released = fired.copy()
    start = 0
    for population in range(len(graph.populations)):
        here = graph.slice(population)
        spiking = here.start + np.flatnonzero(record.all_spikes[0, here, 0])
        fired[spiking] = start
        released[spiking] = start + np.arange(len(spiking)) // F
        start += -(-len(spiking) // F)
    return fired, released


def forward_steps():
    """One time step of the same network and input under four schedules."""
    graph, x = small_network()
    schedules = {
        "LayerSync": la.LayerSync(F),
        "Momentum": la.Momentum(F),
        "Random": la.Random(F, seed=1),
        "Fifo": la.Fifo(F),
    }
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(schedules), sharey=True, sharex=True)
    for axes, (name, schedule) in zip(panels, schedules.items(), strict=True):
        record = la.simulate(graph, x, schedule, backend="reference", trace=True)
        if schedule.layered:
            fired, released = layered_steps(graph, record)
        else:
            fired, released = record.fired_at[0, :, 0], record.released_at[0, :, 0]
        for neuron in np.flatnonzero(fired >= 0):
            axes.plot(
                [fired[neuron] - 0.5, released[neuron]], [neuron, neuron], color=BLUE, linewidth=1
            )
        spiking = fired >= 0
        rows = np.flatnonzero(spiking)
        axes.plot(fired[spiking] - 0.5, rows, "o", mfc="white", mec=BLUE, label="fires")
        axes.plot(released[spiking], rows, "o", color=BLUE, label="is released")
        silent = np.flatnonzero(~spiking)
        axes.plot(np.full(len(silent), -0.5), silent, "x", color=GREY, label="silent")
        steps = int(record.forward_steps[0, 0])
        axes.set_title(f"{name}\n{spiking.sum()} spikes, {steps} forward steps", fontsize=10)
        axes.set_xlabel("forward step k")
        for population in range(1, len(graph.populations)):
            axes.axhline(graph.slice(population).start - 0.5, color=GREY, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    centres = [np.mean(range(graph.num_neurons)[graph.slice(i)]) for i in range(len(POPULATIONS))]
    panels[0].set_yticks(centres, [name for name, _ in POPULATIONS], rotation=90, va="center")
    panels[0].invert_yaxis()
    panels[0].xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def voltage(currents, threshold):
    """A neuron's voltage after each evaluation, and where it fired; None: it did not."""
    trace, v, fired = [], 0, None
    for k, current in enumerate(currents):
        v = v + current if fired is None else 0
        trace.append(v)
        if fired is None and v > threshold:
            fired = k
    return trace, fired


def credit():
    """Which currents of a time step the decisive gradient gives credit to."""
    threshold = 60
    cases = {
        "A neuron that fires: its voltage at the threshold decides": [25, -10, 50, 20, -15],
        "A neuron that stays silent: its voltage at the end decides": [25, -10, 15, 20, -15],
    }
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (title, currents) in zip(panels, cases.items(), strict=True):
        trace, fired = voltage(currents, threshold)
        decided = len(trace) - 1 if fired is None else fired
        times, last = np.arange(len(trace)), len(trace) - 0.5
        shown = [0 if k == fired else v for k, v in enumerate(trace)]  # after the reset
        axes.axhline(threshold, color=GREY, linestyle="--", linewidth=1)
        axes.text(-0.45, threshold + 2, "threshold θ", color=GREY, fontsize=8)
        axes.step([-0.5, *times, last], [0, *shown, shown[-1]], where="post", color=BLUE)
        axes.plot([decided] * 2, [shown[decided], trace[decided]], color=BLUE)
        axes.plot(decided, trace[decided], "o", color=BLUE)
        axes.annotate(
            "V", (decided, trace[decided]), (6, 4), textcoords="offset points", color=BLUE
        )
        for k, current in enumerate(currents):
            in_time = k <= decided
            color = GREEN if in_time else ORANGE
            text = f"{current:+d}\n{'gV + gu' if in_time else 'gu'}"
            axes.annotate(text, (k, -22), ha="center", va="top", fontsize=8.5, color=color)
            axes.annotate(
                "", (k, -2), (k, -20), arrowprops={"arrowstyle": "->", "color": color}
            )
        if fired is not None:
            axes.text(fired + 0.1, 4, "refractory, v = 0", fontsize=8, color=GREY)
        axes.set(xlim=(-0.5, last), ylim=(-48, 80), xticks=times, yticks=range(0, 81, 20))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("evaluation k (0: the input)")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("voltage v")
    return figure


FIGURES = {"forward-steps.svg": forward_steps, "credit.svg": credit}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    matplotlib.rcParams.update({"svg.hashsalt": "lava_async", "font.size": 9})
    for name, draw in FIGURES.items():
        draw().savefig(folder / name, metadata={"Date": None})


if __name__ == "__main__":
    main()
