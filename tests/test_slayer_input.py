"""SLAYER's `Input` with neurons: its weight and bias, which it learns."""

import pytest
import torch
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from exact_blocks import assert_same_everywhere, assert_slayers_own

FORGETFUL = {**sb.FORGETFUL, "threshold": 1.25, "tau_grad": 0.05}
OFF = {"delay_shift": False}


def blocks(neuron, shape, **numbers):
    """An input layer, and a dense one that sees it through any shape."""

    def build():
        made = [cuba.Input(dict(neuron), **numbers, **OFF)]
        inputs = shape[0] if len(shape) == 1 else (shape[2], shape[1], shape[0])
        return [*made, cuba.Dense(dict(FORGETFUL), inputs, 5, weight_scale=8, **OFF)]

    return build


@pytest.mark.parametrize("shape", [(8,), (2, 3, 4)])
@pytest.mark.parametrize(
    "neuron, numbers",
    [(FORGETFUL, {"weight": 0.7, "bias": 0.25}), (FORGETFUL, {"bias": 0.5}),
     ({**FORGETFUL, "voltage_decay": 0.3}, {"weight": 0.5, "bias": 0.1}),
     ({**sb.NEURON, "tau_grad": 0.05}, {"weight": 0.7}),
     ({**sb.NEURON, "tau_grad": 0.05, "current_decay": 0.0}, {})],
)  # fmt: skip
def test_it_is_slayers_own(neuron, numbers, shape, tmp_path):
    build, x = blocks(neuron, shape, **numbers), sb.spikes((3, *shape, 10), density=0.5)
    assert_slayers_own(build, x)
    net = sb.network(sb.seeded(build), la.Momentum(2))
    net(x).sum().backward()
    for name in numbers:
        assert getattr(net.blocks[0], name).grad.any()
    flat = [] if len(shape) == 1 else ["flatten"]
    again = assert_same_everywhere(
        net, x, tmp_path, [la.Momentum(2)], ["input", *flat, "dense"], ["kernel"]
    )
    assert type(again.blocks[0]) is cuba.Input


def test_a_bias_that_is_learned_needs_neurons_without_current_memory():
    """SLAYER adds it to the current, a chip to the voltage; also where it comes later."""
    net = sb.network([cuba.Input(dict(sb.NEURON), weight=0.5, **OFF)], input_shape=(3,))
    net.blocks[0].bias = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(la.errors.UnsupportedError, match=r"^blocks\[0\] \(Input\): bias: expected"):
        net(sb.spikes((1, 3, 4)))
