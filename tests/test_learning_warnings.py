"""Training that goes wrong says so: once for each block and cause, with the remedy."""

import warnings

import numpy as np
import pytest
import torch
from lava.lib.dl import slayer

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async._semantics.dropout import Dropout
from lava_async.errors import ValidationError

NEURON = {**sb.NEURON, "tau_grad": 0.02}
KINDS = pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
SCHEDULES = pytest.mark.parametrize(
    "schedule", [la.LayerSync(), la.Momentum(4), la.Mixture([la.LayerSync(), la.Random(2)])]
)


def blocks(sizes=(20, 12, 8, 4), **settings):
    return sb.dense_blocks(sizes, neuron=NEURON, **settings)


def messages(net, passes, loss=torch.sum, batch=4, x=None):
    """What so many training passes say, with where it is said."""
    x = sb.spikes((batch, 20, 4)) if x is None else x
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(passes):
            net.zero_grad()
            loss(net(x)).backward()
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)])
def test_they_point_at_the_line_that_called_slayers_assistant(schedule):
    net = sb.network(partly_dead(8), schedule)
    nothing = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # would take what is not finite
    assistant = slayer.utils.Assistant(net, lambda y, target: (y.sum() - target.sum()) / 0, nothing)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assistant.train(sb.spikes((4, 20, 4)), torch.zeros(4, 4))
    assert {("no spike" in str(w.message), "not finite" in str(w.message)) for w in caught} == {
        (True, False), (False, True)
    }  # of the forward pass, and of the way back
    assert all(w.filename == __file__ for w in caught)


# Dead neurons


def partly_dead(dead, block=1, sizes=(20, 12, 8, 4)):
    """So many neurons of a block never fire."""
    found = blocks(sizes)
    with torch.no_grad():
        found[block].synapse.weight[:dead] = -0.1
        found[block].synapse.weight[dead:] = 1
    return found


@KINDS
@SCHEDULES
def test_dead_neurons_are_counted_by_block(gradient, schedule):
    net = sb.network(partly_dead(5), schedule, gradient=gradient)
    x = sb.spikes((50, 20, 1))
    found = [m for m in messages(net, 20, x=x) if "fired in none" in m]
    (message,) = [m for m in found if m.startswith("blocks[1]")]
    assert message.startswith("blocks[1] (Dense): 5 of 8 neurons fired in none of 20 training ")
    assert "weight_scale" in message and "threshold" in message
    assert not [m for m in messages(net, 20, x=x) if m.startswith("blocks[1]")]


@pytest.mark.parametrize("dead, said", [(3, False), (4, True), (7, True), (8, False)])
def test_half_of_a_block_is_much(dead, said):
    net = sb.network(partly_dead(dead))
    found = messages(net, 20, batch=50)
    assert any("blocks[1] (Dense): " + f"{dead} of 8" in m for m in found) == said
    assert any("no spike" in m for m in found) == (dead == 8)


def test_neurons_of_few_samples_are_not_dead():
    """Each fires for one input of its own, which is rare."""
    net = sb.network(blocks((20, 20)))
    with torch.no_grad():
        net.blocks[0].synapse.weight.copy_(3 * torch.eye(20).reshape(20, 20, 1, 1, 1))
    x = torch.zeros(20, 20, 4)
    x[range(20), range(20)] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(1100):
            net(x[i % 20 : i % 20 + 1])


def test_another_count_of_neurons_counts_anew():
    net = sb.network(partly_dead(5))
    assert not messages(net, 19, batch=50)
    net.blocks[1], net.blocks[2] = blocks((12, 9, 4), seed=3)
    assert not messages(net, 19, batch=50)


def test_nobody_is_dead_outside_training():
    net = sb.network(partly_dead(5)).eval()
    assert not messages(net, 25, batch=50)


# Weights at the limits


@KINDS
@pytest.mark.parametrize("value", [-5.0, -4.0, 3.97, 30.0])
def test_weights_at_the_limits_are_counted_by_block(gradient, value):
    net = sb.network(blocks(), gradient=gradient)
    with torch.no_grad():
        net.blocks[1].synapse.weight.view(-1)[:10] = value
    (message,) = messages(net, 12, x=sb.spikes((2, 20, 2)))
    assert message.startswith("blocks[1] (Dense): 10 of 96 weights are at the limits, -256 and 254")
    assert "weight_scale" in message


def test_a_few_weights_may_be_at_the_limits():
    net = sb.network(blocks())
    with torch.no_grad():
        net.blocks[1].synapse.weight.view(-1)[:4] = 9
    assert not messages(net, 12)


def test_weights_that_come_to_the_limits_in_training_are_seen():
    net = sb.network(blocks())
    assert not messages(net, 5)
    with torch.no_grad():
        net.blocks[2].synapse.weight.view(-1)[:10] = -9
    (message,) = messages(net, 11)
    assert message.startswith("blocks[2] (Dense): 10 of 32 weights")


def test_frozen_weights_may_be_anywhere():
    net = sb.network(blocks())
    with torch.no_grad():
        net.blocks[0].synapse.weight[0] = 9
    net.blocks[0].synapse.weight.requires_grad_(False)
    assert not messages(net, 12)


def test_weights_of_several_sources_and_of_graphs_are_a_blocks():
    """Of all edges together; biases have other limits."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-20, 40, (8, 20))
    weight[:2] = 254
    graph = la.Graph(
        (20,), [la.Population("p", (8,), 1600, 800, 80, np.full(8, 300))],
        [la.Dense(-1, 0, weight), la.Dense(0, 0, rng.integers(-9, 9, (8, 8)))],
    )  # fmt: skip
    net = async_slayer.Network.from_graph(graph, tau_grad=0.02)
    (message,) = messages(net, 12)
    assert message.startswith("blocks[0] (Population): 40 of 224 weights")


# Gradients that are not finite


@KINDS
@SCHEDULES
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_without_finite_gradient_is_named_once(gradient, schedule, value):
    net = sb.network(blocks(), schedule, gradient=gradient)
    (message,) = messages(net, 5, lambda y: (y * value).sum())
    assert message.startswith("blocks[0] (Dense), blocks[1] (Dense), blocks[2] (Dense): gradients ")
    assert "not finite" in message and "loss" in message


@KINDS
def test_one_such_number_among_many_is_enough(gradient):
    net = sb.network(blocks(), gradient=gradient)
    factor = torch.ones(4, 4, 4)
    factor[3, 3, 3] = float("nan")
    (message,) = messages(net, 3, lambda y: (y * factor).sum())
    assert "not finite" in message


def too_steep(distance, tau, scale):
    return torch.full_like(distance, 1e38) * torch.ones_like(scale) * 10


@KINDS
def test_blocks_whose_gradient_overflows_are_named(gradient):
    net = sb.network(blocks(), gradient=gradient, surrogate=too_steep)
    found = messages(net, 5)
    assert 1 <= len(found) <= 3
    for i, message in enumerate(sorted(found)):
        assert message.startswith(f"blocks[{i}] (Dense): the gradient of its weights is not finite")
        assert "scale_grad" in message


def test_what_is_frozen_is_not_named():
    net = sb.network(blocks())
    net.blocks[1].requires_grad_(False)
    (message,) = messages(net, 3, lambda y: (y * float("nan")).sum())
    assert message.startswith("blocks[0] (Dense), blocks[2] (Dense): gradients")


def test_a_penalty_without_finite_gradient_is_seen_too():
    net = sb.network(blocks(), penalty=lambda spikes: (spikes * float("inf")).sum())
    (message,) = messages(net, 3, lambda result: result[1])
    assert "gradients that are not finite" in message


# Options without effect

UNROLLED = {
    "refractory_dropout": 0.5,
    "credit": async_slayer.Carried(0.5),
    "surrogate": "arctan",
    "reset": "detached",
    "max_forward_steps": 50,
}


@pytest.mark.parametrize(
    "schedule", [la.LayerSync(), la.Mixture([la.LayerSync(), la.Momentum(4)])]
)
@pytest.mark.parametrize("name", UNROLLED)
def test_options_that_layer_synchronization_ignores(name, schedule):
    net = sb.network(blocks(), schedule, gradient="unrolled", **{name: UNROLLED[name]})
    (message,) = [m for m in messages(net, 4) if "LayerSync" in m]
    assert message.startswith(f"Network: {name}: without effect under LayerSync")
    assert 'gradient="decisive"' in message


def test_they_are_named_together_when_the_schedule_comes_later():
    net = sb.network(blocks(), gradient="unrolled", **UNROLLED)
    assert not [m for m in messages(net, 2) if "without effect" in m]
    net.schedule = la.LayerSync()
    (message,) = [m for m in messages(net, 3) if "without effect" in m]
    assert all(name in message for name in UNROLLED)


@pytest.mark.parametrize("mode", ["evaluation", "no gradient"])
def test_an_evaluation_layer_by_layer_has_no_need_of_them(mode):
    net = sb.network(blocks(), la.LayerSync(), gradient="unrolled", **UNROLLED)
    net.train(mode == "no gradient")
    with warnings.catch_warnings(), torch.set_grad_enabled(mode == "evaluation"):
        warnings.simplefilter("error")
        net(sb.spikes((2, 20, 4)))


@pytest.mark.parametrize("surrogate", ["arctan", "fast_sigmoid", "slayer"])
@pytest.mark.parametrize("reset", ["through", "detached", "full"])
@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4, noise=0.1)])
def test_decisive_ignores_nothing(schedule, reset, surrogate):
    net = sb.network(blocks(), schedule, reset=reset, surrogate=surrogate, input_dropout=0.1,
                     spike_dropout=0.1)  # fmt: skip
    assert not [m for m in messages(net, 2) if m.startswith("Network")]


@pytest.mark.parametrize("name", ["refractory_dropout", "credit", "max_forward_steps"])
def test_what_belongs_to_unrolled_is_refused_by_decisive(name):
    with pytest.raises(ValidationError, match=f'^Network: {name}: expected none, or gradient="unr'):
        sb.network(blocks(), **{name: UNROLLED[name]})


def test_refractory_dropout_that_comes_later_is_refused_as_well():
    net = sb.network(blocks())
    net.dropout = Dropout(refractory=0.5)
    with pytest.raises(ValidationError, match="refractory_dropout: expected none, or gradient="):
        net(sb.spikes((2, 20, 4)))
    assert net.eval()(sb.spikes((2, 20, 4))).any()


@KINDS
@pytest.mark.parametrize("reset", ["through", "full"])
def test_two_resets_at_once_are_refused(gradient, reset):
    with pytest.raises(ValidationError, match=r'^Network: reset: expected "detached", as detach'):
        sb.network(blocks(), gradient=gradient, reset=reset, detach_reset=True)


def test_a_schedule_that_cannot_stop_is_refused_when_it_runs():
    net = sb.network(blocks(), stop_after=2)
    for schedule in (la.LayerSync(), la.Mixture([la.LayerSync(), la.Momentum(4)])):
        net.schedule = schedule
        with pytest.raises(ValidationError, match="stop_after: expected None"):
            net(sb.spikes((2, 20, 4)))
    net.schedule = la.Momentum(4)
    assert net(sb.spikes((2, 20, 4))).any()


# Copies


def test_what_was_said_is_not_said_by_a_checkpoint_of_the_same_network():
    """But by another network it is."""
    net = sb.network(partly_dead(5))
    assert messages(net, 20, batch=50)
    state = net.state_dict()
    net.load_state_dict(state)
    assert not messages(net, 20, batch=50)
    other = sb.network(partly_dead(5))
    other.load_state_dict(state)
    assert messages(other, 20, batch=50)
