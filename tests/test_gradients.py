"""Unlayered backprop: the gradient is that of the unrolled forward steps.

The forward pass of the trainer, with spikes replaced by a smooth function whose derivative
is the surrogate, is differentiable for real: there autograd is compared with finite
differences. What is selected and evaluated stays a constant, as the semantics say.
"""

import itertools

import numpy as np
import pytest
import torch
from lava.lib.dl import slayer

import chain_gradients
import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async._semantics.dropout import Dropout
from lava_async.slayer import surrogate
from lava_async.slayer.links import Link
from lava_async.slayer.neurons import Neurons, States
from lava_async.slayer.rules import Carried, Rules
from lava_async.slayer.unrolled import unlayered

SIZES = (5, 4, 3)
THRESHOLD = 400.0


def smooth_rules(**settings):
    """A spike function that is smooth, and its exact derivative (per SLAYER's unit)."""
    width = 300 / 4096
    return Rules(
        spike=lambda distance: torch.atan(distance / 4096 / width) * 0.5 + 0.4,
        surrogate=lambda distance, tau, scale: 0.5 / width / (1 + (distance / width).square()),
        truncate=lambda x: x,
        **settings,
    )


def neurons(i_decay=4096, v_decay=4096, sizes=SIZES, bias=None):
    def all_of(value):
        return torch.full((sum(sizes),), float(value), dtype=torch.float64)

    return Neurons(
        sizes=list(sizes), i_decay=all_of(i_decay), v_decay=all_of(v_decay),
        threshold=all_of(THRESHOLD), unit=all_of(4096), tau=all_of(1), scale=all_of(1), bias=bias,
    )  # fmt: skip


def begun(x, model, highest=0):
    """A state of all neurons, 0 or any."""
    generator = torch.Generator().manual_seed(6)
    shape = (2, x.shape[1], sum(model.sizes))
    return States(0, *torch.randint(highest + 1, shape, generator=generator).double())


def run(first, weights, x, model, schedule, rules, dropout=None):
    """Spikes (T, B, N) of a small chain, as a function of its weights."""
    links = [Link(p, p + 1, lambda s, w=w: s @ w) for p, w in enumerate(weights)]
    return unlayered(
        [x @ first, *[None] * len(weights)], links, model, schedule, rules,
        np.arange(x.shape[1]), dropout or Dropout(), 60, len(weights), begun(x, model),
    )[0]  # fmt: skip


def small_chain(seed=0):
    generator = torch.Generator().manual_seed(seed)

    def weight(rows, columns, scale):
        values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        return (values * scale).requires_grad_()

    weights = [weight(a, b, 500) for a, b in itertools.pairwise(SIZES)]
    x = (torch.rand(3, 2, 6, generator=generator) < 0.5).double()
    return weight(6, SIZES[0], 350), weights, x


@pytest.mark.parametrize("schedule", [la.Momentum(1), la.Momentum(3, 0.5), la.Random(2, 4)])
@pytest.mark.parametrize(
    "model, settings",
    [
        (neurons(), {}),
        (neurons(1000, 300), {"credit": Carried(strength=0.4, time_decay=0.7)}),
        (neurons(4096, 2000, bias=torch.arange(12.0).double() * 9), {}),
    ],
)
def test_gradcheck_of_the_smoothed_network(schedule, model, settings):
    first, weights, x = small_chain()
    rules = smooth_rules(**settings)
    dropout = Dropout(spike=0.2, refractory=0.4, seed=5)

    def outputs(first, *weights):
        return run(first, weights, x, model, schedule, rules, dropout)[..., -SIZES[-1] :]

    outputs(first, *weights).sum().backward()  # spikes of all populations count
    assert all(w.grad.abs().max() > 1e-6 for w in (first, *weights))
    assert torch.autograd.gradcheck(outputs, (first, *weights), eps=1e-4, atol=1e-7)


@pytest.mark.parametrize("schedule", [la.Momentum(1), la.Random(2, 4), la.Fifo(3)])
def test_gradcheck_over_delays_and_recurrence(schedule):
    """Skips, circles, and delays for each source; what comes late has its credit, too."""
    first, (forth, further), _ = small_chain()
    generator = torch.Generator().manual_seed(1)

    def weight(rows, columns):
        return torch.randn(rows, columns, generator=generator, dtype=torch.float64) * 500

    back, own, skip = (w.requires_grad_() for w in (weight(3, 5), weight(4, 4), weight(5, 3)))
    x = (torch.rand(5, 2, 6, generator=generator) < 0.4).double()
    model = neurons(1000, 300)

    def outputs(first, forth, further, back, own, skip):
        links = [
            Link(0, 1, lambda s: s @ forth), Link(1, 2, lambda s: s @ further),
            Link(2, 0, lambda s: s @ back), Link(1, 1, lambda s: s @ own, np.array([0, 2, 0, 1])),
            Link(0, 2, lambda s: s @ skip, 1),
        ]  # fmt: skip
        return unlayered(
            [x @ first, None, None], links, model, schedule,
            smooth_rules(credit=Carried(0.4, 0.7)), np.arange(x.shape[1]), Dropout(), 60, 2,
            begun(x, model, 500),
        )[0][..., -SIZES[-1] :]  # fmt: skip

    weights = (first, forth, further, back, own, skip)
    outputs(*weights).sum().backward()
    assert all(w.grad.abs().max() > 1e-6 for w in weights)
    assert torch.autograd.gradcheck(outputs, weights, eps=1e-4, atol=1e-7)


def test_chains_have_the_gradient_of_0_1_0():
    """To the last bit on the machine that wrote it; another processor may sum in another order."""
    with np.load(chain_gradients.PATH) as kept:
        left = set(kept)
        for case, net, x in chain_gradients.cases():
            for name, got in chain_gradients.gradients(net, x).items():
                key = f"{case}/{name}"
                want = kept[key]
                left.remove(key)
                scale = 0 if name == "spikes" else 1e-6 * np.abs(want).max()
                np.testing.assert_allclose(got, want, rtol=0, atol=scale, err_msg=key)
    assert not left


def one_neuron(weight, inputs, rules, schedule=None, follower=None, **decays):
    """Gradient of the last population's spikes by ``weight``; one neuron per population."""
    w = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(inputs, dtype=torch.float64)[:, None, None]
    chain = [] if follower is None else [torch.tensor([[follower]], dtype=torch.float64)]
    model = neurons(sizes=(1,) * (1 + len(chain)), **decays)
    spikes = run(w.reshape(1, 1), chain, x, model, schedule or la.Momentum(1), rules)
    spikes[..., -1].sum().backward()
    return spikes.detach()[:, 0], w.grad.item()


def slope(voltage):
    """SLAYER's surrogate derivative, in membrane units, for the parameters of `neurons`."""
    return 0.1 / 2 / 100 * np.exp(-abs(voltage - THRESHOLD) / 4096 / 100) / 4096


def test_credit_of_a_release_reaches_the_silent_evaluations_before_it():
    """Silent at t = 0 and 1 (no memory between), fires at t = 2; the follower fires then."""
    inputs = [1.0, 2.0, 5.0]
    for strength, time_decay in ((1, 1), (0.5, 1), (1, 0.25), (0, 1)):
        rules = Rules(credit=Carried(strength, time_decay))
        spikes, gradient = one_neuron(100.0, inputs, rules, follower=600.0)
        assert spikes[:, 0].tolist() == [0, 0, 1] and spikes[:, 1].tolist() == [0, 0, 1]
        through_follower = slope(600) * 600
        silent = [slope(100) * 1 * time_decay**2, slope(200) * 2 * time_decay]
        want = through_follower * (slope(500) * 5 + strength * sum(silent))
        assert gradient == pytest.approx(want, rel=1e-12)


def test_credit_starts_anew_after_a_release():
    """Fires at t = 0 and 2: the evaluation at t = 1 belongs to the second spike only."""
    rules = Rules(credit=Carried())
    spikes, gradient = one_neuron(100.0, [6.0, 1.0, 7.0, 2.0], rules, follower=600.0)
    assert spikes[:, 0].tolist() == [1, 0, 1, 0]
    evaluations = slope(600) * 6 + slope(100) * 1 + slope(700) * 7  # t = 3 is never released
    assert gradient == pytest.approx(slope(600) * 600 * evaluations, rel=1e-12)


def test_silent_output_neurons_get_the_gradient_at_every_evaluation():
    spikes, gradient = one_neuron(100.0, [1.0, 2.0, 3.0], Rules())
    assert not spikes.any()
    assert gradient == pytest.approx(slope(100) + slope(200) * 2 + slope(300) * 3, rel=1e-12)


@pytest.mark.parametrize("detach", [False, True])
def test_the_reset_contributes_unless_detached(detach):
    """Memory without leak: silent at t = 0, v = 300; fires at t = 1 with v = 900."""
    rules = Rules(detach_reset=detach)
    _, gradient = one_neuron(300.0, [1.0, 2.0], rules, v_decay=0)
    through_reset = 0 if detach else -300 * slope(300) * 1
    want = slope(300) * 1 + slope(900) * (2 + 1 + through_reset)
    assert gradient == pytest.approx(want, rel=1e-12)


def test_refractory_neurons_get_no_gradient():
    """A current that meets a refractory neuron has no influence."""
    w = torch.tensor([[600.0, 0.0]], dtype=torch.float64)
    # Population of two, then one: both of the first fire at once, F = 1 releases one by one,
    # and the target fires on the first, so that the second meets it refractory.
    deliver = torch.tensor([[600.0], [700.0]], dtype=torch.float64, requires_grad=True)
    first = torch.tensor([[500.0, 450.0]], dtype=torch.float64)
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    spikes = run(first, [deliver], x, neurons(sizes=(2, 1)), la.Momentum(1), Rules())
    assert spikes.flatten().tolist() == [1, 1, 1] and w.numel()
    spikes[..., -1].sum().backward()
    assert deliver.grad[1].item() == 0
    assert deliver.grad[0].item() == pytest.approx(slope(600), rel=1e-12)


def test_one_layer_without_memory_has_slayers_own_gradient():
    """There synchronization makes no difference: the gradient is SLAYER's, up to rounding."""
    neuron = {"threshold": 1.25, **sb.FORGETFUL, "tau_grad": 0.02, "scale_grad": 3}
    blocks = sb.dense_blocks((20, 8), neuron=neuron)
    net = sb.network(blocks)
    x, target = sb.spikes((4, 20, 6)), sb.spikes((4, 8, 6), 1)
    gradients = []
    for schedule in (la.LayerSync(), la.Momentum(2)):
        net.schedule = schedule
        net.zero_grad()
        (net(x) - target).square().sum().backward()
        gradients.append(blocks[0].synapse.weight.grad.clone())
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["arctan", "fast_sigmoid"])
def test_surrogates_are_derivatives_of_spike_like_functions(name):
    """Highest at the threshold, symmetric, half as high or less one tau away."""
    distance = torch.arange(-30, 31).double() / 10
    one = torch.ones((), dtype=torch.float64)
    slopes = surrogate.SURROGATES[name](distance, 0.5 * one, 2 * one)
    assert slopes.argmax() == 30 and slopes[30] == 2
    torch.testing.assert_close(slopes, slopes.flip(0))
    assert (slopes.diff()[:30] > 0).all() and slopes[35] <= 1 + 1e-12


def test_slayers_surrogate_is_slayers():
    neuron = slayer.neuron.cuba.Neuron(1.25, 1, 1, tau_grad=0.03, scale_grad=4)
    voltage = torch.linspace(-2, 4, 50).reshape(1, 1, 50).requires_grad_()
    neuron.spike(voltage).sum().backward()
    ours = surrogate.slayer(
        voltage.detach() - 1.25, torch.tensor(neuron.tau_rho), torch.tensor(neuron.scale_rho)
    )
    torch.testing.assert_close(ours, voltage.grad, rtol=1e-5, atol=1e-8)


def test_a_callable_surrogate_is_used():
    blocks = sb.dense_blocks((20, 8), neuron={"threshold": 1.25, **sb.FORGETFUL})
    x = sb.spikes((4, 20, 6))
    net = async_slayer.Network(blocks, surrogate=lambda distance, tau, scale: 0 * distance)
    net(x).sum().backward()
    assert not blocks[0].synapse.weight.grad.any()


@pytest.mark.parametrize(
    "settings, message",
    [({"strength": -1}, "strength: expected"), ({"time_decay": 1.5}, "time_decay: expected")],
)
def test_the_credit_rule_is_checked(settings, message):
    with pytest.raises(la.errors.ValidationError, match=message):
        Carried(**settings)
