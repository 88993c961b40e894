"""Files between SLAYER, this package and stock netx: the same fields, the same spikes."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest
import torch
from lava.lib.dl import netx
from lava.lib.dl.slayer.block import cuba
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc import io

import lava_async as la
import slayer_blocks as sb
from lava_async._files.digest import digest
from lava_async._files.save import writing

pytestmark = pytest.mark.timeout(120)


def data_sets(path) -> dict[str, np.ndarray]:
    """Every data set of a file's layers."""
    found = {}
    with h5py.File(path, "r") as file:
        file["layer"].visititems(
            lambda name, item: found.update({name: item[()]})
            if isinstance(item, h5py.Dataset) else None
        )  # fmt: skip
    return found


def export(blocks, file: h5py.File) -> None:
    """As a SLAYER network's own ``export_hdf5`` has it."""
    layers = file.create_group("layer")
    for index, block in enumerate(blocks):
        block.export_hdf5(layers.create_group(str(index)))


def exported(blocks, path) -> None:
    with h5py.File(path, "w") as file:
        export(blocks, file)


def forward(blocks, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        for block in blocks:
            x = block(x)
    return x


def delayed(blocks, x: torch.Tensor, seed: int = 0) -> list[torch.nn.Module]:
    """Blocks with set delays, not whole numbers, as training leaves them."""
    forward(blocks, x)  # which draws them, by SLAYER's first forward pass
    rng = np.random.default_rng(seed)
    for block in blocks:
        if getattr(block, "delay", None) is not None:
            size = block.delay.delay.numel()
            block.delay.delay.data = torch.from_numpy(rng.uniform(0, 9, size).astype(np.float32))
    return blocks


NEURON = sb.NEURON


def dense_blocks(delay):
    return sb.dense_blocks(delay=delay)


def conv_blocks(delay):
    return sb.conv_blocks(delay=delay)


def conv_output(delay):
    """Ends in a convolution."""
    return sb.conv_blocks(delay=delay)[:3]


def one_output(delay):
    return sb.dense_blocks((20, 6, 1), delay=delay)


def flatten_first(delay):
    settings = {"weight_scale": 6, "delay_shift": False, "delay": delay}
    return [cuba.Flatten(), *sb.seeded(lambda: [cuba.Dense(dict(NEURON), 84, 5, **settings)])]


NETWORKS: dict[Callable, tuple[int, ...]] = {
    dense_blocks: (20,), conv_blocks: (2, 7, 6), conv_output: (2, 7, 6), one_output: (20,),
    flatten_first: (2, 7, 6),
}  # fmt: skip


@pytest.mark.parametrize("build", NETWORKS)
def test_delays_are_slayers_own(tmp_path, build):
    """Bit for bit: SLAYER shifts by whole time steps, rounded down, in its forward pass as well."""
    path, shape = tmp_path / "network.net", NETWORKS[build]
    x = sb.spikes((3, *shape, 40))
    blocks = delayed(build(delay=True), x)
    want = forward(blocks, x).numpy()
    exported(blocks, path)
    graph = la.load(path, shape)
    assert graph.max_delay + int(np.max(graph.output_delay)) > 0
    for backend in ("reference", "kernel"):
        record = la.simulate(graph, x.numpy().astype(int), la.LayerSync(), backend=backend)
        assert not record.overflows.any()
        np.testing.assert_array_equal(record.spikes, want)
    assert want.any()


def test_a_delay_that_no_forward_pass_has_drawn_is_none(tmp_path):
    blocks = sb.dense_blocks(delay=True)
    for block, size in zip(blocks, (12, 8, 4), strict=True):
        block.neuron.shape = torch.Size([size])
    exported(blocks, tmp_path / "network.net")
    graph = la.load(tmp_path / "network.net")
    assert graph.output_delay == graph.max_delay == 0


@pytest.mark.parametrize("build", NETWORKS)
def test_what_is_saved_has_the_fields_of_slayers_export(tmp_path, build):
    shape = NETWORKS[build]
    blocks = [cuba.Input(delay_shift=False), *build(delay=False)]
    if isinstance(blocks[1], cuba.Input):
        del blocks[0]
    forward(blocks, sb.spikes((2, *shape, 4)))
    exported(blocks, tmp_path / "slayers.net")
    la.save(la.load(tmp_path / "slayers.net"), tmp_path / "ours.net")
    ours, slayers = data_sets(tmp_path / "ours.net"), data_sets(tmp_path / "slayers.net")
    assert ours.keys() == slayers.keys()
    for name in ours:
        assert np.asarray(ours[name]).dtype == np.asarray(slayers[name]).dtype, name
        assert np.array_equal(ours[name], slayers[name]), name


def test_an_input_layer_s_bias_has_the_field_of_slayers_export(tmp_path):
    blocks = [cuba.Input({"threshold": 1.25, **sb.FORGETFUL}, 0.75, 0.5, delay_shift=False)]
    forward(blocks, sb.spikes((2, 6, 4)))
    exported(blocks, tmp_path / "slayers.net")
    la.save(la.load(tmp_path / "slayers.net"), tmp_path / "ours.net")
    ours, slayers = data_sets(tmp_path / "ours.net"), data_sets(tmp_path / "slayers.net")
    assert ours.keys() == slayers.keys() >= {"0/weight", "0/bias"}
    for name in ours:
        assert np.asarray(ours[name]).dtype == np.asarray(slayers[name]).dtype, name
        assert np.array_equal(ours[name], slayers[name]), name


def test_a_file_that_slayers_blocks_fill_has_a_digest(tmp_path):
    path, x = tmp_path / "network.net", sb.spikes((2, 2, 7, 6, 4))
    blocks = delayed(sb.conv_blocks(delay=True), x)
    exported(blocks, tmp_path / "plain.net")
    graph = la.load(tmp_path / "plain.net").replace(schedule=la.Fifo(3))
    with writing(path, graph) as file:
        export(blocks, file)
    assert digest(la.load(path)) == digest(graph)
    assert data_sets(path).keys() == data_sets(tmp_path / "plain.net").keys()
    with h5py.File(path, "r") as file:
        assert file["lava_async"].attrs["digest"].decode() == digest(graph)


# Stock netx


def run_netx(path, x: np.ndarray) -> tuple[np.ndarray, int]:
    """Output spikes (..., T), and how many layers netx made of the file."""
    network = netx.hdf5.Network(net_config=str(path))
    steps = x.shape[-1]
    source = io.source.RingBuffer(data=x)
    sink = io.sink.RingBuffer(shape=network.out.shape, buffer=steps)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    try:
        network.run(
            condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt")
        )
        return sink.data.get().astype(np.int8), len(network)
    finally:
        network.stop()


def even(rng, scale, *shape):
    return 2 * rng.integers(-scale, scale + 1, shape)


def population(*shape, bias=None):
    """Without memory where there is a bias, which in netx no layer's lag makes late."""
    decays = (1000, 500) if bias is None else (4096, 4096)
    return la.Population("p", shape, *decays, 10, bias)


def dense_chain():
    """Weights of every parity and sign that netx scales in its own way."""
    rng = np.random.default_rng(0)
    return la.Graph(
        (8,),
        (population(7), population(9), population(6), population(5, bias=np.full(5, 90))),
        (
            la.Dense(la.INPUT, 0, even(rng, 60, 7, 8)),
            la.Dense(0, 1, rng.integers(1, 255, (9, 7))),
            la.Dense(1, 2, rng.integers(-255, 255, (6, 9))),
            la.Dense(2, 3, rng.integers(-99, 0, (5, 6))),
        ),
    )


def delayed_chain():
    rng = np.random.default_rng(0)
    return la.Graph(
        (8,),
        tuple(population(n) for n in (7, 7, 6)),
        (
            la.Dense(la.INPUT, 0, even(rng, 60, 7, 8)),
            la.Dense(0, 1, even(rng, 60, 7, 7), delay=rng.integers(0, 10, 7)),
            la.Dense(1, 2, even(rng, 60, 6, 7), delay=3),
        ),
        output_delay=rng.integers(0, 9, 6),
    )


def conv_chain():
    rng = np.random.default_rng(0)
    bias = np.broadcast_to(np.arange(4)[:, None, None], (4, 5, 5))
    return la.Graph(
        (2, 7, 6),
        (population(4, 5, 5, bias=bias), population(4, 3, 2), population(5, bias=np.arange(5))),
        (
            la.Conv(la.INPUT, 0, even(rng, 50, 4, 2, 3, 2)),
            la.Conv(0, 1, even(rng, 120, 4, 2, 3, 3), (1, 2), groups=2),
            la.Dense(1, 2, even(rng, 120, 5, 24)),
        ),
    )


@pytest.mark.parametrize("build", [dense_chain, delayed_chain, conv_chain])
def test_stock_netx_runs_what_is_saved(tmp_path, build):
    """As ours under layer synchronization, but that each layer is a time step late."""
    graph, steps = build(), 40
    la.save(graph, tmp_path / "network.net")
    x = (np.random.default_rng(1).random((*graph.input_shape, steps)) < 0.3).astype(np.uint8)
    got, layers = run_netx(tmp_path / "network.net", x.transpose(2, 1, 0, 3) if x.ndim > 2 else x)
    assert layers == len(graph.populations)
    want = la.simulate(graph, x, la.LayerSync()).spikes[0]
    np.testing.assert_array_equal(got[:, layers:], want[:, : steps - layers])
    assert 20 < want.sum() < want.size - 20


def test_stock_netx_reads_the_weights_of_an_input_layer(tmp_path):
    neurons = la.Population("a", (2, 3, 4), 4096, 100, 40, np.full((2, 3, 4), -6))
    graph = la.Graph((2, 3, 4), (neurons,), (la.OneToOne(la.INPUT, 0, 96),))
    la.save(graph, tmp_path / "network.net")
    (layer,) = netx.hdf5.Network(net_config=str(tmp_path / "network.net")).layers
    assert layer.shape == (4, 3, 2)
    assert layer.transform == {"weight": 96, "bias": -6}


def test_stock_netx_refuses_what_it_cannot_hold(tmp_path):
    graph = dense_chain()
    recurrent = graph.replace(connections=(*graph.connections, la.Dense(3, 3, np.ones((5, 5)))))
    la.save(recurrent, tmp_path / "network.net")
    with pytest.raises(KeyError, match="layer"):
        netx.hdf5.Network(net_config=str(tmp_path / "network.net"))
