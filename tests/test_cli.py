"""``lava-async``: run and verify, their output, and what starting them loads."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import lava_async as la
from lava_async._cli import main
from lava_async._files.hdf5 import load
from lava_async._simulate import BACKENDS
from lava_async._verify import ARRAYS, Difference, first_difference, verify
from lava_async.errors import ExecutionError, ValidationError
from net_files import conv, dense, flatten, neuron, write_net

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a network of two layers, once with a schedule, and an input."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    layers = [
        dense(2 * rng.integers(-30, 60, (20, 6)), neuron(threshold=60)),
        dense(2 * rng.integers(-20, 30, (8, 20)), neuron(i_decay=4096, threshold=60)),
    ]
    write_net(tmp_path / "network.net", layers)
    write_net(tmp_path / "recorded.net", layers, la.Random(3, seed=7))
    np.save(tmp_path / "input.npy", rng.integers(0, 3, (4, 6, 5)))
    return tmp_path


def run(capsys, *args) -> tuple[str, str]:
    """stdout and stderr of a command that succeeds."""
    assert main(list(args)) == 0
    return capsys.readouterr()


@pytest.mark.parametrize(
    ("net", "options", "schedule"),
    [
        ("network.net", [], la.Momentum(8)),
        ("recorded.net", [], la.Random(3, seed=7)),
        ("recorded.net", ["--seed", "1"], la.Random(3, seed=1)),
        ("recorded.net", ["--schedule", "layer"], la.LayerSync(3)),
        ("recorded.net", ["--schedule", "momentum", "--noise", "2"], la.Momentum(3, 2.0, 7)),
        ("network.net", ["--schedule", "random", "--group-size", "2"], la.Random(2)),
        ("recorded.net", ["--schedule", "fifo"], la.Fifo(3)),
        ("network.net", ["--schedule", "fifo:1"], la.Fifo(1)),
        ("recorded.net", ["--schedule", "momentum", "--schedule", "layer:2", "--seed", "4"],
         la.Mixture([la.Momentum(3, 0.0, 4), la.LayerSync(2)], seed=4)),
        ("network.net", ["--schedule", "random, fifo:1", "--group-size", "5"],
         la.Mixture([la.Random(5), la.Fifo(1)])),
        ("network.net", ["--stop-after", "1"], la.Momentum(8)),
    ],
)
def test_run_writes_what_simulate_records(net, options, schedule, folder, capsys):
    out, err = run(capsys, "run", net, "input.npy", "--out", "out.npz", *options)
    stop_after = 1 if "--stop-after" in options else None
    record = la.simulate(
        load(net), np.load("input.npy"), schedule, backend="reference", stop_after=stop_after
    )
    with np.load("out.npz") as arrays:
        assert set(arrays) == set(ARRAYS)
        for name in ARRAYS:
            expected = getattr(record, name)
            assert arrays[name].dtype == expected.dtype
            assert np.array_equal(arrays[name], expected), name
    assert out.startswith("out.npz: 4 samples of 5 time steps; ")
    kinds = "; ".join(f"{part.name}, group size {part.group_size}" for part in schedule.parts)
    mixture = "mixture of " * isinstance(schedule, la.Mixture)
    assert re.sub(", (noise|seed) [0-9.]+", "", err).startswith(f"schedule: {mixture}{kinds}")
    assert err.count("\n") == 1


def test_schedule_says_where_it_comes_from(folder, capsys):
    def note(*options):
        return run(capsys, "run", *options, "input.npy", "--out", "o.npz", "--force")[1]

    assert "(default, as the file records none)" in note("network.net")
    assert "(recorded in the file)" in note("recorded.net")
    assert "(group size as asked; else recorded in the file)" in note(
        "recorded.net", "--group-size", "5"
    )


def test_run_does_not_depend_on_its_chunks(folder, capsys, monkeypatch):
    run(capsys, "run", "recorded.net", "input.npy", "--out", "whole.npz")
    monkeypatch.setattr("lava_async._simulate._PART", {"kernel": 3})
    run(capsys, "run", "recorded.net", "input.npy", "--out", "parts.npz")
    with np.load("whole.npz") as whole, np.load("parts.npz") as parts:
        for name in ARRAYS:
            assert np.array_equal(whole[name], parts[name]), name


def draw_bars(monkeypatch):
    """As if stderr were a terminal, and at every step. (A fixture sees another stderr.)"""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("lava_async._cli._console.REFRESH_INTERVAL", 0)


def drawn(err: str) -> tuple[list[tuple[str, int, int]], str]:
    """(backend, samples done, samples) of each drawing of a bar, and what is left in the end."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    found = re.findall(r"(\w+): samples\D* (\d+)/(\d+)", plain)
    bars = [(name, int(done), int(total)) for name, done, total in found]
    return list(dict.fromkeys(bars)), plain.replace("\r", "\n").splitlines()[-1]


@pytest.mark.parametrize(
    ("backend", "steps"),
    [("reference", [0, 3, 4]), ("kernel", [0, 2, 4]), ("lava", range(5)), ("graph", range(5))],
)
def test_run_shows_how_many_samples_are_done(backend, steps, folder, capsys, monkeypatch):
    draw_bars(monkeypatch)
    monkeypatch.setattr("lava_async._simulate._PART", {"reference": 3, "kernel": 2})
    np.save("input.npy", np.tile(np.load("input.npy"), (1, 1, 4)))  # 20 time steps
    args = ["run", "recorded.net", "input.npy", "--out", "out.npz", "--backend", backend, "--json"]
    out, err = run(capsys, *args)
    assert json.loads(out)["samples"] == 4
    bars, last = drawn(err)
    assert bars == [(backend, done, 4) for done in steps]
    assert last == "schedule: random, group size 3, seed 7 (recorded in the file)"


def test_evaluate_and_verify_show_it_too(folder, capsys, monkeypatch):
    draw_bars(monkeypatch)
    x = np.load("input.npy")
    monkeypatch.setattr(
        "lava_async._cli.evaluate.load_split", lambda data, train, root: (x, np.arange(4))
    )
    out, err = run(capsys, "evaluate", "recorded.net", "--backend", "lava", "--json")
    document = json.loads(out)
    assert (document["backend"], document["samples"]) == ("lava", 4)
    assert drawn(err)[0] == [("lava", 0, 4), ("lava", 4, 4)]  # short samples: all in one run
    args = ["verify", "recorded.net", "input.npy", "--backends", "reference,lava"]
    bars, _ = drawn(run(capsys, *args)[1])
    assert bars == [("reference", 4, 8), ("lava", 8, 8)]


def test_without_a_terminal_there_is_no_bar(folder, capsys):
    _, err = run(capsys, "run", "recorded.net", "input.npy", "--out", "o.npz", "--backend", "lava")
    assert err.startswith("schedule: ") and err.count("\n") == 1


def test_run_takes_a_single_sample(folder, capsys):
    np.save("one.npy", np.load("input.npy")[0])
    out, _ = run(capsys, "run", "network.net", "one.npy", "--out", "out.npz")
    assert out.startswith("out.npz: 1 sample of 5 time steps; ")
    assert np.load("out.npz")["all_spikes"].shape == (1, 28, 5)


def test_run_asks_for_the_input_shape_where_the_file_has_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layers = [conv(np.full((3, 2, 2, 2), 40), (2, 4, 4), neuron()), flatten(27),
              dense(np.full((2, 27), 20), neuron())]
    write_net(tmp_path / "conv.net", layers)
    np.save("input.npy", np.ones((1, 2, 4, 4, 3), bool))
    args = ["run", "conv.net", "input.npy", "--out", "out.npz"]
    assert main(args) == 2
    assert "input_shape" in capsys.readouterr().err
    run(capsys, *args, "--input-shape", "2,4,4")
    assert np.load("out.npz")["spikes"].sum() > 0


def test_run_json(folder, capsys):
    out, _ = run(capsys, "run", "recorded.net", "input.npy", "--out", "out.npz", "--json")
    document = json.loads(out)
    record = la.simulate(load("recorded.net"), np.load("input.npy"))
    assert document["out"] == "out.npz"
    assert document["schedule"] == {"scheduler": "random", "group_size": 3, "seed": 7}
    assert document["spikes_per_sample"] == record.all_spikes.sum() / 4
    assert document["forward_steps_per_sample"] == record.forward_steps.sum() / 4
    assert document["synops_per_sample"] == record.synops.sum() / 4
    assert document["spike_density"] == record.all_spikes.mean()


# ---------------------------------------------------------------- verify


def test_verify_finds_equal_backends(folder, capsys):
    args = ["verify", "recorded.net", "input.npy", "--backends", "reference,kernel"]
    out, _ = run(capsys, *args)
    assert out.startswith("equal: reference, kernel on 4 samples")
    document = json.loads(run(capsys, *args, "--json")[0])
    assert document["equal"] is True
    assert document["difference"] is None


def test_verify_runs_lava_and_the_graph_too(folder, capsys):
    np.save("one.npy", np.load("input.npy")[:1])
    out, _ = run(capsys, "verify", "recorded.net", "one.npy")
    assert out.startswith("equal: reference, kernel, lava, graph on 1 sample ")


def changed(record, array, place, value):
    """A copy of a record with one number changed."""
    values = getattr(record, array).copy()
    values[place] = value
    return dataclasses.replace(record, **{array: values})


def without_trace(record):
    return dataclasses.replace(record, fired_at=None, released_at=None)


@pytest.fixture
def traced(folder):
    graph = load("recorded.net")
    return graph, la.simulate(graph, np.load("input.npy"), backend="reference", trace=True)


def spike_of(record, neurons=slice(None)):
    """Sample, time step and neuron of a spike that came late in its time step."""
    fired = record.fired_at[2:, neurons, 1:]
    sample, neuron, time_step = np.unravel_index(fired.argmax(), fired.shape)
    return int(sample) + 2, int(neuron) + (neurons.start or 0), int(time_step) + 1


@pytest.mark.parametrize("traces", [True, False])
def test_missing_spike_is_placed(traced, traces):
    graph, right = traced
    sample, neuron, time_step = spike_of(right)
    step = right.fired_at[sample, neuron, time_step]
    assert step > 0
    other = changed(right, "all_spikes", (sample, neuron, time_step), 0)
    found = first_difference(
        graph, right, other if traces else without_trace(other), ("reference", "lava")
    )
    population = graph.populations[neuron >= 20].name
    assert found == Difference(
        ("reference", "lava"), sample, time_step, step, neuron, population, "all_spikes", 1, 0
    )
    assert str(found) == (
        f"sample {sample}, time step {time_step}, forward step {step}, neuron {neuron} of "
        f"{population}: all_spikes: expected 1 as in reference (got 0 in lava)"
    )


def test_first_of_several_differences_is_named(traced):
    graph, right = traced
    sample, neuron, time_step = spike_of(right)
    step = right.fired_at[sample, neuron, time_step]
    # Later in time, and earlier in the index but with an unknown forward step.
    other = changed(right, "all_spikes", (sample, neuron, time_step), 0)
    silent = int(np.flatnonzero(right.all_spikes[sample, :, time_step] == 0)[0])
    other = changed(other, "all_spikes", (sample, silent, time_step), 1)
    other = changed(other, "synops", (sample, time_step), -1)
    other = changed(other, "forward_steps", (3, 4), -1)
    found = first_difference(graph, right, without_trace(other), ("reference", "lava"))
    assert found is not None
    assert (found.sample, found.time_step) == (sample, time_step)
    assert (found.neuron, found.forward_step) == (neuron, step)

    other = changed(other, "overflows", (0, 3), 5)
    found = first_difference(graph, right, other, ("reference", "lava"))
    assert found is not None
    assert (found.sample, found.time_step, found.neuron) == (0, 3, None)
    assert (found.array, found.expected, found.got) == ("overflows", 0, 5)


def test_release_order_is_compared(traced):
    graph, right = traced
    sample, neuron, time_step = spike_of(right, slice(0, 20))
    step = right.released_at[sample, neuron, time_step]
    other = changed(right, "released_at", (sample, neuron, time_step), step + 1)
    found = first_difference(graph, right, other, ("reference", "kernel"))
    assert found is not None
    assert (found.array, found.forward_step, found.neuron) == ("released_at", step, neuron)


def test_output_that_differs_alone_is_placed(traced):
    graph, right = traced
    sample, neuron, time_step = spike_of(right, slice(20, 28))
    place = (sample, neuron - 20, time_step)
    other = changed(right, "spikes", place, 0)
    found = first_difference(graph, right, without_trace(other), ("reference", "lava"))
    assert found is not None
    assert (found.array, found.neuron) == ("spikes", neuron)
    assert found.forward_step == right.fired_at[sample, neuron, time_step]


@pytest.mark.parametrize("array", ["forward_steps", "synops", "overflows"])
def test_count_that_differs_alone_is_placed(array, traced):
    graph, right = traced
    before = int(getattr(right, array)[1, 2])
    found = first_difference(graph, right, changed(right, array, (1, 2), before + 1), ("a", "b"))
    step = before if array == "forward_steps" else None
    assert found == Difference(("a", "b"), 1, 2, step, None, None, array, before, before + 1)


def test_record_of_another_shape_is_an_error(traced):
    graph, right = traced
    other = dataclasses.replace(right, synops=right.synops[:1])
    with pytest.raises(ExecutionError, match="backend b: synops shape: expected"):
        first_difference(graph, right, other, ("a", "b"))


def wrong_in_kernel(graph, x, schedule, *, backend, **options):
    """A stand-in for `simulate` whose kernel loses a spike."""
    record = la.simulate(graph, x, schedule, backend="reference", **options)
    if backend == "kernel":
        sample, neuron, time_step = spike_of(record)
        record = changed(record, "all_spikes", (sample, neuron, time_step), 0)
    return record


def test_verify_compares_all_with_the_first(traced, monkeypatch):
    graph, right = traced
    monkeypatch.setattr("lava_async._verify.simulate", wrong_in_kernel)
    difference = verify(graph, np.load("input.npy"), backends=("reference", "lava", "kernel"))
    assert difference is not None
    assert difference.backends == ("reference", "kernel")
    assert (difference.sample, difference.neuron, difference.time_step) == spike_of(right)


@pytest.fixture
def parted(traced):
    """A network, another that parts from it, and their first spike that differs.

    They differ in one weight of the output layer.
    """
    graph, right = traced
    first, second = graph.connections
    weight = second.weight.copy()
    weight[5] -= 60
    other = graph.replace(connections=(first, la.Dense(0, 1, weight)))
    x = np.load("input.npy")
    wrong = la.simulate(other, x, backend="reference", trace=True)
    places = [
        (sample, time_step, min(t for t in times if t >= 0), neuron)
        for sample, neuron, time_step in np.argwhere(right.fired_at != wrong.fired_at)
        for times in [[r.fired_at[sample, neuron, time_step] for r in (right, wrong)]]
    ]
    return other, min(places)


@pytest.mark.parametrize("wrong", ["reference", "kernel", "lava", "graph"])
def test_verify_names_the_place_whichever_backend_is_wrong(
    wrong, parted, folder, capsys, monkeypatch
):
    """Every backend really runs, one of them another network."""
    other, (sample, time_step, step, neuron) = parted

    def run_one_wrong(graph, x, schedule, *, backend, **options):
        return la.simulate(
            other if backend == wrong else graph, x, schedule, backend=backend, **options
        )

    monkeypatch.setattr("lava_async._verify.simulate", run_one_wrong)
    pair = ("kernel", "reference") if wrong == "reference" else ("reference", wrong)
    args = ["verify", "recorded.net", "input.npy", "--backends", ",".join(pair)]
    assert main(args) == 1
    assert capsys.readouterr().out.startswith(
        f"different: sample {sample}, time step {time_step}, forward step {step}, "
        f"neuron {neuron} of "
    )
    assert main([*args, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["difference"]
    assert found["backends"] == list(pair)
    assert (found["sample"], found["time_step"], found["forward_step"], found["neuron"]) == (
        sample, time_step, step, neuron
    )


def test_verify_runs_every_backend_and_tells_how_far_it_is(traced):
    graph, _ = traced
    done = []
    x = np.load("input.npy")
    assert la.verify(graph, x, la.Fifo(2), progress=lambda *news: done.append(news)) is None
    assert list(dict.fromkeys(name for name, _ in done)) == list(BACKENDS)
    assert sum(count for _, count in done) == len(BACKENDS) * len(x)


def test_verify_shows_its_progress_over_samples_and_backends(folder, capsys, monkeypatch):
    draw_bars(monkeypatch)
    np.save("input.npy", np.load("input.npy")[:1])  # one sample: still a bar over the backends
    out, err = run(capsys, "verify", "network.net", "input.npy")
    bars, last = drawn(err)
    assert [bar for bar in bars if bar[1]] == [(n, i + 1, 4) for i, n in enumerate(BACKENDS)]
    assert out.startswith("equal") and last.startswith("schedule: ")


@pytest.mark.parametrize(
    "backends", [("kernel", "kernel"), [], "kernel", 3, ["kernel", 3], ["kernel", "gpu"]]
)
def test_verify_refuses_anything_but_two_backends(backends, traced):
    with pytest.raises(ValidationError, match="verify: backends: expected two or more of"):
        verify(traced[0], np.load("input.npy"), backends=backends)


def test_verify_refuses_what_cannot_be_told_of_its_progress(traced):
    with pytest.raises(ValidationError, match="verify: progress: expected None or a callable"):
        verify(traced[0], np.load("input.npy"), progress=3)


def test_verify_command_fails_on_a_difference(traced, capsys, monkeypatch):
    _, right = traced
    monkeypatch.setattr("lava_async._verify.simulate", wrong_in_kernel)
    args = ["verify", "recorded.net", "input.npy", "--backends", "reference,kernel"]
    sample, neuron, time_step = spike_of(right)
    assert main(args) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"different: sample {sample}, time step {time_step}, forward step ")
    assert main([*args, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["equal"] is False
    assert document["difference"]["neuron"] == neuron


# ---------------------------------------------------------------- the program


def test_help_names_every_command_and_option(capsys):
    out, err = run(capsys, "--help")
    assert err == ""
    for command in ("run", "verify", "info", "evaluate", "train", "demo", "study", "doctor"):
        assert f"\n  {command} " in out
    for command, options in {
        "run": ["--out", "--schedule", "--group-size", "--noise", "--stop-after", "--seed",
                "--backend", "--force", "--json"],
        "verify": ["--backends", "--schedule", "--group-size", "--stop-after", "--json"],
        "info": ["--input-shape", "--json"],
        "evaluate": ["--data", "--data-root", "--schedule", "--group-size", "--backend", "--json"],
        "train": ["--out", "--method", "--schedule", "--neuron", "--gradient", "--penalty",
                  "--layers", "--conv", "--batch-size", "--learning-rate", "--epochs", "--seed",
                  "--data", "--data-root", "--resume", "--json"],
        "demo": ["--out", "--epochs", "--seeds", "--seed", "--json"],
        "study": ["--out", "--preset", "--data", "--methods", "--given", "--train-schedules",
                  "--group-size", "--schedules", "--stop-after", "--penalty", "--seeds",
                  "--epochs", "--samples", "--jobs", "--scheduler", "--json"],
        "doctor": ["--json"],
    }.items():
        text = run(capsys, command, "--help")[0]
        assert f"  lava-async {command}" in text, "an example"
        assert [option for option in options if option not in text] == []


def test_no_command_shows_the_help(capsys):
    assert run(capsys)[0].startswith("Usage: lava-async")


def test_version(capsys):
    assert run(capsys, "--version")[0] == f"lava-async {la.__version__}\n"
    module = [sys.executable, "-m", "lava_async", "--version"]
    assert subprocess.check_output(module, text=True) == f"lava-async {la.__version__}\n"


HEAVY = ("torch", "lava", "tonic", "matplotlib", "sklearn", "pandas")


@pytest.mark.parametrize(
    ("args", "heavy"),
    [
        (["--help"], (*HEAVY, "numba", "scipy", "joblib", "rich")),
        (["run", "network.net", "input.npy", "--out", "out.npz"], HEAVY),
    ],
)
def test_starting_up_loads_nothing_heavy(args, heavy, folder):
    program = (
        "import sys; from lava_async._cli import main\n"
        f"assert main({args!r}) == 0\n"
        f"print('loaded:', [m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    assert done.stderr.splitlines()[-1] == "loaded: []", done.stderr


INTERRUPTED = """
import multiprocessing, os, signal, sys, threading, time
from lava_async._cli import main

def press_ctrl_c():
    while not (multiprocessing.active_children() if backend == "lava" else started):
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(0, signal.SIGINT)  # as a terminal does: to the children too

from lava_async._cli import run
simulate, started, backend = run.simulate, [], sys.argv[1]
run.simulate = lambda *args, **options: started.append(1) or simulate(*args, **options)
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=press_ctrl_c, daemon=True).start()
sys.exit(main(["run", "network.net", "long.npy", "--out", "out.npz", "--backend", backend]))
"""


@pytest.mark.parametrize("backend", ["reference", "kernel", "lava"])
def test_ctrl_c_leaves_nothing_behind(backend, folder):
    np.save("long.npy", np.tile(np.load("input.npy"), (4000, 1, 50)).astype(np.uint8))
    before = sorted(p.name for p in folder.iterdir())
    done = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, backend],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    out, err = done.communicate(timeout=100)
    assert (done.returncode, out, err) == (130, "", "lava-async: interrupted\n")
    assert sorted(p.name for p in folder.iterdir()) == before
    with pytest.raises(ProcessLookupError):
        os.killpg(done.pid, 0)
