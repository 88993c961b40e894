"""Networks that end in a readout: SLAYER's own forward and gradient, files, backends, training."""

import copy
import dataclasses
import itertools
import warnings

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl import slayer
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from lava.proc.monitor.process import Monitor

import lava_async as la
import slayer_blocks as sb
from lava_async import metrics
from lava_async import slayer as async_slayer
from lava_async.errors import FileFormatError, GraphError, UnsupportedError, ValidationError
from lava_async.runtime import Runner
from slayer_blocks import cuba

UNIT = 1 << 12
"""Membrane units per voltage unit of SLAYER, at its default scale."""

TAILS = {
    "nothing": lambda: [],
    "average": lambda: [cuba.Average(2)],
    "decimation": lambda: [cuba.TimeDecimation(4)],
    "both": lambda: [cuba.TimeDecimation(2), cuba.Average(4)],
}


def blocks(seed=0, dynamics=True, tail="nothing", decays=(0.3, 0.1), **affine):
    """For inputs (20,)."""
    neuron = {**sb.NEURON, "tau_grad": 0.1, "scale_grad": 2.0}
    last = {**neuron, "current_decay": decays[0], "voltage_decay": decays[1]}

    def build():
        return [
            cuba.Dense(neuron, 20, 12, weight_scale=6, delay_shift=False),
            cuba.Dense(neuron, 12, 8, weight_scale=6, delay_shift=False),
            cuba.Affine(last, 8, 4, weight_scale=4, dynamics=dynamics, **affine),
            *TAILS[tail](),
        ]

    return sb.seeded(build, seed=seed)


def gradients(net, x, target):
    net.zero_grad()
    torch.nn.functional.mse_loss(net(x), target).backward()
    return [p.grad for p in net.parameters() if p.requires_grad]


def assert_close(got, want):
    for a, b in zip(got, want, strict=True):
        assert b.any()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


CASES = list(itertools.product(["decisive", "unrolled"], [True, False], TAILS))


@pytest.mark.parametrize("gradient, dynamics, tail", CASES)
def test_layer_sync_is_slayers_own_forward_and_gradient(gradient, dynamics, tail):
    x = sb.spikes((5, 20, 9), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = {"dynamics": dynamics, "tail": tail, "weight_norm": True}
        net = sb.network(blocks(**given), la.LayerSync(), gradient=gradient)
        theirs = torch.nn.Sequential(*blocks(**given))
    want = theirs(x)
    assert torch.equal(net(x), want) and want.any()
    assert net.output_shape == want.shape[1:-1]
    target = torch.randn(want.shape, generator=torch.Generator().manual_seed(1))
    assert_close(gradients(net, x, target), gradients(theirs, x, target))


@given(
    st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1), st.booleans(),
    st.sampled_from([16, 64, 256]), st.sampled_from(list(TAILS)),
)
@settings(max_examples=25, deadline=None)
def test_any_decays_and_scales_give_slayers_integers(seed, i_decay, v_decay, dynamics, scale, tail):
    def build():
        neuron = {"threshold": 1.25, "current_decay": i_decay, "voltage_decay": v_decay,
                  "scale": scale}
        affine = cuba.Affine(neuron, 20, 4, weight_scale=4, dynamics=dynamics)
        return [affine, *TAILS[tail]()]

    x = sb.spikes((3, 20, 7), seed, high=5)  # graded
    net = sb.network(sb.seeded(build, seed=seed), la.LayerSync()).eval()
    want = torch.nn.Sequential(*sb.seeded(build, seed=seed))(x)
    assert torch.equal(net(x), want)


SCHEDULES = [
    pytest.param(la.LayerSync(), id="layer"),
    pytest.param(la.Momentum(3), id="momentum"),
    pytest.param(la.Mixture([la.LayerSync(), la.Random(1), la.Fifo(2)]), id="mixture"),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dynamics", [True, False])
def test_trainer_file_and_every_backend(schedule, dynamics, tmp_path):
    path = tmp_path / "network.net"
    net = sb.network(blocks(dynamics=dynamics, tail="both"), schedule, input_shape=(20,)).eval()
    x = sb.spikes((4, 20, 6), 5, high=4)
    y, everyone = (z.detach() for z in net(x, np.arange(4), return_spikes=True))
    net.export_hdf5(path)
    graph = la.load(path)
    assert graph.decoding == la.Decoding(groups=4, time_bin=2) == net.graph().decoding
    assert la.verify(graph, x) is None
    record = la.simulate(graph, x)
    np.testing.assert_array_equal(record.all_spikes, everyone)
    np.testing.assert_array_equal(record.decoded / UNIT, y)
    assert y.any() and not record.spikes.any()

    again = async_slayer.Network.from_hdf5(path).eval()
    names = ["Dense", "Dense", "Affine", "Average", "TimeDecimation"]
    assert [type(block).__name__ for block in again.blocks] == names
    assert torch.equal(again(x, np.arange(4)), y)
    again.export_hdf5(tmp_path / "again.net")
    la.save(graph, tmp_path / "saved.net")
    for name in ("again.net", "saved.net"):
        other = la.load(tmp_path / name)
        np.testing.assert_array_equal(la.simulate(other, x).readout, record.readout)
        assert other.decoding == graph.decoding


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
def test_both_gradients_run_the_same_readout(schedule, gradient):
    net = sb.network(blocks(), schedule, gradient=gradient).eval()
    x, ids = sb.spikes((4, 20, 6), 5), np.array([3, 0, 7, 1])
    y = net(x, ids)
    record = la.simulate(net.graph(), x, sample_ids=ids)
    np.testing.assert_array_equal(record.readout / UNIT, y.detach())
    y.square().sum().backward()
    for p in net.parameters():
        assert not p.requires_grad or (p.grad.isfinite().all() and p.grad.any())


class TestGradientByHand:
    """One neuron is read out: u and v are linear in the weights."""

    @pytest.mark.parametrize("reset", ["through", "detached", "full"])
    @pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(1)], ids=str)
    @pytest.mark.parametrize(
        "surrogate", ["slayer", "arctan", lambda d, tau, scale: torch.full_like(d, 9)],
        ids=["slayer", "arctan", "own"],
    )  # fmt: skip
    def test_of_a_voltage(self, reset, schedule, surrogate):
        keep_u, keep_v = 0.75, 0.5
        neuron = {"threshold": 1, "current_decay": 1 - keep_u, "voltage_decay": 1 - keep_v}
        block = cuba.Affine(neuron, 3, 1)
        block.synapse.weight.data[:] = torch.tensor([1.0, -0.5, 2.0]).reshape(1, 3, 1, 1, 1)
        net = sb.network([block], schedule, reset=reset, surrogate=surrogate)
        x = sb.spikes((2, 3, 6), 0, density=0.7, high=3).requires_grad_()
        factors = torch.randn(2, 1, 6, generator=torch.Generator().manual_seed(2))
        y = net(x)
        (y * factors).sum().backward()
        # What a spike of t gives the voltage of t + d.
        kernel = [sum(keep_u**i * keep_v ** (d - i) for i in range(d + 1)) for d in range(6)]
        later = torch.zeros(2, 6, dtype=torch.float64)
        for t in range(6):
            for d in range(6 - t):
                later[:, t] += kernel[d] * factors[:, 0, t + d]
        by_weight = torch.einsum("bct,bt->c", x.detach().double(), later)
        np.testing.assert_allclose(block.synapse.weight.grad.flatten(), by_weight, rtol=1e-5)
        weight = block.synapse.weight.detach().flatten()
        by_input = weight.double()[None, :, None] * later[:, None]
        np.testing.assert_allclose(x.grad, by_input, rtol=1e-5)

    def test_what_the_readout_sends_nowhere_has_no_part(self):
        """A readout of the user's own graph may have targets: no spike ever reaches them."""
        rng = np.random.default_rng(0)
        never = (1 << 18) - 1
        populations = (
            la.Population("hidden", (5,), 900, 400, 30),
            la.Population("out", (3,), 900, 400, never),
            la.Population("after", (5,), 900, 400, 30),
        )
        there = (
            la.Dense(la.INPUT, 0, rng.integers(-30, 60, (5, 4))),
            la.Dense(0, 1, rng.integers(-60, 60, (3, 5))),
        )
        on = la.Dense(1, 2, rng.integers(-60, 60, (5, 3)))
        found = []
        for connections in (there, (*there, on)):
            graph = la.Graph((4,), populations, connections, output=1)
            net = async_slayer.Network.from_graph(graph, schedule=la.Momentum(2), reset="full")
            y = net(sb.spikes((3, 4, 6), 1))
            y.square().mean().backward()
            by_weight = [
                p.grad.flatten() for name, p in net.named_parameters() if name.endswith("weight")
            ]
            found.append((y.detach(), *by_weight[:2]))
        assert torch.equal(found[0][0], found[1][0])
        assert found[0][0].any()
        assert_close(found[1][1:], found[0][1:])


def test_a_penalty_and_all_spikes_beside_a_readout():
    net = sb.network(blocks(), la.Momentum(3), penalty=async_slayer.SpikePenalty())
    x = sb.spikes((4, 20, 6), 5)
    y, everyone, penalty = net(x, return_spikes=True)
    (y.square().mean() + penalty).backward()
    both = [p.grad.clone() for p in net.parameters() if p.requires_grad]
    parts = []
    for take in (lambda y, s, p: y.square().mean(), lambda y, s, p: p):
        net.zero_grad()
        take(*net(x, return_spikes=True)).backward()
        parts.append([p.grad.clone() for p in net.parameters() if p.requires_grad])
    assert_close(both, [a + b for a, b in zip(*parts, strict=True)])
    assert not parts[1][-1].any()  # no spike of the readout
    assert everyone.shape[1] == 24 and not everyone[:, -4:].any()


@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
@pytest.mark.parametrize("dynamics", [True, False])
def test_assistant_trains_with_a_regression_loss(gradient, dynamics):
    net = sb.network(blocks(dynamics=dynamics), la.Momentum(4), gradient=gradient)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    assistant = slayer.utils.Assistant(net, torch.nn.MSELoss(), optimizer)
    x = sb.spikes((8, 20, 10), 7)
    target = torch.linspace(0, 1, 10).expand(8, 4, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = [torch.nn.functional.mse_loss(assistant.train(x, target), target).item()
                  for _ in range(15)]
        assistant.test(x, target)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(3)], ids=str)
def test_average_of_spikes(schedule, tmp_path):
    """Population decoding: a network that fires, too."""
    path = tmp_path / "network.net"
    given = [*sb.dense_blocks((20, 12, 8)), cuba.Average(4)]
    net = sb.network(given, schedule).eval()
    x = sb.spikes((6, 20, 9), 2)
    y = net(x)
    net.export_hdf5(path)
    graph = la.load(path)
    record = la.simulate(graph, x)
    np.testing.assert_array_equal(record.decoded, y.detach())
    assert y.shape == (6, 4, 9) and y.any() and graph.num_classes == 4
    by_hand = record.spikes.reshape(6, 4, 2, 9).sum((2, 3)).argmax(1)
    assert metrics.predict(record).tolist() == by_hand.tolist()
    rate = slayer.classifier.Rate.predict(y.detach())
    assert rate.tolist() == by_hand.tolist()
    if schedule == la.LayerSync():
        theirs = torch.nn.Sequential(*sb.dense_blocks((20, 12, 8)), cuba.Average(4))
        assert torch.equal(y, theirs(x))


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_blocks_without_neurons_are_read_out_as_a_current(kind, tmp_path):
    """SLAYER builds them, with a quantizer, but cannot run them."""
    quantizer = cuba.Affine(sb.NEURON, 1, 1).neuron.quantize_8bit
    off = {"delay_shift": False, "pre_hook_fx": quantizer}

    def build():
        first = cuba.Conv(sb.NEURON, 2, 3, 3, weight_scale=6, delay_shift=False)
        if kind == "conv":
            return [first, cuba.Conv(None, 3, 2, 2, weight_scale=2, **off)]
        return [first, cuba.Flatten(), cuba.Dense(None, 3 * 5 * 4, 2, weight_scale=2, **off)]

    net = sb.network(sb.seeded(build), la.LayerSync(), input_shape=(2, 7, 6))
    theirs = sb.seeded(build)
    x = sb.spikes((3, 2, 7, 6, 5), 4)
    seen = x
    for block in theirs[:-1]:
        seen = block(seen)
    want = theirs[-1].synapse(seen)
    assert torch.equal(net(x), want) and want.any()
    target = torch.ones_like(want)
    torch.nn.functional.mse_loss(want, target).backward()
    assert_close(gradients(net, x, target), [p.grad for b in theirs for p in b.parameters()
                                             if p.requires_grad])
    net.export_hdf5(tmp_path / "network.net")
    graph = la.load(tmp_path / "network.net")
    assert la.verify(graph, x, backends=["reference", "kernel"]) is None
    assert (graph.populations[-1].i_decay, graph.populations[-1].v_decay) == (4096, 4096)
    np.testing.assert_array_equal(la.simulate(graph, x).readout / UNIT, want.detach())
    again = async_slayer.Network.from_hdf5(tmp_path / "network.net")
    assert torch.equal(again(x), want)


def test_slayers_own_file_of_an_affine_block_loads(tmp_path):
    given = blocks()
    net = sb.network(given, la.LayerSync(), input_shape=(20,))
    with h5py.File(tmp_path / "theirs.net", "w") as file:
        for index, block in enumerate(given):
            block.export_hdf5(file.create_group(f"layer/{index}"))
    theirs = la.load(tmp_path / "theirs.net")
    x = sb.spikes((3, 20, 5), 1)
    assert not theirs.output_can_fire
    np.testing.assert_array_equal(
        la.simulate(theirs, x, la.LayerSync()).readout / UNIT, net(x).detach()
    )


@pytest.mark.parametrize("dynamics", [True, False])
def test_stock_netx_has_the_same_voltages(dynamics, tmp_path):
    """As ours under layer synchronization, but that each layer is a time step late."""
    net = sb.network(blocks(dynamics=dynamics), la.LayerSync(), input_shape=(20,))
    net.export_hdf5(tmp_path / "network.net")
    steps, layers = 12, 3
    x = sb.spikes((1, 20, steps), 3, high=1)
    stock, voltage = hdf5.Network(net_config=str(tmp_path / "network.net")), Monitor()
    source = RingBuffer(data=x[0].numpy().astype(int))
    source.s_out.connect(stock.inp)
    voltage.probe(stock.layers[-1].neuron.v, steps)
    with Runner(stock, Loihi2SimCfg(select_tag="fixed_pt")) as run:
        run(num_steps=steps)
        (seen,) = next(iter(voltage.get_data().values())).values()
    want = la.simulate(net.graph(), x).readout[0]
    np.testing.assert_array_equal(seen.T[:, layers:], want[:, : steps - layers])
    assert want[:, : steps - layers].any()


def test_a_copy_and_a_checkpoint_are_read_out_alike(tmp_path):
    net = sb.network(blocks(tail="both"), la.Momentum(3), input_shape=(20,))
    x = sb.spikes((3, 20, 6), 1)
    want = net.eval()(x, np.arange(3))
    assert torch.equal(copy.deepcopy(net)(x, np.arange(3)), want)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    other = sb.network(blocks(seed=1, tail="both"), la.Momentum(3), input_shape=(20,)).eval()
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(other(x, np.arange(3)), want)


class TestRefused:
    """By the block's place and name, with the reason."""

    def affine(self, inputs=8, **settings):
        return cuba.Affine(sb.NEURON, inputs, 4, **settings)

    def refuses(self, text, given, shape=(20,), **settings):
        with pytest.raises((UnsupportedError, ValidationError), match=text):
            sb.network(given, input_shape=shape, **settings)

    def test_a_readout_that_other_blocks_see(self):
        first = cuba.Affine(sb.NEURON, 20, 8)
        after = sb.dense_blocks((8, 4))
        self.refuses(r"blocks\[0\] \(Affine\): place: .*output of the network", [first, *after])
        self.refuses(
            r"blocks\[1\] \(Affine\): place", [*sb.dense_blocks((20, 8)), self.affine(8)],
            sources={0: [la.INPUT], 1: [0]}, output=0,
        )  # fmt: skip

    def test_decoding_before_another_block(self):
        middle = [*sb.dense_blocks((20, 8)), cuba.Average(4), *sb.dense_blocks((4, 2))]
        self.refuses(r"blocks\[1\] \(Average\): place: .*end of the network", middle)
        twice = [*sb.dense_blocks((20, 8)), cuba.Average(4), cuba.Average(2)]
        self.refuses(r"blocks\[1\] \(Average\): place: expected one Average", twice)
        late = [*sb.dense_blocks((20, 8)), cuba.TimeDecimation(4)]
        self.refuses(r"TimeDecimation\): sources: .*without delay", late, sources={1: [(0, 2)]})

    def test_groups_that_do_not_fit(self):
        given = [*sb.dense_blocks((20, 8)), cuba.Average(3)]
        with pytest.raises(ValidationError, match=r"\(Average\): groups: .*divisor of 8"):
            sb.network(given, input_shape=(20,))

    def test_early_decision(self):
        net = sb.network([*sb.dense_blocks((20, 8)), self.affine()], la.Momentum(2), stop_after=1)
        with pytest.raises(ValidationError, match=r"stop_after: .*readout"):
            net(sb.spikes((1, 20, 3)))

    def test_what_is_refused_of_other_neurons(self):
        neuron = {**sb.NEURON, "graded_spike": True}
        self.refuses(r"Affine\): neuron graded_spike", [cuba.Affine(neuron, 20, 4)])

    def test_decodings(self):
        for wrong in ({"groups": 0}, {"time_bin": 3}, {"time_bin": 0}, {"groups": 1.5}):
            with pytest.raises(GraphError, match="decoding"):
                la.Decoding(**wrong)


def test_a_files_layers_after_an_average_are_refused(tmp_path):
    net = sb.network([*sb.dense_blocks((20, 12, 8)), cuba.Average(4)], input_shape=(20,))
    path = tmp_path / "network.net"

    def changed(change):
        net.export_hdf5(path)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    def again(file):
        file.copy("layer/1", "layer/3")

    with pytest.raises(UnsupportedError, match=r"layer 3 \(dense\): type: .*after an average"):
        la.load(changed(again))

    def other(file):
        file["layer/2/shape"][0] = 2

    with pytest.raises(FileFormatError, match=r"decoding: expected groups 2"):
        la.load(changed(other))

    def no_divisor(file):
        file["layer/2/shape"][0] = 3

    with pytest.raises(FileFormatError, match=r"layer 2 \(average\): .*divisor of 8"):
        la.load(changed(no_divisor))

    def gone(file):
        del file["lava_async"].attrs["decoding"]
        del file["layer/2"]

    with pytest.raises(FileFormatError, match="digest"):
        la.load(changed(gone))


def test_lava_dls_file_with_an_average_loads():
    from lava_dl_files import NETX

    graph = la.load(NETX / "gts/ntidigits/ntidigits.net")
    assert graph.decoding == la.Decoding(groups=11) and graph.out_shape == (242,)
    again = dataclasses.replace(graph, decoding=None)
    assert again.num_classes == 242 and graph.num_classes == 11
