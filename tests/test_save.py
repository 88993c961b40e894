"""`save` writes what `load` reads: any graph, whole or not at all."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_async as la
from file_graphs import as_held, assert_same, file_graphs
from lava_async._files import hdf5_chain, hdf5_fields
from lava_async._files.save import writing
from lava_async.errors import UnsupportedError, ValidationError
from net_files import random_layers, write_net
from own_kinds import valid_graph
from random_networks import inputs
from records import assert_equal_records

FRESH = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.net"


def layers_of(path) -> list[str]:
    """Types of the layers in a file."""
    with h5py.File(path, "r") as file:
        groups = file.get("layer", {})
        return [groups[str(i)]["type"][0].decode() for i in range(len(groups))]


@given(st.data())
@settings(FRESH, max_examples=80)
def test_any_graph_comes_back(path, data):
    graph = data.draw(file_graphs())
    la.save(graph, path)
    loaded = la.load(path)
    assert_same(as_held(loaded), as_held(graph))
    x = data.draw(inputs(graph))
    run = {"schedule": graph.schedule or la.Momentum(2), "backend": "reference"}
    want = la.simulate(graph, x, **run)
    assert_equal_records(la.simulate(loaded, x, **run), want)
    run["backend"] = "kernel"
    assert_equal_records(la.simulate(loaded, x, **run), want)


def test_every_kind_comes_back(path):
    la.save(valid_graph(), path)
    assert_same(la.load(path), valid_graph())
    assert not layers_of(path)


@pytest.mark.parametrize("seed", range(12))
def test_chains_are_written_as_layers(tmp_path, path, seed):
    rng = np.random.default_rng(seed)
    source = write_net(tmp_path / "source.net", random_layers(rng), la.Fifo(3))
    graph = la.load(source)
    la.save(graph, path)
    assert_same(la.load(path), graph)
    with_input = [kind for kind in layers_of(source) if kind != "input"]
    assert layers_of(path) == ["input", *with_input]


def test_a_chain_with_delays_is_written_as_layers(path):
    rng = np.random.default_rng(0)
    populations = tuple(la.Population(f"{n}", (n,), 1000, 500, 20) for n in (7, 6, 5))
    graph = la.Graph(
        (2, 2, 2),
        populations,
        (
            la.Dense(la.INPUT, 0, 2 * rng.integers(-50, 50, (7, 8))),
            la.Dense(0, 1, 2 * rng.integers(-50, 50, (6, 7)), delay=rng.integers(0, 63, 7)),
            la.Dense(1, 2, 2 * rng.integers(-50, 50, (5, 6)), delay=9),
        ),
        output_delay=rng.integers(0, 63, 5),
    )
    la.save(graph, path)
    assert layers_of(path) == ["input", "flatten", "dense", "dense", "dense"]
    with h5py.File(path, "r") as file:
        delays = [file[f"layer/{i}/delay"][()] for i in (2, 3, 4)]
    assert delays[1].shape == () and all(d.dtype == np.float32 for d in delays)
    assert_same(la.load(path), graph)


def chain(**changes) -> la.Graph:
    """Input layer, convolution, dense; each argument is what netx could not hold."""
    rng = np.random.default_rng(1)

    def weight(*shape):
        return 2 * rng.integers(-50, 50, shape)

    given = {
        "input_shape": (2, 3, 4), "input_decay": 4096, "input_bias": np.full((2, 3, 4), 3),
        "conv_bias": np.arange(3)[:, None, None] + np.zeros((3, 2, 2), int), "dense_bias": None,
        "dense_shape": (5,), "weight": weight(5, 12), "delays": (0, 0, 0), "output": -1,
        "output_delay": 0, "more": (), **changes,
    }  # fmt: skip
    delays = given["delays"]
    return la.Graph(
        given["input_shape"],
        (
            la.Population("a", (2, 3, 4), given["input_decay"], 9, 9, given["input_bias"]),
            la.Population("b", (3, 2, 2), 99, 9, 9, given["conv_bias"]),
            la.Population("c", given["dense_shape"], 99, 9, 9, given["dense_bias"]),
        ),
        (
            la.OneToOne(la.INPUT, 0, 64, delay=delays[0]),
            la.Conv(0, 1, weight(3, 2, 2, 3), delay=delays[1]),
            la.Dense(1, 2, given["weight"], delay=delays[2]),
            *given["more"],
        ),
        given["output"],
        output_delay=given["output_delay"],
    )


class Crossing(la.Connection):
    """A kind of a user's own: the last neuron to the first, and so on."""

    def synapses(self, source_shape):
        size = int(np.prod(source_shape))
        return la.Synapses.from_entries(
            "crossing", (size, size), np.arange(size)[::-1], np.arange(size), np.full(size, 40)
        )


NOT_IN_NETX = {
    "skip": {"more": (la.Dense(la.INPUT, 2, np.ones((5, 24))),)},
    "recurrent": {"more": (la.Dense(2, 2, np.ones((5, 5)), delay=2),)},
    "two connections": {"more": (la.Dense(1, 2, np.ones((5, 12))),)},
    "sparse": {"more": (la.Sparse(2, 2, la.Synapses.from_entries("", (5, 5), [], [], [])),)},
    "own kind": {"more": (Crossing(2, 2),)},
    "another output": {"output": 1},
    "flat input": {"input_shape": (24,)},
    "dense in three dimensions": {"dense_shape": (5, 1, 1)},
    "biases of input neurons": {"input_bias": np.arange(24).reshape(2, 3, 4)},
    "bias of an input with memory": {"input_decay": 100},
    "biases inside a channel": {"conv_bias": np.arange(12).reshape(3, 2, 2)},
    "delayed input": {"delays": (1, 0, 0)},
    "delayed input layer": {"delays": (0, 1, 0)},
    "delayed convolution": {"delays": (0, 0, np.arange(12))},
    "delayed bias": {"output_delay": 3, "dense_bias": np.arange(5)},
    "no synapse but of weight 0": {"weight": np.zeros((5, 12))},
    "inhibition by 2^k": {"weight": -np.arange(5, 65).reshape(5, 12)},
    "inhibition by 256": {"weight": np.full((5, 12), -256)},
}


def test_a_chain_that_netx_holds(path):
    la.save(chain(), path)
    assert layers_of(path) == ["input", "conv", "flatten", "dense"]
    assert_same(la.load(path), chain())


@pytest.mark.parametrize("what", NOT_IN_NETX)
def test_what_netx_would_run_otherwise_is_not_written_for_it(path, what):
    graph = chain(**NOT_IN_NETX[what])
    la.save(graph, path)
    assert not layers_of(path)
    assert_same(la.load(path), as_held(graph))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2, 2), (1, 1, 1, 1, 1)])
def test_shapes_that_no_layer_has(path, shape):
    size = int(np.prod(shape))
    populations = (la.Population("a", shape, 1, 2, 3, np.arange(size).reshape(shape)),)
    graph = la.Graph(shape, populations, (la.Dense(la.INPUT, 0, np.eye(size)),))
    la.save(graph, path)
    assert_same(la.load(path), graph)


@pytest.mark.parametrize(
    "own",
    [Crossing(la.INPUT, 0, delay=[3, 0, 1]), Crossing(la.INPUT, 0, delay=2)],
)
def test_a_kind_of_ones_own_comes_back_as_its_synapses(path, own):
    graph = la.Graph((3,), (la.Population("a", (3,), 2000, 1000, 40),), (own,))
    la.save(graph, path)
    (loaded,) = la.load(path).connections
    assert type(loaded) is la.Sparse
    assert_same(loaded.weight, own.synapses((3,)))
    assert_same(loaded.delay, own.delay)
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 9))
    want = la.simulate(graph, x, la.Momentum(1), backend="reference")
    assert want.spikes.any()
    assert_equal_records(la.simulate(la.load(path), x, la.Momentum(1), backend="reference"), want)


@pytest.mark.parametrize("name", ["GCOL", "GCOL\x01", "\ud800", "", "a\0b", "Größe 1", "x" * 99999])
def test_any_name_comes_back(path, name):
    graph = chain()
    first, *others = graph.populations
    named = graph.replace(populations=(dataclasses.replace(first, name=name), *others))
    la.save(named, path)
    assert la.load(path).populations[0].name == name


def test_the_same_graph_gives_the_same_bytes_at_any_time(tmp_path):
    found = []
    for _ in range(2):
        for graph in (chain(), valid_graph()):
            la.save(graph, tmp_path / "a.net")
            found.append((tmp_path / "a.net").read_bytes())
        time.sleep(1.1)  # HDF5 records seconds
    assert found[:2] == found[2:]


class Mine(la.AsyncSchedule):
    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        return momenta


class TestRefused:
    """With nothing written, and what was there untouched."""

    @pytest.fixture
    def before(self, path):
        la.save(chain(), path)
        content = path.read_bytes()
        yield
        assert [p.name for p in path.parent.iterdir()] == ["network.net"]
        assert path.read_bytes() == content

    @pytest.mark.parametrize("schedule", [Mine(3), la.Mixture([la.Fifo(), Mine(2)])])
    def test_a_schedule_of_ones_own(self, before, path, schedule):
        says = r"recorded: expected one of layer.*\(got Mine\)"
        with pytest.raises(UnsupportedError, match=says):
            la.save(chain().replace(schedule=schedule), path)

    def test_a_field_too_large_to_be_read(self, before, path, monkeypatch):
        monkeypatch.setattr(hdf5_fields, "MAX_ELEMENTS", 59)
        with pytest.raises(UnsupportedError, match=rf"^{path}: .*weight: expected 1 to 59 values"):
            la.save(chain(), path)

    def test_layers_of_another_network(self, before, path, tmp_path):
        graph = chain()
        other = chain(weight=chain().connections[2].weight + 2)
        with (
            pytest.raises(UnsupportedError, match="network in the file: expected the one that was"),
            writing(path, other) as file,
        ):
            hdf5_chain.write(file.create_group("layer"), graph)

    def test_ctrl_c(self, before, path, monkeypatch):
        def interrupted(*arguments):
            raise KeyboardInterrupt

        graph = chain(more=(Crossing(2, 2),))
        monkeypatch.setattr(Crossing, "all_synapses", interrupted)
        with pytest.raises(KeyboardInterrupt):
            la.save(graph, path)

    def test_what_is_no_graph(self, before, path):
        with pytest.raises(ValidationError, match="save: graph: expected a Graph"):
            la.save("network.net", path)

    def test_a_folder_that_is_not_there(self, path):
        with pytest.raises(ValidationError, match="expected an existing folder"):
            la.save(chain(), path / "network.net")

    def test_a_full_disk(self, before, path):
        """A limit on the size of files, set in a process of its own, fails as a full disk does."""
        script = (
            "import resource, sys, numpy as np, lava_async as la\n"
            "weight = np.ones((300, 300))\n"
            "graph = la.Graph((300,), (la.Population('a', (300,), 1, 1, 1),),\n"
            "                 (la.Dense(la.INPUT, 0, weight),))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try: la.save(graph, sys.argv[1])\n"
            "except OSError as error: print(error.strerror)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=120
        )
        assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "File too large", "")
