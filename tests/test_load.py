"""`load`: every value of a file lands where it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import net_files
from corrupt_kinds import valid_layers
from lava_async._files.hdf5 import load
from lava_async._semantics.connections import INPUT, Conv, Dense, OneToOne
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Fifo, LayerSync, Mixture, Momentum, Random
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError
from lava_dl_files import NETX
from net_files import conv, dense, flatten, input_layer, neuron, write_net

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def written(tmp_path):
    """Write layers to a file and load it."""

    def write(*layers, schedule=None, **arguments) -> Graph:
        path = write_net(tmp_path / "network.net", layers, schedule)
        return load(path, **arguments)

    return write


def even(seed: int, *shape: int):
    return 2 * np.random.default_rng(seed).integers(-120, 120, shape)


def test_whole_network(written):
    layers = valid_layers()
    graph = written(*layers)
    assert graph.input_shape == (2, 6, 5)
    assert [p.name for p in graph.populations] == [
        "layer 0 (input)", "layer 1 (conv)", "layer 3 (dense)", "layer 4 (dense)",
    ]
    assert [p.shape for p in graph.populations] == [(2, 6, 5), (4, 4, 4), (7,), (3,)]
    assert [(c.source, c.target) for c in graph.connections] == [(INPUT, 0), (0, 1), (1, 2), (2, 3)]
    assert [type(c) for c in graph.connections] == [OneToOne, Conv, Dense, Dense]
    assert graph.out_shape == (3,)
    assert graph.schedule is None


def test_dense(written):
    weight = even(0, 4, 9)
    graph = written(dense(weight, neuron(300, 70, 55), bias=np.array([1, -2, 3, 4095])))
    (population,), (connection,) = graph.populations, graph.connections
    assert graph.input_shape == (9,)
    assert (population.i_decay, population.v_decay, population.threshold) == (300, 70, 55)
    assert population.bias.tolist() == [1, -2, 3, 4095]
    assert (connection.weight == weight).all()


def test_dense_of_shape_with_ones_and_flat_weight(written):
    weight = even(1, 3, 5)
    layer = dense(weight, neuron(), shape=[3, 1, 1], bias=[7.0])
    graph = written(layer | {"weight": weight.ravel()})
    assert graph.populations[0].shape == (3,)
    assert graph.populations[0].bias.tolist() == [7, 7, 7]
    assert (graph.connections[0].weight == weight).all()


def test_dense_without_neuron_is_netx_default(written):
    (population,) = written(dense(even(2, 3, 5))).populations
    assert (population.i_decay, population.v_decay, population.threshold) == (0, 4096, 1 << 17)
    assert population.bias is None


def test_conv(written):
    weight = even(3, 6, 2, 3, 2)
    layer = conv(
        weight, (4, 11, 12), neuron(10, 20, 30), stride=(2, 3), padding=(1, 0), dilation=(1, 2),
        groups=2, bias=np.arange(6),
    )
    graph = written(input_layer((4, 11, 12)), layer)
    (population,), (connection,) = graph.populations, graph.connections
    assert population.shape == (6, 6, 4) == tuple(layer["shape"])
    assert (population.bias == np.arange(6)[:, None, None]).all()
    assert (population.i_decay, population.v_decay, population.threshold) == (10, 20, 30)
    assert connection.weight.shape == (6, 2, 3, 2)
    assert (connection.weight == weight).all()
    assert (connection.stride, connection.padding) == ((2, 3), (1, 0))
    assert (connection.dilation, connection.groups) == ((1, 2), 2)


def test_conv_of_scalar_settings_and_flat_kernel(written):
    weight = even(4, 3, 2, 3, 3)
    layer = conv(weight, (2, 7, 7), neuron(), stride=(2, 2)) | {
        "weight": weight, "stride": 2, "padding": 0, "dilation": 1, "bias": 5,
    }
    graph = written(layer, input_shape=(2, 7, 7))
    assert graph.connections[0].stride == (2, 2)
    assert graph.populations[0].bias.tolist() == np.full((3, 3, 3), 5).tolist()


def test_conv_is_cross_correlation(written):
    """Against torch, from which the exported weights come."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    weight = even(5, 4, 1, 3, 2)
    settings = {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1), "groups": 2}
    graph = written(input_layer((2, 9, 8)), conv(weight, (2, 9, 8), neuron(), **settings))
    spikes = rng.integers(0, 2, (2, 9, 8))
    want = torch.nn.functional.conv2d(
        torch.tensor(spikes[None], dtype=torch.float64),
        torch.tensor(weight, dtype=torch.float64), **settings,
    )[0].numpy()
    got = graph.connections[0].deliver(spikes.ravel(), (2, 9, 8), want.size)
    assert (got == want.ravel()).all()


@pytest.mark.parametrize("shape", [(6,), (3, 2, 4)])
def test_input_with_neuron(written, shape):
    layer = input_layer(shape, neuron=neuron(4096, 20, 30), weight=[[36.0]], bias=[[-3.0]])
    graph = written(layer)
    assert graph.input_shape == graph.populations[0].shape == shape
    assert graph.connections[0].weight == 36
    assert (graph.populations[0].bias == -3).all()


def test_input_defaults_are_netx_s(written):
    graph = written(input_layer((6,), neuron=neuron()))
    assert graph.connections[0].weight == 64
    assert graph.populations[0].bias is None


def test_input_bias_of_zero_goes_with_any_decay(written):
    graph = written(input_layer((6,), neuron=neuron(100), bias=[0.0]))
    assert not graph.populations[0].bias.any()


def test_input_without_neuron_and_flatten(written):
    graph = written(input_layer((1, 1, 64)), flatten(64), dense(even(6, 3, 64), neuron()))
    assert graph.input_shape == (1, 1, 64)
    assert [c.source for c in graph.connections] == [INPUT]


@pytest.mark.parametrize("kind", ["CUBA", "LOIHI"])
def test_neuron_types_and_harmless_fields(written, kind):
    fields = {"wgtExp": 0, "messageBits": 0, "theta": 5120, "tauRho": 0.1, "scaleRho": 0.5}
    layer = dense(even(7, 3, 5), neuron(**fields) | {"type": kind}, delay=np.zeros(3))
    assert written(layer).populations[0].threshold == 80


def test_threshold_that_never_fires(written):
    graph = written(dense(even(8, 3, 5), neuron(threshold=(1 << 18) - 1)))
    assert graph.populations[0].threshold == (1 << 18) - 1


def test_numbers_may_have_any_type(written):
    layer = dense(even(9, 3, 5), neuron(np.array([300]), np.float64(70), np.uint8(55)))
    for dtype in (np.int16, np.int64, np.float64, ">f4", np.float16):
        graph = written(layer | {"weight": layer["weight"].astype(dtype)})
        assert graph.populations[0].i_decay == 300
        assert (graph.connections[0].weight == layer["weight"]).all()


class TestDelays:
    """SLAYER delays the spikes of a layer's channels; netx reads other counts as the inputs'."""

    def chain(self, written, first=None, second=None, third=None):
        delays = [{} if d is None else {"delay": np.asarray(d, np.float32)} for d in
                  (first, second, third)]
        graph = written(
            input_layer((2, 4, 5)),
            conv(even(12, 3, 2, 2, 2), (2, 4, 5), neuron(), **delays[0]),
            flatten(36),
            dense(even(13, 6, 36), neuron(), **delays[1]),
            dense(even(14, 4, 6), neuron(), **delays[2]),
        )
        return [c.delay for c in graph.connections], graph.output_delay

    def test_none(self, written):
        assert self.chain(written) == ([0, 0, 0], 0)

    def test_one_for_all(self, written):
        assert self.chain(written, 3, [5], 62) == ([0, 3, 5], 62)

    def test_one_for_each(self, written):
        (first, second, third), output = self.chain(
            written, [1, 2, 3], [5, 0, 2, 9, 4, 1], [0, 62, 0, 0]
        )
        assert first == 0
        assert second.tolist() == np.repeat([1, 2, 3], 12).tolist()
        assert third.tolist() == [5, 0, 2, 9, 4, 1]
        assert output.tolist() == [0, 62, 0, 0]
        assert second.dtype == third.dtype == output.dtype == np.uint8

    def test_one_for_each_neuron_of_a_convolution(self, written):
        delay = np.arange(36).reshape(3, 4, 3)
        assert self.chain(written, delay)[0][1].tolist() == delay.ravel().tolist()

    def test_of_the_inputs(self, written):
        (_, second, third), _ = self.chain(written, 3, np.arange(36), np.arange(6))
        assert second.tolist() == list(range(3, 39))
        assert third.tolist() == list(range(6))

    def test_as_many_inputs_as_outputs(self, written):
        graph = written(dense(even(15, 3, 3), neuron(), delay=np.arange(3)))
        assert graph.connections[0].delay == 0
        assert graph.output_delay.tolist() == [0, 1, 2]


class TestInputShape:
    def convolution(self):
        return conv(even(10, 3, 2, 3, 3), (2, 7, 7), neuron())

    def test_needed_by_a_first_conv(self, written):
        with pytest.raises(FileFormatError, match=r"layer 0 \(conv\): input shape: .*input_shape="):
            written(self.convolution())

    def test_given(self, written):
        assert written(self.convolution(), input_shape=(2, 7, 7)).input_shape == (2, 7, 7)

    def test_given_for_a_first_dense(self, written):
        graph = written(dense(even(11, 3, 24), neuron()), input_shape=[2, 3, 4])
        assert graph.input_shape == (2, 3, 4)

    def test_given_wrong(self, written):
        with pytest.raises(FileFormatError, match=r"conv target shape: expected \(3, 6, 6\)"):
            written(self.convolution(), input_shape=(2, 8, 8))

    def test_given_against_the_file(self, written):
        with pytest.raises(FileFormatError, match=r"\(input\): shape: expected \(2, 8, 8\)"):
            written(input_layer((2, 7, 7)), self.convolution(), input_shape=(2, 8, 8))

    @pytest.mark.parametrize("shape", [(), (2, 3), (2, 0, 3), (2.5,), "ab"])
    def test_malformed(self, written, shape):
        with pytest.raises(ValidationError, match="load: input_shape: expected"):
            written(self.convolution(), input_shape=shape)


SCHEDULES = [
    LayerSync(3),
    Random(5, seed=2**64 - 1),
    Momentum(8, noise=0.25, seed=7),
    Momentum(1),
    Fifo(2),
    Mixture([LayerSync(4), Random(1, 3), Momentum(2, 1e-3, 2**64 - 1), Fifo()], None, 2**64 - 1),
    Mixture([Fifo(), Momentum()], [1, 1 / 3]),
]


class TestSchedule:
    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_round_trip(self, written, schedule):
        assert written(dense(even(12, 3, 5), neuron()), schedule=schedule).schedule == schedule


def test_golden_files_load():
    for path in sorted(GOLDEN.glob("*.net")):
        graph = load(path)
        with np.load(path.with_suffix(".npz")) as case:
            assert case["input"].shape[1:-1] == graph.input_shape
            assert case["all_spikes"].shape[1] == graph.num_neurons
            assert case["spikes"].shape[1:-1] == graph.out_shape


def test_random_layers_load_and_vary(tmp_path):
    rng = np.random.default_rng(0)
    seen = set()
    for index in range(20):
        graph = load(write_net(tmp_path / f"{index}.net", net_files.random_layers(rng)))
        seen.add((type(graph.connections[0]), len(graph.populations)))
    assert {kind for kind, _ in seen} == {Conv, Dense}
    assert len(seen) > 3


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("tiny.net", [(3, 16, 16), (24, 6, 6), (36, 1, 1)]),
        ("mnist.net", [(784,), (512,), (512,), (10,)]),
        (
            "gts/pilotnet_lif/network.net",
            [(3, 66, 200), (24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20),
             (100,), (50,), (10,), (1,)],
        ),
    ],
)
def test_lava_dl_s_networks_load(name, shapes):
    assert [p.shape for p in load(NETX / name).populations] == shapes


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gts/pilotnet_sdnn/network.net", r"layer 0 \(input\): neuron/type: .*\(got SDNN\)"),
    ],
)
def test_lava_dl_s_other_networks_are_refused(name, says):
    with pytest.raises(UnsupportedError, match=says):
        load(NETX / name)
