"""NIR to and from snnTorch.

Its floats and our integers agree to the last spike where nothing is rounded: weights that Loihi
has, and decays of one half over so few time steps that no bit is lost.
"""

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

import lava_async as la

STEPS = 6
"""Halved so often, 64 is still whole."""


def spikes_of(net, x):
    """(B, *shape, T) -> (B, outputs, T), of a network of snnTorch."""
    utils.reset(net)
    with torch.no_grad():
        frames = [net(torch.tensor(f, dtype=torch.float32))[0] for f in np.moveaxis(x, -1, 0)]
    return torch.stack(frames, -1).numpy().astype(np.int8)


def exact(rng, *shape):
    """Weights that are integers of Loihi's over 256, the largest one among them."""
    weight = 2 * rng.integers(-55, 60, shape)
    weight.flat[0] = 254
    return torch.tensor(weight / 256, dtype=torch.float32)


def frames(rng, *shape):
    return (rng.random((16, *shape, STEPS)) < 0.4).astype(np.int64)


def leaky(*shape, output=False):
    return snn.Leaky(
        beta=torch.full(shape, 0.5), threshold=torch.ones(shape), init_hidden=True,
        reset_mechanism="zero", reset_delay=False, output=output,
    )  # fmt: skip


def synaptic(*shape, output=False):
    half = torch.full(shape, 0.5)
    return snn.Synaptic(
        alpha=half, beta=half, threshold=torch.ones(shape), init_hidden=True,
        reset_mechanism="zero", reset_delay=False, output=output,
    )  # fmt: skip


def dense_network(rng):
    layers = [torch.nn.Linear(20, 30), leaky(30), torch.nn.Linear(30, 8), leaky(8, output=True)]
    for layer in layers[::2]:
        layer.weight.data = exact(rng, *layer.weight.shape)
        layer.bias.data = torch.tensor(rng.integers(-30, 60, len(layer.bias)) / 256).float()
    return torch.nn.Sequential(*layers), (20,)


def current_network(rng):
    layers = [
        torch.nn.Linear(20, 30, bias=False), synaptic(30),
        torch.nn.Linear(30, 8, bias=False), synaptic(8, output=True),
    ]  # fmt: skip
    for layer in layers[::2]:
        layer.weight.data = exact(rng, *layer.weight.shape)
    return torch.nn.Sequential(*layers), (20,)


def conv_network(rng):
    layers = [
        torch.nn.Conv2d(2, 4, 3, padding=1), leaky(4, 6, 6), torch.nn.Flatten(),
        torch.nn.Linear(144, 8), leaky(8, output=True),
    ]  # fmt: skip
    for layer in layers[::3]:
        layer.weight.data = exact(rng, *layer.weight.shape)
        layer.bias.data = torch.tensor(rng.integers(-30, 60, len(layer.bias)) / 256).float()
    return torch.nn.Sequential(*layers), (2, 6, 6)


def recurrent_network(rng):
    layers = [
        torch.nn.Linear(20, 30),
        snn.RLeaky(
            beta=0.5, linear_features=30, init_hidden=True, reset_mechanism="zero",
            reset_delay=False, output=True,
        ),
    ]  # fmt: skip
    for linear in (layers[0], layers[1].recurrent):
        linear.weight.data = exact(rng, *linear.weight.shape)
        linear.bias.data = torch.tensor(rng.integers(-30, 60, 30) / 256).float()
    return torch.nn.Sequential(*layers), (20,)


NETWORKS = [dense_network, current_network, conv_network, recurrent_network]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_theirs_run_here_to_the_same_spikes(network, seed, tmp_path):
    rng = np.random.default_rng(seed)
    net, shape = network(rng)
    path = tmp_path / "network.nir"
    nir.write(path, export_to_nir(net, torch.zeros(1, *shape), ignore_dims=[0]))
    graph, rounding = la.from_nir(path, report=True)
    assert max(rounding.errors.values()) < 1e-6  # single precision's
    assert {p.threshold for p in graph.populations} == {256}
    x = frames(rng, *shape)
    want = spikes_of(net, x)
    assert want.any() and not want.all()
    np.testing.assert_array_equal(la.simulate(graph, x, la.LayerSync()).spikes, want)


def chain(rng, i_decay=4096, conv=False):
    """Integers of ours, odd ones too, with half-life one time step."""
    bias = rng.integers(-20, 40, 30) if i_decay == 4096 else None
    shape, first = (20,), la.Dense(la.INPUT, 0, rng.integers(-80, 140, (30, 20)))
    size, hidden = 30, (30,)
    if conv:
        shape, hidden, size = (2, 6, 6), (4, 6, 6), 144
        first = la.Conv(la.INPUT, 0, rng.integers(-80, 140, (4, 2, 3, 3)), padding=(1, 1))
        bias = np.broadcast_to(rng.integers(-20, 40, (4, 1, 1)), hidden)
    connections = [first, la.Dense(0, 1, rng.integers(-100, 101, (8, size)))]
    populations = [
        la.Population("hidden", hidden, i_decay, 2048, 251, bias),
        la.Population("out", (8,), i_decay, 2048, 377),
    ]
    return la.Graph(shape, populations, connections)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [{}, {"i_decay": 2048}, {"conv": True}],
    ids=["dense", "current", "conv"],
)
def test_ours_run_there_to_the_same_spikes(options, seed, tmp_path):
    rng = np.random.default_rng(seed)
    graph = chain(rng, **options)
    la.to_nir(graph, tmp_path / "network.nir")
    net = import_from_nir(nir.read(tmp_path / "network.nir"))
    x = frames(rng, *graph.input_shape)
    want = la.simulate(graph, x, la.LayerSync()).spikes
    assert want.any() and not want.all()
    np.testing.assert_array_equal(spikes_of(net, x), want)
