"""Networks to HDF5 and back: the same integers, the same spikes, the network unharmed."""

import h5py
import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from file_graphs import assert_same
from lava_async import slayer as async_slayer
from lava_async._files import hdf5_own
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

SCHEDULES = [la.Momentum(3, 0.25, 2**64 - 1), la.Random(2, 5), la.LayerSync(16)]


def fields(path, group="layer"):
    """All data sets of a file by name."""
    found = {}
    with h5py.File(path, "r") as file:
        file[group].visititems(
            lambda name, item: found.update({name: item[()]})
            if isinstance(item, h5py.Dataset) else None
        )  # fmt: skip
    return found


def same_fields(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert np.asarray(a[name]).dtype == np.asarray(b[name]).dtype, name
        assert np.array_equal(a[name], b[name]), name


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("build, shape", [(sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))])
@pytest.mark.parametrize("weight_norm", [False, True])
def test_round_trip(tmp_path, schedule, build, shape, weight_norm):
    net = sb.network(build(weight_norm=weight_norm), schedule)
    x = sb.spikes((3, *shape, 6))
    y = net(x, sample_ids=[0, 1, 2])
    assert y.sum() > 0
    net.export_hdf5(tmp_path / "a.net")

    graph = la.load(tmp_path / "a.net")
    assert graph.schedule == schedule
    assert np.array_equal(la.simulate(graph, x.numpy()).spikes, y.detach().numpy())

    again = async_slayer.Network.from_hdf5(tmp_path / "a.net")
    assert again.schedule == schedule
    assert torch.equal(again(x, sample_ids=[0, 1, 2]), y)
    again.export_hdf5(tmp_path / "b.net")
    same_fields(fields(tmp_path / "a.net"), fields(tmp_path / "b.net"))
    assert all(p.requires_grad for p in again.parameters() if p.dim() > 1)


@pytest.mark.parametrize("build, shape", [(sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))])
def test_fields_are_slayers_own(tmp_path, build, shape):
    """Compared with the export of the same blocks in a plain SLAYER network."""
    x = sb.spikes((2, *shape, 4))
    net = sb.network(build(weight_norm=True))
    net(x)
    net.export_hdf5(tmp_path / "ours.net")
    blocks = build(weight_norm=True)
    torch.nn.Sequential(*blocks)(x)
    with h5py.File(tmp_path / "slayers.net", "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(layers.create_group(str(index)))
    same_fields(fields(tmp_path / "ours.net"), fields(tmp_path / "slayers.net"))


def test_training_goes_on_as_if_nothing_had_been_exported(tmp_path):
    def train(export):
        net = sb.network(
            sb.dense_blocks(weight_norm=True), refractory_dropout=0.3, gradient="unrolled"
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        for step in range(4):
            (net(sb.spikes((4, 20, 5), step)).mean() - 0.5).square().backward()
            if export:
                net.export_hdf5(tmp_path / f"{step}.net")
            optimizer.step()
            optimizer.zero_grad()
        return net.state_dict()

    plain, exported = train(False), train(True)
    assert plain.keys() == exported.keys() and "blocks.0.synapse.weight_g" in plain
    assert all(torch.equal(plain[key], exported[key]) for key in plain)


def test_the_shape_may_be_given_instead_of_seen(tmp_path):
    net = sb.network(sb.conv_blocks())
    for act in (net.graph, lambda: net.export_hdf5(tmp_path / "x.net")):
        with pytest.raises(ValidationError, match=r"first forward pass, or Network.*input_shape="):
            act()
    assert not list(tmp_path.iterdir())
    given = sb.network(sb.conv_blocks(), input_shape=(2, 7, 6))
    given.export_hdf5(tmp_path / "given.net")
    net(sb.spikes((1, 2, 7, 6, 2)))
    net.export_hdf5(tmp_path / "seen.net")
    same_fields(fields(tmp_path / "given.net"), fields(tmp_path / "seen.net"))


def test_a_failing_export_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.net"
    net = sb.network(sb.dense_blocks(weight_norm=True), input_shape=(20,))
    net.export_hdf5(path)
    before = path.read_bytes()

    def broken(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(hdf5_own, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        net.export_hdf5(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert net.blocks[0].synapse.weight_norm_enabled


def test_an_export_of_a_blocks_own_is_refused(tmp_path):
    net = sb.network(sb.dense_blocks(), input_shape=(20,))
    net.blocks[1].export_hdf5 = lambda handle: None
    net(sb.spikes((1, 20, 3)))
    with pytest.raises(UnsupportedError, match=r"blocks\[1\] \(Dense\): block\.export_hdf5"):
        net.export_hdf5(tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def test_an_input_layer_with_a_bias_comes_back(tmp_path):
    forgetful = {"threshold": 1.25, **sb.FORGETFUL}
    blocks = [
        cuba.Input(forgetful, weight=0.75, bias=0.5, delay_shift=False),
        *sb.dense_blocks((6, 3)),
    ]
    net = sb.network(blocks)
    x = sb.spikes((2, 6, 5))
    y = net(x)
    net.export_hdf5(tmp_path / "a.net")
    again = async_slayer.Network.from_hdf5(tmp_path / "a.net")
    assert torch.equal(again(x), y) and y.sum() > 0
    assert again.blocks[0].bias.requires_grad


def test_settings_that_a_file_lacks_are_given(tmp_path):
    sb.network(sb.dense_blocks(), input_shape=(20,)).export_hdf5(tmp_path / "a.net")
    net = async_slayer.Network.from_hdf5(
        tmp_path / "a.net", schedule=la.LayerSync(2), tau_grad=0.1, scale_grad=7, seed=3,
        refractory_dropout=0.5,
        gradient="unrolled",
    )  # fmt: skip
    assert net.schedule == la.LayerSync(2) and net.dropout.refractory == 0.5
    neuron = net.blocks[0].neuron
    assert (neuron.tau_rho, neuron.scale_rho) == (0.1 * 1.25, 7)


@pytest.mark.parametrize("field, value", [("weight", 3), ("bias", 5)])
def test_files_of_others_with_odd_weights_or_biases(tmp_path, field, value):
    path = tmp_path / "a.net"
    sb.network(sb.dense_blocks(), input_shape=(20,)).export_hdf5(path)
    with h5py.File(path, "a") as file:
        group = file["layer/0"]
        if field in group:
            group[field][...] = value
        else:
            group[field] = np.full(12, value)
        del file["lava_async"].attrs["digest"]
    net = async_slayer.Network.from_hdf5(path)
    assert_same(net.graph(), la.load(path))
    x = sb.spikes((2, 20, 6))
    want = la.simulate(la.load(path), x.numpy()).spikes
    assert want.any()
    np.testing.assert_array_equal(net(x).detach().numpy(), want)
    net(x).sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("build, shape", [(sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))])
def test_stock_netx_loads_the_file(tmp_path, build, shape):
    from lava.lib.dl import netx

    net = sb.network(build(weight_norm=True), input_shape=shape)
    net.export_hdf5(tmp_path / "a.net")
    stock = netx.hdf5.Network(net_config=str(tmp_path / "a.net"))
    graph = net.graph()
    assert len(stock.layers) == len(graph.populations)
    assert int(np.prod(stock.out.shape)) == graph.populations[-1].size
    # netx moves factors of 2 into an exponent, and the columns after a convolution.
    theirs = np.sort(stock.layers[-1].synapse.weights.init, axis=1)
    ours = np.sort(graph.connections[-1].weight, axis=1)
    assert np.array_equal(theirs / np.abs(theirs).max(), ours / np.abs(ours).max())


@pytest.mark.parametrize("kind", ["flatten", "conv"])
def test_the_file_tells_the_shape_that_no_input_block_does(tmp_path, kind):
    neuron = dict(threshold=1.0, current_decay=1.0, voltage_decay=1.0)
    if kind == "flatten":
        blocks = [cuba.Flatten(), cuba.Dense(neuron, 50, 7, weight_scale=6, delay_shift=False)]
    else:
        blocks = [cuba.Conv(neuron, 2, 3, 3, weight_scale=6, delay_shift=False)]
    net = async_slayer.Network(blocks, schedule=la.Momentum(3), input_shape=(2, 5, 5))
    path = tmp_path / "network.net"
    net.export_hdf5(path)
    x = (np.random.default_rng(0).random((3, 2, 5, 5, 6)) < 0.5).astype(np.uint8)
    want = la.simulate(net.graph(), x).all_spikes
    assert want.any()
    assert la.load(path).input_shape == (2, 5, 5)
    np.testing.assert_array_equal(la.simulate(la.load(path), x).all_spikes, want)
    again = async_slayer.Network.from_hdf5(path)
    np.testing.assert_array_equal(la.simulate(again.graph(), x).all_spikes, want)
    with pytest.raises(FileFormatError, match="as the file records"):
        la.load(path, input_shape=(50,))


def test_a_replaced_block_is_noticed(tmp_path):
    neuron = dict(threshold=1.0, current_decay=1.0, voltage_decay=1.0)
    net = async_slayer.Network(
        [cuba.Dense(neuron, 5, 4, weight_scale=6, delay_shift=False)], input_shape=(5,)
    )
    other = cuba.Dense(neuron, 5, 3, weight_scale=6, delay_shift=False)
    net.blocks[0] = other
    want = other.synapse.weight.detach().squeeze().numpy()
    got = net.graph().connections[0].weight
    assert got.shape == (3, 5)
    np.testing.assert_array_equal(got, 2 * np.round(want * 32).clip(-128, 127))
    more = cuba.Dense(neuron, 3, 2, weight_scale=6, delay_shift=False)
    net.blocks.append(more)
    assert net(sb.spikes((1, 5, 3))).shape == (1, 2, 3)
    net.blocks = torch.nn.ModuleList([more])
    with pytest.raises(ValidationError, match=r"input shape: expected \(3,\) \(got \(5,\)\)"):
        net.graph()
