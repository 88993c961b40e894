"""SLAYER's quantizer, in one step: the same integers and gradients, bit for bit."""

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.neuron import cuba
from lava.lib.dl.slayer.utils import quantize

from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer.weights import integers


def neuron(scale=1 << 6):
    return cuba.Neuron(threshold=1.25, current_decay=1.0, voltage_decay=1.0, scale=scale)


def found(quantizer, weight, loss):
    weight = weight.clone().requires_grad_()
    value = integers("block", "weight", weight, quantizer)
    (value * loss).sum().backward()
    return value.detach(), weight.grad


def slayers(model, weight, loss):
    weight = weight.clone().requires_grad_()
    value = model.quantize_8bit(weight, descale=True)
    (value * loss).sum().backward()
    return value.detach(), weight.grad


def bits(pair):
    return [tensor.numpy().tobytes() for tensor in pair]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1, 2, 32, 64, 256])
@pytest.mark.parametrize("spread", [1e-30, 0.3, 10.0, 1e6])
def test_the_same_bits_as_slayers(scale, spread, dtype):
    """Halves between two integers, both limits and numbers beyond them included."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(40, 30, generator=generator, dtype=dtype) * spread * 64 / scale
    halves = torch.arange(-300, 300, dtype=dtype).reshape(20, 30) / scale
    weight = torch.cat([weight, halves, torch.zeros(1, 30, dtype=dtype)])
    loss = torch.randn(weight.shape, generator=generator, dtype=dtype)
    loss[0, 0] = torch.nan
    model = neuron(scale)
    assert bits(found(model.quantize_8bit, weight, loss)) == bits(slayers(model, weight, loss))


@pytest.mark.parametrize("scale", [3, 48, 100])
def test_other_scales_give_whole_numbers(scale):
    """SLAYER's products leave the last bits off there."""
    weight = torch.linspace(-3, 3, 101)
    value, grad = found(neuron(scale).quantize_8bit, weight, torch.ones(101))
    expected = slayers(neuron(scale), weight, torch.ones(101))
    np.testing.assert_array_equal(value, expected[0].round())
    assert torch.equal(grad, expected[1])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("others", [0.0, 100.0])
def test_a_weight_that_is_not_finite(value, others):
    weight = torch.full((3, 4), others)
    weight[1, 2] = value
    with pytest.raises(ValidationError, match=r"block: weight: expected finite numbers"):
        integers("block", "weight", weight, neuron().quantize_8bit)


def test_a_large_weight_is_at_the_limit():
    """Though the product with the scale is beyond what float32 holds."""
    weight = torch.tensor([3e38, -3e38, 0.5])
    value = integers("block", "weight", weight, neuron().quantize_8bit)
    assert value.tolist() == [254, -256, 32]


def test_a_quantizer_of_the_same_name_is_called():
    """Only SLAYER's own is taken for itself."""

    class Mine(cuba.Neuron):
        def quantize_8bit(self, weight, descale=False):
            value = quantize(weight, step=4 / self.w_scale).clamp(-1, 1)
            return value * self.w_scale if descale else value

    model = Mine(threshold=1.25, current_decay=1.0, voltage_decay=1.0)
    weight = torch.linspace(-2, 2, 9)
    value = integers("block", "weight", weight, model.quantize_8bit)
    assert torch.equal(value, model.quantize_8bit(weight, descale=True))
    assert value.abs().max() == 64


def test_what_runs_does_not_change_with_the_parameter():
    """A quantizer may give the parameter itself, which an optimizer changes in place."""
    weight = torch.nn.Parameter(torch.arange(-4.0, 4.0))
    value = integers("block", "weight", weight, lambda weight, descale=False: weight)
    kept = value.detach().clone()
    with torch.no_grad():
        weight += 1
    assert torch.equal(value, kept)


def test_half_precision_goes_through_the_quantizer():
    weight = torch.linspace(-1, 1, 21).half()
    model = neuron()
    value = integers("block", "weight", weight, model.quantize_8bit)
    assert torch.equal(value, model.quantize_8bit(weight, descale=True))


def test_no_weights_at_all():
    assert integers("block", "weight", torch.zeros(0, 3), neuron().quantize_8bit).shape == (0, 3)


def test_no_quantizer():
    with pytest.raises(UnsupportedError, match="pre_hook_fx"):
        integers("block", "weight", torch.zeros(2), None)
