"""PyTorch's transforms of modules and functions: they work, or are refused in one clear line."""

import warnings

import pytest
import torch
from torch.func import functional_call, grad, jvp, vmap

import lava_async as la
import slayer_blocks as sb
from lava_async.errors import UnsupportedError

KINDS = pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
X = sb.spikes((3, 20, 6))


def network(gradient, schedule=None):
    net = sb.network(sb.dense_blocks(), schedule, gradient=gradient)
    net(X)
    return net, dict(net.named_parameters())


@KINDS
@pytest.mark.parametrize("schedule", [la.Momentum(4), la.LayerSync()])
def test_functional_call(gradient, schedule):
    """Of weights that are functions of others, as meta-learning has them."""
    net, parameters = network(gradient, schedule)
    factor = torch.tensor(1.5, requires_grad=True)
    scaled = {n: p * factor if p.requires_grad else p for n, p in parameters.items()}
    y = functional_call(net, scaled, (X,))
    y.sum().backward()
    grads = [p.grad.clone() for p in net.parameters() if p.requires_grad]
    assert factor.grad.abs() > 0
    with torch.no_grad():
        for p in net.parameters():
            if p.requires_grad:
                p *= 1.5
    net.zero_grad()
    z = net(X)
    z.sum().backward()
    assert torch.equal(y, z) and y.any()
    for g, p in zip(grads, (p for p in net.parameters() if p.requires_grad), strict=True):
        torch.testing.assert_close(g, 1.5 * p.grad)


@KINDS
@pytest.mark.parametrize("kind", ["grad", "vmap", "jvp"])
def test_transforms_of_functions_are_refused(gradient, kind):
    net, parameters = network(gradient)
    fixed = {n: p for n, p in parameters.items() if not p.requires_grad}
    weights = {n: p.detach() for n, p in parameters.items() if p.requires_grad}

    def run(weights):
        return functional_call(net, {**fixed, **weights}, (X,)).sum()

    acts = {
        "grad": lambda: grad(run)(weights),
        "vmap": lambda: vmap(net)(X[None]),
        "jvp": lambda: jvp(run, (weights,), (weights,)),
    }
    with pytest.raises(UnsupportedError, match=r"^Network: PyTorch: expected eager.*torch\.func"):
        acts[kind]()


@KINDS
def test_traces_and_scripts_are_refused(gradient):
    """A trace would return the spikes of its own input, whatever its input."""
    net, _ = network(gradient)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnsupportedError, match=r"^Network: PyTorch: .*torch\.jit\.trace"):
            torch.jit.trace(net, X)
        with pytest.raises(UnsupportedError, match=r"^Network: PyTorch: .*torch\.jit\.script"):
            torch.jit.script(net)
        with pytest.raises(UnsupportedError, match=r"^Network: PyTorch: .*torch\.jit\.script"):
            torch.jit.script(torch.nn.Sequential(net))
    assert net(X).any()


@KINDS
def test_second_derivatives_are_refused(gradient):
    net, _ = network(gradient)
    weight = net.blocks[0].synapse.weight
    loss = (net(X).mean(-1) - 0.4).square().sum()
    (found,) = torch.autograd.grad(loss, weight, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        found.square().sum().backward()
