"""SLAYER's blocks that see frames: `Pool`, `Unpool`, `ConvT`, and `Dense` with a frame."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.netx import hdf5
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from exact_blocks import assert_same_everywhere, assert_slayers_own
from file_graphs import assert_same
from lava_async import netx as async_netx
from lava_async import slayer as async_slayer
from lava_async.errors import FileFormatError, GraphError, UnsupportedError, ValidationError

NEURON = {**sb.NEURON, "tau_grad": 0.05}
OFF = {"delay_shift": False}


def pool(kernel=2, **settings):
    return cuba.Pool(dict(NEURON), kernel, weight_scale=1.4, **OFF, **settings)


def unpool(kernel=2, **settings):
    return cuba.Unpool(dict(NEURON), kernel, weight_scale=1.8, **OFF, **settings)


def conv_t(inputs, outputs, kernel=3, **settings):
    return cuba.ConvT(dict(NEURON), inputs, outputs, kernel, weight_scale=8, **OFF, **settings)


def conv(inputs, outputs, kernel=3, weight_scale=8, **settings):
    return cuba.Conv(
        dict(NEURON), inputs, outputs, kernel, weight_scale=weight_scale, **OFF, **settings
    )


def mixed_blocks():
    """For inputs (2, 7, 5)."""
    return [conv(2, 4, padding=1), pool(), conv_t(4, 6, stride=2, groups=2), unpool((2, 1)),
            cuba.Flatten(), cuba.Dense(dict(NEURON), 6 * 18 * 7, 5, weight_scale=6, **OFF)]


def one_block(block, channels, height=6, width=6):
    """It, and a convolution behind it, so that a gradient reaches something."""
    def build():
        return [conv(2, channels, 1, weight_scale=4), block()]

    return build, sb.spikes((2, 2, height, width, 8), density=0.5)


def test_they_are_slayers_own():
    assert_slayers_own(mixed_blocks, sb.spikes((3, 2, 7, 5, 8)))


def test_they_run_everywhere_and_come_back_from_files(tmp_path):
    net = sb.network(sb.seeded(mixed_blocks))
    again = assert_same_everywhere(
        net, sb.spikes((2, 2, 7, 5, 6), density=0.5), tmp_path,
        layers=["conv", "pool", "convT", "unpool", "flatten", "dense"],
    )  # fmt: skip
    kinds = [type(block) for block in net.blocks]
    assert [type(block) for block in again.blocks] == [cuba.Input, *kinds]
    for before, after in zip(net.blocks, again.blocks[1:], strict=True):
        if hasattr(before, "synapse"):
            trains = [b.synapse.weight.requires_grad for b in (before, after)]
            assert trains[0] == trains[1] == (type(before) not in (cuba.Pool, cuba.Unpool))


POOLS = [
    {}, {"kernel": (1, 2)}, {"kernel": 3, "height": 6, "width": 7}, {"height": 5, "width": 7},
    {"kernel": 2, "stride": 3}, {"kernel": (2, 3), "stride": (2, 1), "padding": (0, 1)},
    {"kernel": 2, "dilation": 2, "stride": 3}, {"kernel": (1, 3), "dilation": (1, 2)},
    {"channels": 1, "kernel": 3, "height": 7, "width": 5, "stride": 1, "padding": 1},
    {"channels": 1, "kernel": 3, "height": 5},
]  # fmt: skip


@pytest.mark.parametrize("given", POOLS)
def test_every_pooling_that_keeps_channels_apart(given, tmp_path):
    given = dict(given)
    frame = {name: given.pop(name) for name in ("height", "width") if name in given}
    build, x = one_block(lambda: pool(**given), given.pop("channels", 3), **frame)
    assert_slayers_own(build, x)
    assert_same_everywhere(
        sb.network(sb.seeded(build)), x, tmp_path, [la.Momentum(3)], ["conv", "pool"], ["kernel"]
    )


UNPOOLS = [
    {}, {"kernel": (1, 2)}, {"kernel": (2, 3), "stride": (2, 2), "padding": (0, 1)},
    {"kernel": 2, "dilation": 2, "stride": 3}, {"kernel": (3, 2), "stride": (3, 3)},
    {"channels": 1, "kernel": 3, "stride": 2, "padding": 1},
]  # fmt: skip


@pytest.mark.parametrize("given", UNPOOLS)
def test_every_unpooling_that_keeps_channels_apart(given, tmp_path):
    given = dict(given)
    build, x = one_block(lambda: unpool(**given), given.pop("channels", 3), 4, 4)
    assert_slayers_own(build, x)
    assert_same_everywhere(
        sb.network(sb.seeded(build)), x, tmp_path, [la.Momentum(3)], ["conv", "unpool"], ["kernel"]
    )


TRANSPOSED = [
    {}, {"stride": 2}, {"stride": (2, 3), "padding": (1, 0), "dilation": (2, 1)},
    {"kernel": (1, 2)}, {"groups": 2}, {"kernel": 2, "groups": 4, "stride": 3},
    {"kernel": 5, "padding": 2},
]  # fmt: skip


@pytest.mark.parametrize("given", TRANSPOSED)
def test_every_transposed_convolution(given, tmp_path):
    build, x = one_block(lambda: conv_t(4, 4, **given), 4, 4, 5)
    assert_slayers_own(build, x)
    assert_same_everywhere(
        sb.network(sb.seeded(build)), x, tmp_path, [la.Momentum(3)], ["conv", "convT"], ["kernel"]
    )


CROSSING = [
    (pool, {"kernel": 3}, (2, 4, 6)), (pool, {"stride": 1}, (2, 4, 4)),
    (pool, {"padding": 1}, (2, 4, 4)), (pool, {"kernel": 1, "stride": 2}, (2, 5, 4)),
    (unpool, {"stride": 1}, (2, 4, 4)), (unpool, {"padding": (1, 0)}, (2, 4, 4)),
    (unpool, {"stride": 3}, (2, 4, 4)),
]  # fmt: skip


@pytest.mark.parametrize("make, given, shape", CROSSING)
def test_what_sees_over_the_borders_of_channels_is_refused(make, given, shape):
    """SLAYER stacks the channels; where that shows, each channel by itself is something else."""
    net = sb.network([make(**given)])
    with pytest.raises(UnsupportedError, match=r"^blocks\[0\] \((Pool|Unpool)\): windows: expect"):
        net(sb.spikes((1, *shape, 3)))
    x = torch.zeros(1, *shape, 3)
    x[:, 0] = 1
    try:
        z = make(**given).synapse(x)
    except RuntimeError:  # it cannot make channels of it
        return
    kind = {pool: la.Pool, unpool: la.Unpool}[make]
    s = make(**given).synapse
    weight = np.ones(s.kernel_size[:2], int)
    own = kind(-1, 0, weight, s.stride[:2], s.padding[:2], s.dilation[:2])
    spread = z[0, 1].abs().sum() > 0
    assert spread or tuple(z.shape[1:4]) != own.out_shape(shape)


def test_a_trained_pooling_kernel_is_one():
    def build():
        blocks = [conv(2, 3), pool(), conv_t(3, 2), unpool()]
        for block in blocks:
            block.synapse.weight.requires_grad_()
        return blocks

    x = sb.spikes((3, 2, 8, 8, 6))
    assert_slayers_own(build, x)
    net = sb.network(sb.seeded(build), la.Momentum(3))
    net(x).sum().backward()
    for block in net.blocks:
        assert block.synapse.weight.grad.shape == block.synapse.weight.shape
        assert block.synapse.weight.grad.any()


@settings(max_examples=20, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    frame=st.tuples(st.integers(3, 7), st.integers(3, 7)), kind=st.sampled_from([pool, unpool]),
)
def test_they_are_slayers_own_or_refused(kernel, stride, padding, dilation, frame, kind):
    """Whatever the windows: no third way."""
    block = kind(kernel, stride=stride, padding=padding, dilation=dilation)
    x = sb.spikes((2, 2, *frame, 4), density=0.6)
    try:
        net = sb.network([block], la.LayerSync(), input_shape=(2, *frame))
    except (UnsupportedError, ValidationError):
        return
    assert torch.equal(net(x), block(x))


def test_channels_of_several_sources(tmp_path):
    """Of which each reaches a part of the targets, or all."""
    blocks = sb.seeded(
        lambda: [conv(2, 3, padding=1), conv(3, 2, padding=1), pool(), conv_t(5, 4),
                 conv_t(4 + 4, 4, groups=2, padding=1)]
    )  # fmt: skip
    sources = {2: [0, 1], 4: [3, (3, 1)]}
    net = sb.network(blocks, la.LayerSync(), sources=sources)
    x = sb.spikes((2, 2, 6, 6, 6), density=0.5)
    y = net(x)
    a = blocks[0](x)
    b = blocks[1](a)
    d = blocks[3](blocks[2](torch.cat([a, b], 1)))
    late = torch.nn.functional.pad(d, (1, 0))[..., :-1]
    assert torch.equal(y, blocks[4](torch.cat([d, late], 1))) and y.any()
    again = assert_same_everywhere(net, x, tmp_path, [la.Momentum(2)], backends=["kernel"])
    assert len(again.blocks) == 6


def test_a_kind_of_the_graph_trains_one_kernel_beside_other_synapses(tmp_path):
    rng = np.random.default_rng(0)
    graph = la.Graph(
        (2, 4, 4),
        [la.Population("p", (2, 2, 2), 3000, 500, 30, rng.integers(-5, 9, (2, 2, 2)))],
        [la.Pool(-1, 0, [[30, 20], [10, 40]], (2, 2)), la.OneToOne(0, 0, -9)],
    )
    net = async_slayer.Network.from_graph(graph)
    assert_same(net.graph(), graph.replace(schedule=la.Momentum()))
    assert net.blocks[1].synapses[0].weight.shape == (2, 2)
    assert "pool, (2, 2)" in repr(net)
    assert_same_everywhere(
        net, sb.spikes((2, 2, 4, 4, 6)), tmp_path, [la.Momentum(2), la.LayerSync()]
    )


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: la.Pool(-1, 0, np.ones((2, 2, 1))), "weight dimensions: expected 2"),
        (lambda: la.Pool(-1, 0, np.ones((0, 2))), r"weight shape: expected \(…, kh, kw\)"),
        (lambda: la.Unpool(-1, 0, [[300]]), r"weight\[0, 0\]: expected an integer in -256..254"),
        (lambda: la.Pool(-1, 0, [[1]], stride=0), "stride: expected an integer in 1"),
        (lambda: la.ConvTranspose(-1, 0, np.ones((3, 1, 1, 1)), groups=2), "in_channels: expected"),
    ],
)
def test_wrong_kernels_are_named(make, message):
    with pytest.raises(GraphError, match=message):
        make()


@pytest.mark.parametrize(
    "connection, shape, message",
    [
        (la.Pool(-1, 0, [[1]]), (4,), r"pool source shape: expected \(C, H, W\)"),
        (la.Pool(-1, 0, np.ones((9, 9)), (9, 9)), (1, 2, 2), "pool target shape"),
        (la.ConvTranspose(-1, 0, np.ones((3, 2, 1, 1))), (2, 2, 2), "input channels: expected 3"),
        (la.Unpool(-1, 0, [[1]]), (2, 2, 3), r"unpool target shape: expected \(2, 2, 3\) \(got"),
    ],
)
def test_shapes_that_do_not_fit_are_named(connection, shape, message):
    with pytest.raises(GraphError, match=message):
        la.Graph(shape, [la.Population("p", (2, 2, 2), 9, 9, 9)], [connection])


def test_damaged_layers_are_named(tmp_path):
    path = tmp_path / "a.net"
    sb.network(sb.seeded(mixed_blocks), input_shape=(2, 7, 5)).export_hdf5(path)

    def changed(place, value):
        with h5py.File(path, "r+") as file:
            if "digest" in file["lava_async"].attrs:
                del file["lava_async"].attrs["digest"]
            before = file[place][()]
            del file[place]
            file[place] = value
        return before

    for place, value, error, message in [
        ("layer/1/kernelSize", [2, 3], FileFormatError, r"layer 1 \(pool\): kernelSize"),
        ("layer/1/shape", [4, 4, 4], FileFormatError, r"layer 1 \(pool\): pool target shape"),
        ("layer/1/padding", [1, 0], UnsupportedError, r"layer 1 \(pool\): windows: expected"),
        ("layer/1/weight", np.ones((2, 1, 2, 2)), FileFormatError, r"\(pool\): weight shape"),
        ("layer/2/inChannels", 5, FileFormatError, r"layer 2 \(convT\): inChannels: expected 4"),
        ("layer/2/groups", 3, FileFormatError, r"layer 2 \(convT\): in_channels"),
        ("layer/3/stride", [1, 1], UnsupportedError, r"layer 3 \(unpool\): windows: expected"),
    ]:
        before = changed(place, value)
        with pytest.raises(error, match=message):
            la.load(path)
        changed(place, before)
    assert la.load(path).out_shape == (5,)


def test_their_rows_in_the_layer_table():
    net = sb.network(sb.seeded(mixed_blocks), input_shape=(2, 7, 5))
    rows = str(async_netx.Network(net.graph())).splitlines()[1:]
    assert [row[:60] for row in rows[1:4]] == [
        "|Pool      |    3|    4|    4| 2, 2| 2, 2| 0, 0| 1, 1|     |",
        "|ConvT     |    7|    9|    6| 3, 3| 2, 2| 0, 0| 1, 1|    2|",
        "|Unpool    |    7|   18|    6| 1, 2| 1, 2| 0, 0| 1, 1|     |",
    ]


# Dense


def dense(inputs, outputs, **settings):
    return cuba.Dense(dict(NEURON), inputs, outputs, weight_scale=8, **OFF, **settings)


def dense_over_frames():
    """For inputs (2, 7, 5); in_neurons are (W, H, C)."""
    return [conv(2, 3), dense((3, 5, 3), 6), dense(6, 4)]


def test_dense_over_frames_is_slayers_own():
    """Its output is frames of one place, and so is that of those behind it."""
    x = sb.spikes((3, 2, 7, 5, 8), density=0.5)
    assert_slayers_own(dense_over_frames, x)
    assert sb.network(sb.seeded(dense_over_frames))(x).shape == (3, 4, 1, 1, 8)
    assert_slayers_own(lambda: [dense((5, 7), 6)], x[:, :1])


def test_dense_over_frames_runs_everywhere(tmp_path):
    net = sb.network(sb.seeded(dense_over_frames))
    again = assert_same_everywhere(
        net, sb.spikes((2, 2, 7, 5, 6), density=0.5), tmp_path, [la.Momentum(3), la.LayerSync()],
        ["conv", "flatten", "dense", "dense"],
    )  # fmt: skip
    assert [type(block) for block in again.blocks[2:]] == [cuba.Flatten, cuba.Dense, cuba.Dense]
    assert hdf5.Network(net_config=str(tmp_path / "a.net"), input_shape=(5, 7, 2)).out.shape == (4,)


def test_dense_over_frames_of_several_sources(tmp_path):
    blocks = sb.seeded(lambda: [conv(2, 3, padding=1), dense((4, 3, 5), 6)])
    net = sb.network(blocks, la.LayerSync(), sources={1: [la.INPUT, 0]})
    x = sb.spikes((2, 2, 3, 4, 8), density=0.5)
    want = blocks[1](torch.cat([x, blocks[0](x)], 1))
    assert torch.equal(net(x), want) and want.any()
    assert_same_everywhere(net, x, tmp_path, [la.Momentum(3)], backends=["kernel"])


def test_a_mask_is_slayers(tmp_path):
    """One for each synapse, or, over frames, for each channel."""
    masks = [torch.from_numpy(np.random.default_rng(i).random((6, n)) < 0.5)
             for i, n in enumerate((3, 6))]  # fmt: skip

    def build():
        return [dense((4, 3, 3), 6, mask=masks[0].float()), dense(6, 6, mask=masks[1].float())]

    x = sb.spikes((2, 3, 3, 4, 8), density=0.6)
    assert_slayers_own(build, x)
    net = sb.network(sb.seeded(build))
    assert_same_everywhere(
        net, x, tmp_path, [la.Momentum(3)], ["flatten", "dense", "dense"], ["kernel"]
    )
    first, second = (c.weight for c in net.graph().connections)
    assert not first.reshape(6, 3, 12)[~masks[0].numpy()].any() and first.any()
    assert not second[~masks[1].numpy()].any() and second.any()


@pytest.mark.parametrize(
    "inputs, shape",
    [((3, 5, 2), (2, 3, 5)), ((3, 5, 2), (30,)), (6, (2, 3, 1)), ((2, 2), (2, 2, 2))],
)
def test_other_frames_than_dense_has_are_named(inputs, shape):
    """SLAYER would slide it over larger ones, as a convolution."""
    with pytest.raises(ValidationError, match=r"^blocks\[0\] \(Dense\): input shape: expected \("):
        sb.network([dense(inputs, 4)], input_shape=shape)
