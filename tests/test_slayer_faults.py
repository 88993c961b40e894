"""What blocks and users do besides: honoured, or refused by the block's name; never skipped."""

import dataclasses
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from lava.lib.dl import slayer
from lava.lib.dl.slayer.block import cuba
from torch.nn.utils import parametrizations, parametrize, prune

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async.errors import UnsupportedError, ValidationError

NEURON = {**sb.NEURON, "tau_grad": 0.02}


# Reparametrisations: the weight that a block would use


class Halved(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


def own_hook(synapse):
    synapse.raw = torch.nn.Parameter(synapse.weight.detach() / 2)
    del synapse.weight
    synapse.register_forward_pre_hook(
        lambda module, inputs: setattr(module, "weight", 2 * module.raw)
    )


def hook_with_keywords(synapse):
    synapse.raw = torch.nn.Parameter(synapse.weight.detach() / 2)
    del synapse.weight
    synapse.register_forward_pre_hook(
        lambda module, inputs, keywords: setattr(module, "weight", 2 * module.raw),
        with_kwargs=True,
    )


def clamped(synapse):
    """In place, as a constraint on the weights."""

    def clamp(module, inputs):
        module.weight.data.clamp_(-0.5, 0.5)

    synapse.register_forward_pre_hook(clamp)


def pruned_twice(synapse):
    prune.l1_unstructured(synapse, "weight", 0.3)
    prune.random_unstructured(synapse, "weight", 0.3)


HOW = {
    "weight norm": torch.nn.utils.weight_norm,
    "SLAYER's weight norm": lambda synapse: synapse.enable_weight_norm(),
    "parametrized weight norm": parametrizations.weight_norm,
    "spectral norm": lambda synapse: torch.nn.utils.spectral_norm(synapse),
    "parametrized spectral norm": parametrizations.spectral_norm,
    "pruned": lambda synapse: prune.random_unstructured(synapse, "weight", 0.4),
    "pruned by channels": lambda synapse: prune.ln_structured(synapse, "weight", 0.4, 1, 0),
    "pruned twice": pruned_twice,
    "own parametrization": lambda synapse: parametrize.register_parametrization(
        synapse, "weight", Halved()
    ),
    "own hook": own_hook,
    "own hook with keywords": hook_with_keywords,
    "clamped in place": clamped,
}


def reparametrized(how, build):
    def make():
        blocks = build(neuron=NEURON)
        for block in blocks:
            if hasattr(block, "synapse"):
                HOW[how](block.synapse)
                with torch.no_grad():  # else the norms would leave hardly any spike
                    for name in ("weight_orig", "weight_g"):
                        if "norm" in how and hasattr(block.synapse, name):
                            getattr(block.synapse, name).mul_(3)
        return blocks

    return sb.seeded(make)


@pytest.mark.parametrize("build, shape", [(sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))])
@pytest.mark.parametrize("how", HOW)
def test_reparametrised_weights_train_as_in_slayer(how, build, shape):
    """Several steps, against the blocks called one by one; power iterations once a pass."""
    ours, theirs = reparametrized(how, build), reparametrized(how, build)
    if build is sb.conv_blocks:
        ours, theirs = ours[1:], theirs[1:]  # SLAYER's input block clips its input
    net, plain = sb.network(ours, la.LayerSync()), torch.nn.Sequential(*theirs)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.05) for m in (net, plain)]
    for step in range(3):
        x = sb.spikes((3, *shape, 8), step)
        spikes = [m(x) for m in (net, plain)]
        assert torch.equal(*spikes)
        for y, optimizer in zip(spikes, optimizers, strict=True):
            optimizer.zero_grad()
            (y.mean(-1) - 0.4).square().sum().backward()
            optimizer.step()
    own, wanted = net.blocks.state_dict(), plain.state_dict()
    assert own.keys() == wanted.keys()
    for name in own:
        torch.testing.assert_close(own[name], wanted[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("how", HOW)
def test_reparametrised_weights_run_and_are_exported(how, mode, tmp_path):
    net = sb.network(reparametrized(how, sb.dense_blocks), la.Momentum(3)).train(mode)
    x = sb.spikes((3, 20, 8))
    net(x).sum().backward()
    y = net(x)
    y.sum().backward()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    attributes = [dict(vars(module)) for module in net.modules()]
    graph = net.graph()
    net.export_hdf5(tmp_path / "a.net")
    for module, before in zip(net.modules(), attributes, strict=True):
        assert vars(module).keys() == before.keys()
        assert all(vars(module)[name] is before[name] for name in before if name != "_known")
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    for run in (graph, la.load(tmp_path / "a.net")):
        np.testing.assert_array_equal(la.simulate(run, x.numpy()).spikes, y.detach().numpy())
    net.schedule = la.LayerSync()
    want = la.simulate(graph, x.numpy(), la.LayerSync()).spikes
    np.testing.assert_array_equal(net.eval()(x).detach().numpy(), want)


def test_weights_that_become_others_are_seen():
    """As `load_state_dict` or an optimizer change them, behind the hook's back."""
    net = sb.network(sb.dense_blocks(), input_shape=(20,))
    for block in net.blocks:
        prune.random_unstructured(block.synapse, "weight", 0.5)
    x = sb.spikes((3, 20, 8))
    assert net(x).any()
    with torch.no_grad():
        net.blocks[1].synapse.weight_orig.zero_()
    assert not net.graph().connections[1].weight.any()
    for schedule in (la.Momentum(3), la.LayerSync()):
        net.schedule = schedule
        assert not net(x).any()


def test_blocks_of_our_own_are_reparametrised_too():
    graph = la.Graph(
        (6,), [la.Population("p", (4,), 4096, 4096, 20, [1, 2, 3, 4])],
        [la.Dense(-1, 0, np.full((4, 6), 20)), la.Dense(0, 0, np.full((4, 4), 8))],
    )  # fmt: skip
    net = async_slayer.Network.from_graph(graph)
    prune.l1_unstructured(net.blocks[0].synapses[0], "weight", 0.5)
    parametrize.register_parametrization(net.blocks[0].synapses[1], "weight", Halved())
    weights = [c.weight for c in net.graph().connections]
    assert (weights[0] == 0).sum() == 12 and (weights[1] == 4).all()
    x = sb.spikes((2, 6, 5))
    want = la.simulate(net.graph(), x.numpy()).spikes
    for _ in range(2):
        y = net(x)
        y.sum().backward()
        np.testing.assert_array_equal(y.detach().numpy(), want)


# What a block does beyond its parameters


def use_input(module, inputs):
    module.seen = inputs[0].mean()


REFUSED = {
    "a forward pre-hook that uses its input": (
        lambda block: block.synapse.register_forward_pre_hook(use_input),
        "forward pre-hook use_input of the synapse: expected one that makes the weight",
    ),
    "a forward pre-hook that changes its input": (
        lambda block: block.synapse.register_forward_pre_hook(lambda module, inputs: inputs),
        "forward pre-hook .* of the synapse: expected .* replaces the input",
    ),
    **{
        f"{kind} of the {part}": (
            lambda block, part=part, register=register: getattr(
                block if part == "block" else getattr(block, part), register
            )(lambda *arguments: None),
            f"{kind} of the {part}: expected none",
        )
        for part in ("block", "neuron", "synapse")
        for kind, register in {
            "forward pre-hook": "register_forward_pre_hook",
            "forward hook": "register_forward_hook",
            "backward hook": "register_full_backward_hook",
            "backward pre-hook": "register_full_backward_pre_hook",
        }.items()
        if (part, kind) != ("synapse", "forward pre-hook")
    },
    **{
        f"a forward of the {part}'s own": (
            lambda block, part=part: setattr(
                block if part == "block" else getattr(block, part), "forward", lambda x: x
            ),
            rf"{part}\.forward: expected SLAYER's own",
        )
        for part in ("block", "neuron", "synapse")
    },
    "a neuron's own dynamics": (
        lambda block: setattr(block.neuron, "dynamics", lambda x: (x, x)),
        r"neuron\.dynamics: expected SLAYER's own",
    ),
    "a bias of the synapse": (
        lambda block: setattr(block.synapse, "bias", torch.nn.Parameter(torch.zeros(12))),
        r"synapse bias: expected none",
    ),
    "a delay in other time steps": (
        lambda block: setattr(block, "delay", slayer.axon.Delay(sampling_time=2)),
        "delay sampling_time: expected 1",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_skipped_is_refused(kind):
    """Whether it was there before, or comes when the network has run."""
    change, message = REFUSED[kind]
    net = sb.network(sb.dense_blocks(), input_shape=(20,))
    net(sb.spikes((1, 20, 3)))
    change(net.blocks[0])
    acts = [
        lambda: net(sb.spikes((1, 20, 3))), net.graph,
        lambda: sb.network([*net.blocks], la.LayerSync()),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(UnsupportedError, match=rf"^blocks\[0\] \(Dense\): {message}"):
            act()


class Louder(cuba.Dense):
    def forward(self, x):
        return super().forward(2 * x)


class OwnNeuron(slayer.neuron.cuba.Neuron):
    def spike(self, voltage):
        return 1 - super().spike(voltage)


class OwnSynapse(slayer.synapse.layer.Dense):
    def forward(self, input):
        return -super().forward(input)


def test_subclasses_with_a_forward_of_their_own_are_refused():
    with pytest.raises(UnsupportedError, match=r"\(Louder\): block\.forward: expected.*Louder"):
        sb.network([Louder(dict(NEURON), 6, 4, delay_shift=False)])
    (block,) = sb.dense_blocks((6, 4))
    block.neuron = OwnNeuron(1.25, 0.5, 0.5)
    with pytest.raises(UnsupportedError, match=r"neuron\.spike: expected SLAYER's.*OwnNeuron"):
        sb.network([block])
    (block,) = sb.dense_blocks((6, 4))
    block.synapse = OwnSynapse(6, 4, pre_hook_fx=block.neuron.quantize_8bit)
    with pytest.raises(UnsupportedError, match=r"synapse\.forward: expected SLAYER's.*OwnSynapse"):
        sb.network([block])
    block.synapse = torch.nn.Linear(6, 4)
    with pytest.raises(UnsupportedError, match=r"synapse: expected a .*Dense \(got torch.*Linear"):
        sb.network([block])


@pytest.mark.parametrize("where", [0, 1])
def test_blocks_without_neurons_are_looked_at_too(where):
    blocks = [cuba.Input(delay_shift=False), cuba.Flatten(), *sb.dense_blocks((18, 4))]
    net = sb.network(blocks, input_shape=(2, 3, 3))
    net.blocks[where].register_forward_hook(lambda *arguments: None)
    with pytest.raises(UnsupportedError, match=rf"blocks\[{where}\] .*: forward hook of the bl"):
        net(sb.spikes((1, 2, 3, 3, 2)))


class Named(cuba.Dense):
    """Adds to SLAYER's block and changes nothing."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.label = "mine"

    def sparsity(self):
        return float((self.synapse.weight == 0).float().mean())


def test_subclasses_that_add_are_fine():
    make = [Named, cuba.Dense]
    a, b = (
        sb.network([sb.seeded(cls, dict(NEURON), 20, 6, weight_scale=8, delay_shift=False)])
        for cls in make
    )
    x = sb.spikes((2, 20, 6))
    assert torch.equal(a(x), b(x)) and a.blocks[0].sparsity() == 0


def test_hooks_of_parameters_work():
    net = sb.network(sb.dense_blocks(neuron=NEURON))
    seen = []
    for p in net.parameters():
        if p.requires_grad:
            p.register_hook(lambda grad: seen.append(grad) or grad * 0)
    net(sb.spikes((2, 20, 6))).sum().backward()
    assert len(seen) == 3 and not any(p.grad.any() for p in net.parameters() if p.requires_grad)


def test_a_mask_and_another_reparametrisation_are_refused():
    net = sb.network(sb.dense_blocks((20, 12), mask=torch.ones(12, 20)))
    net(sb.spikes((1, 20, 3)))
    prune.random_unstructured(net.blocks[0].synapse, "weight", 0.5)
    with pytest.raises(UnsupportedError, match=r"mask: expected none with weight_norm, pruning"):
        net(sb.spikes((1, 20, 3)))


# One block in two places


def test_a_block_in_two_places_is_refused():
    conv = cuba.Conv(dict(NEURON), 2, 2, 3, delay_shift=False)
    with pytest.raises(UnsupportedError, match=r"blocks\[1\] \(Conv\): block: .*blocks\[0\]"):
        sb.network([conv, conv])
    flatten = cuba.Flatten()
    with pytest.raises(UnsupportedError, match=r"blocks\[2\] \(Flatten\): block: .*blocks\[0\]"):
        sb.network([flatten, *sb.dense_blocks((18, 4)), flatten])
    a, b = sb.dense_blocks((20, 12, 8))
    b.neuron = a.neuron
    with pytest.raises(UnsupportedError, match=r"blocks\[1\] \(Dense\): neuron: .*blocks\[0\]"):
        sb.network([a, b])


@pytest.mark.parametrize("schedule", [la.Momentum(3), la.LayerSync()])
def test_a_synapse_or_a_weight_may_be_shared(schedule):
    for share in ("synapse", "weight"):
        a, b = sb.dense_blocks((12, 12, 12), neuron=NEURON)
        if share == "synapse":
            b.synapse = a.synapse
        else:
            b.synapse.weight = a.synapse.weight
        net = sb.network([a, b], schedule)
        x = sb.spikes((3, 12, 6))
        y = net(x)
        want = la.simulate(net.graph(), x.numpy()).spikes
        np.testing.assert_array_equal(y.detach().numpy(), want)
        assert np.array_equal(*(c.weight for c in net.graph().connections))
        y.sum().backward()
        assert a.synapse.weight.grad.any() and len(list(net.parameters())) == 5


# Numbers: 24 bits, autocast, other float types, compilation, devices


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(3)])
@pytest.mark.parametrize("seed", range(8))
def test_states_that_leave_24_bits(schedule, seed):
    """Currents wrap, voltages clip, also between the two halves of a time step."""
    rng = np.random.default_rng(seed)
    shapes = [(40, int(rng.integers(1, 30))), (int(rng.integers(1, 5)), 1)]
    i_decay, v_decay = rng.choice([0, 1, 40, 4096], 2)
    populations = [
        la.Population("a", (40,), i_decay, v_decay, int(rng.choice([20, 4000, 131071]))),
        la.Population("b", (shapes[1][0],), v_decay, i_decay, 300),
    ]
    connections = [
        la.Dense(-1, 0, rng.choice([-256, 254, 250], shapes[0])),
        la.Dense(0, 1, rng.choice([-200, 254], (shapes[1][0], 40))),
    ]
    graph = la.Graph(shapes[0][1:], populations, connections)
    x = rng.integers(0, 40, (2, shapes[0][1], 40))
    x[1] //= 20  # a sample that stays within, and must not differ for the other one
    record = la.simulate(graph, x, schedule, backend="reference")
    for p in range(2):
        net = async_slayer.Network.from_graph(graph.replace(output=p), schedule=schedule)
        y = net(torch.from_numpy(x))
        want = record.all_spikes[:, graph.slice(p)]
        np.testing.assert_array_equal(y.detach().numpy(), want)
        y.sum().backward()
    if i_decay + v_decay < 4096:
        assert record.overflows.any()


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
@pytest.mark.parametrize("value", [-900.0, 700.5, 4095.7, 5000.0])
@pytest.mark.parametrize("decay", ["current_decay", "voltage_decay"])
def test_decays_of_any_value_run_as_they_are_exported(decay, value, schedule):
    """A checkpoint of decays that were learned may hold some a bit beyond 0..4096."""
    net = sb.network(sb.dense_blocks(), schedule).eval()
    with torch.no_grad():
        getattr(net.blocks[0].neuron, decay).fill_(value)
    x = sb.spikes((4, 20, 12))
    y = net(x, sample_ids=np.arange(4)).detach().numpy()
    assert y.any()
    np.testing.assert_array_equal(y, la.simulate(net.graph(), x.numpy()).spikes)


def test_a_voltage_that_clips_before_its_current_comes():
    """SLAYER, which adds all at once, would never see it."""
    graph = la.Graph(
        (2,), [la.Population("p", (1,), 4096, 0, 131071)], [la.Dense(-1, 0, [[254, -256]])]
    )
    graph = graph.replace(
        populations=[dataclasses.replace(graph.populations[0], bias=[4095])]
    )
    x = np.zeros((1, 2, 60), int)
    x[0, 1, 33:] = 15
    want = la.simulate(graph, x, la.LayerSync(), backend="reference")
    assert want.overflows.any()
    net = async_slayer.Network.from_graph(graph, schedule=la.LayerSync())
    np.testing.assert_array_equal(net(torch.from_numpy(x)).detach().numpy(), want.spikes)


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4), la.Random(2, 1)])
@pytest.mark.parametrize("weight_norm", [False, True])
def test_exact_under_autocast(schedule, weight_norm):
    blocks = sb.dense_blocks((64, 32, 10), 12, neuron=NEURON, weight_norm=weight_norm)
    net = sb.network(blocks, schedule)
    x, ids = sb.spikes((8, 64, 20)), np.arange(8)
    results = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            y = net(x, sample_ids=ids)
        (y.mean(-1) - 0.3).square().sum().backward()
        assert y.dtype == torch.float32
        results.append([y, *(p.grad for p in net.parameters() if p.requires_grad)])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b) and a.any()


def test_sparse_edges_are_exact_under_autocast():
    import scipy.sparse

    matrix = scipy.sparse.random(12, 40, 0.5, random_state=0) * 250
    graph = la.Graph(
        (40,), [la.Population("p", (12,), 900, 90, 200)],
        [la.Sparse(-1, 0, matrix.rint().astype(int))],
    )  # fmt: skip
    net = async_slayer.Network.from_graph(graph)
    x = sb.spikes((4, 40, 9))
    grads = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            y = net(x)
        y.sum().backward()
        np.testing.assert_array_equal(y.detach().numpy(), la.simulate(graph, x.numpy()).spikes)
        grads.append(net.blocks[0].synapses[0].weight.grad.clone())
    assert torch.equal(*grads) and grads[0].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
@pytest.mark.parametrize("build, shape", [(sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))])
def test_networks_of_other_float_types(dtype, schedule, build, shape):
    net = sb.network(build(neuron=NEURON), schedule).to(dtype)
    x = sb.spikes((3, *shape, 6)).to(dtype)
    y = net(x)
    assert y.dtype == dtype
    want = la.simulate(net.graph(), x.float().numpy()).spikes
    assert want.any()
    np.testing.assert_array_equal(y.detach().float().numpy(), want)
    (y.float().mean(-1) - 0.3).square().sum().backward()
    for p in net.parameters():
        assert not p.requires_grad or (p.grad.dtype == dtype and p.grad.isfinite().all())


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool]
)
def test_inputs_of_any_type(dtype):
    net = sb.network(sb.dense_blocks())
    x = sb.spikes((3, 20, 6), high=1)
    for schedule in (la.LayerSync(), la.Momentum(4)):
        net.schedule = schedule
        assert torch.equal(net(x.to(dtype)), net(x))


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
def test_compiled(schedule):
    net = sb.network(sb.dense_blocks(neuron=NEURON), schedule)
    # PyTorch 2.3 compiles nothing on Python 3.12 and later, and says so.
    compiles = sys.version_info < (3, 12)
    compiled = torch.compile(net, backend="eager") if compiles else net
    x = sb.spikes((3, 20, 6))
    y = compiled(x)
    assert torch.equal(y, net(x)) and y.any()
    y.sum().backward()
    assert all(p.grad.any() for p in net.parameters() if p.requires_grad)

    def step(x):
        return net(x).mean(-1) * 2

    step = torch.compile(step, backend="eager") if compiles else step
    assert torch.equal(step(x), net(x).mean(-1) * 2)


@pytest.mark.parametrize("weight, bias", [(None, None), (1.5, None), (0.5, 0.25)])
def test_input_blocks_follow_to_another_device(weight, bias):
    """"meta" stands in for another device: it has shapes and types only."""
    neuron = {**sb.NEURON, "current_decay": 1.0}
    block = cuba.Input(neuron, weight=weight, bias=bias, delay_shift=False)
    net = sb.network([block, *sb.dense_blocks((4, 3))], input_shape=(4,)).to("meta")
    numbers = block.weight if weight else net._layers[0].weight()
    assert numbers.device.type == net.blocks[1].synapse.weight.device.type == "meta"


# Blocks that cannot learn


def silent_blocks():
    """The second of three never fires."""
    blocks = sb.dense_blocks((20, 12, 8, 4), neuron=NEURON)
    with torch.no_grad():
        blocks[1].synapse.weight.fill_(-0.1)
    return blocks


def steps(net, count=6, x=None, **settings):
    x = sb.spikes((4, 20, 6)) if x is None else x
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(count):
            net.zero_grad()
            net(x).sum().backward()
    return [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4), la.Random(2)])
def test_silent_blocks_are_named_once(schedule):
    (message,) = steps(sb.network(silent_blocks(), schedule))
    assert message.startswith("blocks[1] (Dense), blocks[2] (Dense): no spike in 3 training passes")
    assert all(cause in message for cause in ("weight_scale", "threshold", "penalty on spikes"))
    net = sb.network(silent_blocks(), schedule)
    assert len(steps(net)) == 1 and not steps(net)


def test_blocks_that_fire_now_and_then_are_not_named():
    net = sb.network(silent_blocks())
    fires = sb.dense_blocks((20, 12, 8, 4), neuron=NEURON)[1].synapse.weight.detach()
    for _ in range(3):
        assert not steps(net, 2)
        silent = net.blocks[1].synapse.weight.detach().clone()
        with torch.no_grad():
            net.blocks[1].synapse.weight.copy_(fires)
        assert not steps(net, 1)
        with torch.no_grad():
            net.blocks[1].synapse.weight.copy_(silent)


def test_nothing_is_said_without_input_or_outside_training():
    net = sb.network(silent_blocks())
    assert not steps(net, x=torch.zeros(4, 20, 6))
    net.eval()
    assert not steps(net)
    net.train()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            net(sb.spikes((4, 20, 6)))


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
def test_blocks_without_gradient_are_named_once(schedule):
    """Their surrogate derivative is too narrow to be met."""
    blocks = sb.dense_blocks((20, 12, 4), neuron={**NEURON, "tau_grad": 1e-7, "threshold": 1.3})
    messages = steps(sb.network(blocks, schedule))
    assert len(messages) == 2
    for block in ("blocks[0]", "blocks[1]"):
        (message,) = [m for m in messages if m.startswith(block)]
        assert "gradient of its weights was 0 in 3" in message and "tau_grad" in message


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.filterwarnings("ignore:blocks")
def test_parameters_that_took_no_part_get_zeros(schedule, weight_norm):
    """Behind silent blocks, and beside the way to the output."""
    blocks = [
        *sb.dense_blocks((20, 12, 8, 4), 0.01, weight_norm=weight_norm),
        *sb.dense_blocks((4, 3), weight_norm=weight_norm),
    ]
    net = sb.network(blocks, schedule, output=1)
    y = net(sb.spikes((2, 20, 5)))
    assert not y.any()
    y.sum().backward()
    for name, p in net.named_parameters():
        assert (p.grad is not None) == p.requires_grad, name
    assert all(not p.grad.any() for p in net.blocks[3].parameters() if p.requires_grad)


def test_training_that_diverged_is_named():
    net = sb.network(sb.dense_blocks())
    with torch.no_grad():
        net.blocks[1].synapse.weight[0, 0] = float("nan")
    for act in (lambda: net(sb.spikes((1, 20, 3))), lambda: sb.network(net.blocks)):
        with pytest.raises(ValidationError, match=r"blocks\[1\] .*: weight: expected finite"):
            act()


def test_two_networks_may_have_the_same_blocks():
    """Each with inputs of its own shape, one after the other."""
    blocks = sb.conv_blocks()[1:3]
    rng = np.random.default_rng(0)
    frames = [torch.from_numpy(rng.integers(0, 2, (2, 2, *size, 4))).float() for size in
              ((7, 6), (9, 9))]  # fmt: skip
    nets = [
        async_slayer.Network(blocks, la.Fifo(3), input_shape=x.shape[1:4]).eval() for x in frames
    ]
    for net, x in [*zip(nets, frames, strict=True)] * 2:
        want = la.simulate(net.graph(), x.numpy()).spikes
        np.testing.assert_array_equal(net(x).detach().numpy(), want)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"input_shape": ("a",)}, "input_shape"),
        ({"input_shape": (20.5,)}, "input_shape: shape: expected an integer"),
        ({"max_forward_steps": True}, "max_forward_steps"),
        ({"spike_dropout": "a"}, "Dropout: spike: expected 0 <= p < 1"),
    ],
)
def test_wrong_arguments_are_told_in_our_words(arguments, text):
    with pytest.raises(ValidationError, match=text):
        async_slayer.Network(sb.dense_blocks(), **arguments)


@pytest.mark.parametrize("name", ["sources", "output", "input_shape"])
def test_what_a_graph_says_is_not_said_twice(name):
    graph = sb.network(sb.dense_blocks(), input_shape=(20,)).graph()
    with pytest.raises(ValidationError, match=f"Network: {name}: expected what the graph says"):
        async_slayer.Network.from_graph(graph, **{name: 1})


def test_another_distance_to_the_threshold_is_refused():
    blocks = sb.dense_blocks()
    blocks[0].neuron.threshold_eps = 0.5
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] .*threshold_eps: expected"):
        async_slayer.Network(blocks)


# Numbers that are none, and parameters of other shapes

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("of_tensor", [False, True])
@pytest.mark.parametrize(
    "name", ["current_decay", "voltage_decay", "_threshold", "tau_rho", "scale_rho"]
)
def test_numbers_of_a_neuron_that_are_not_finite(name, of_tensor, value):
    """Whether they were there before, or came with training; under any schedule."""
    net = sb.network(sb.dense_blocks(), input_shape=(20,))
    if of_tensor or name.endswith("decay"):
        value = torch.nn.Parameter(torch.tensor([value]), requires_grad=False)
    setattr(net.blocks[1].neuron, name, value)
    acts = [
        lambda: net(sb.spikes((1, 20, 3))), net.graph, lambda: async_slayer.Network(net.blocks)
    ]  # fmt: skip
    text = rf"^blocks\[1\] \(Dense\): neuron {name.lstrip('_')}: expected one finite number \(got"
    for schedule in (la.Momentum(3), la.LayerSync()):
        net.schedule = schedule
        for act in acts:
            with pytest.raises(ValidationError, match=text):
                act()


@pytest.mark.parametrize("value", [None, "a", torch.ones(4), torch.ones(0)])
def test_numbers_of_a_neuron_that_are_none(value):
    net = sb.network(sb.dense_blocks(), input_shape=(20,))
    net.blocks[0].neuron._threshold = value
    with pytest.raises(ValidationError, match="neuron threshold: expected one finite"):
        net(sb.spikes((1, 20, 3)))


def test_a_neurons_numbers_may_be_tensors():
    nets = [sb.network(sb.dense_blocks(), input_shape=(20,)) for _ in range(2)]
    nets[1].blocks[0].neuron._threshold = torch.tensor([1.25])
    x = sb.spikes((2, 20, 6))
    assert torch.equal(nets[0](x), nets[1](x)) and nets[0](x).any()


def of_every_kind():
    """A population with a bias and synapses of each kind."""
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.coo_matrix(rng.integers(1, 20, (18, 18)) * (rng.random((18, 18)) < 0.3))
    connections = [
        la.Conv(-1, 0, rng.integers(-20, 40, (2, 2, 3, 3)), padding=1),
        la.Dense(-1, 0, rng.integers(-20, 40, (18, 18))),
        la.OneToOne(0, 0, 8),
        la.Sparse(0, 0, matrix),
    ]
    population = la.Population("p", (2, 3, 3), 4096, 4096, 40, rng.integers(0, 9, (2, 3, 3)))
    return async_slayer.Network.from_graph(la.Graph((2, 3, 3), [population], connections))


def of_slayer():
    blocks = [
        cuba.Input({"threshold": 1.25, **sb.FORGETFUL}, 0.75, 0.5, delay_shift=False),
        *sb.conv_blocks()[1:],
    ]
    return sb.network(blocks, input_shape=(2, 7, 6))


SHAPED = {
    # name: network, place of its parameter, other shapes
    "bias": (of_every_kind, "1.bias", [(17,), (19,), (2,), (2, 3, 3), (18, 1), (0,)]),
    "conv": (of_every_kind, "1.synapses.0.weight", [(2, 2, 3, 2), (2, 2, 3), (36,), (1, 2, 3, 3)]),
    "dense": (of_every_kind, "1.synapses.1.weight", [(18, 17), (17, 18), (324,), (1,), (18, 1)]),
    "one to one": (of_every_kind, "1.synapses.2.weight", [(18,), (2,), (0,)]),
    "sparse": (of_every_kind, "1.synapses.3.weight", [(1,), (3,), (18, 18), (0,)]),
    "SLAYER's input": (of_slayer, "0.weight", [(2,), (0,), (2, 7, 6)]),
    "SLAYER's input's bias": (of_slayer, "0.bias", [(2,), (0,), (2, 7, 6)]),
    "SLAYER's conv": (of_slayer, "1.synapse.weight", [(4, 2, 3, 2, 1), (3, 2, 3, 3, 1), (4, 18)]),
    "SLAYER's conv in groups": (of_slayer, "2.synapse.weight", [(6, 4, 2, 3, 1)]),
    "SLAYER's dense": (of_slayer, "4.synapse.weight", [(5, 53, 1, 1, 1), (4, 54, 1, 1, 1), (1,)]),
}


@pytest.mark.parametrize("kind", SHAPED)
def test_parameters_of_another_shape(kind):
    build, place, shapes = SHAPED[kind]
    block, *path, name = place.split(".")
    for shape in shapes:
        net = build()
        owner = net.blocks.get_submodule(".".join([block, *path]))
        setattr(owner, name, torch.nn.Parameter(torch.ones(shape)))
        for schedule in (la.Momentum(3), la.LayerSync()):
            net.schedule = schedule
            for act in (lambda net=net: net(sb.spikes((2, *net.input_shape, 3))), net.graph):
                with pytest.raises(ValidationError) as caught:
                    act()
                text = str(caught.value)
                assert text.startswith(f"blocks[{block}] ("), text
                assert f"{name} shape: expected (" in text and f"(got {shape})" in text


@pytest.mark.parametrize(
    "build, place",
    [(of_every_kind, "1.bias"), (of_every_kind, "1.synapses.2.weight"), (of_slayer, "0.weight"),
     (of_slayer, "0.bias")],
)  # fmt: skip
def test_one_value_is_one_value_in_any_shape(build, place):
    block, *path, name = place.split(".")
    spikes = []
    for shape in ((1,), (), (1, 1, 1)):
        net = build()
        owner = net.blocks.get_submodule(".".join([block, *path]))
        setattr(owner, name, torch.nn.Parameter(torch.full(shape, 0.5)))
        for schedule in (la.Momentum(3), la.LayerSync()):
            net.schedule = schedule
            y = net(sb.spikes((2, *net.input_shape, 6)))
            y.sum().backward()
            assert getattr(owner, name).grad.shape == shape
            want = la.simulate(net.graph(), sb.spikes((2, *net.input_shape, 6)).numpy()).spikes
            np.testing.assert_array_equal(y.detach().numpy(), want)
            spikes.append(want)
    assert spikes[0].any() and all(np.array_equal(spikes[i], spikes[i + 2]) for i in range(4))


# Inputs that are no plain tensors

X = torch.ones(2, 20, 3)
NOT_PLAIN = {
    "sparse": X.to_sparse(),
    "sparse in time only": X.to_sparse(1),
    "compressed rows": torch.ones(20, 3).to_sparse_csr(),
    "a batch of compressed rows": torch.stack([torch.eye(3)] * 2).to_sparse_csr(),
    "compressed columns": torch.ones(20, 3).to_sparse_csc(),
    "blocks": torch.ones(20, 4).to_sparse_bsr((2, 2)),
    "MKL-DNN": X.to_mkldnn(),
    "nested": torch.nested.nested_tensor([torch.ones(20, 3), torch.ones(20, 4)]),
    "quantized": torch.quantize_per_tensor(X, 1.0, 0, torch.quint8),
    "complex": X + 0j,
    "8-bit floats": X.to(torch.float8_e5m2),
    "without values": X.to("meta"),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
@pytest.mark.parametrize("shape", [None, (20,)])
def test_inputs_that_are_no_plain_tensors(kind, shape):
    net = sb.network(sb.dense_blocks(), input_shape=shape)
    for schedule in (la.Momentum(3), la.LayerSync()):
        net.schedule = schedule
        with pytest.raises(ValidationError, match=r"^Network: input: expected a dense tensor of"):
            net(NOT_PLAIN[kind])


def test_inputs_of_any_strides_are_plain():
    net = sb.network(sb.dense_blocks())
    x = sb.spikes((3, 20, 5))
    want = net(x)
    assert want.any()
    for same in (x.permute(2, 1, 0).contiguous().permute(2, 1, 0), x.repeat(1, 1, 2)[..., :5]):
        assert torch.equal(net(same), want)
    assert torch.equal(net(x[:1].expand(3, -1, -1)), net(x[:1].repeat(3, 1, 1)))


@pytest.mark.parametrize("kind", ["sparse", "complex", "without values", "a gradient"])
def test_simulate_says_what_to_do_with_a_tensor(kind):
    graph = sb.network(sb.dense_blocks(), input_shape=(20,)).graph()
    x = X.clone().requires_grad_() if kind == "a gradient" else NOT_PLAIN[kind]
    with pytest.raises(ValidationError, match=r"^input: (array: expected what NumPy|dtype)"):
        la.simulate(graph, x)
