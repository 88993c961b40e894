"""Layer by layer, the decisive gradient is SLAYER's, and the true one on any graph."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl import slayer

import lava_async as la
import slayer_blocks as sb
from decisive_helpers import assert_close, by_output, gradients
from lava_async import slayer as async_slayer
from lava_async.slayer import forward
from lava_async.slayer.neurons import Inexact
from network_gradients import by_parameter, derivative_of
from random_networks import graphs, inputs


def by_mean_square(output, target):
    return (output - target).square().mean()


LOSSES = {
    "mean square": by_mean_square,
    "spike rate": slayer.loss.SpikeRate(0.8, 0.1, reduction="sum"),
    "spike time": slayer.loss.SpikeTime(time_constant=2, length=10, reduction="sum"),
}


def by_output_spikes(name, output):
    """(B, outputs, T) derivative of a loss."""
    output = output.detach().requires_grad_()
    rng = torch.Generator().manual_seed(3)
    if name == "spike rate":
        target = torch.randint(0, output.shape[1], output.shape[:1], generator=rng)
    else:
        target = (torch.rand(output.shape, generator=rng) < 0.3).float()
    LOSSES[name](output, target).backward()
    return output.grad


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("build", [sb.dense_blocks, sb.conv_blocks])
def test_layered_chains_have_slayers_gradient(build, loss, seed):
    rng = np.random.default_rng(seed)
    blocks, x = sb.random_chain(build, rng, seed, taus=[0.02, 0.1], samples=3)
    theirs = torch.nn.Sequential(*blocks)(x)
    by_spikes = by_output_spikes(loss, theirs)
    net = async_slayer.Network(blocks, la.LayerSync(), input_shape=x.shape[1:-1])
    record, _, found = gradients(
        net.graph(), x.numpy().astype(np.int64), la.LayerSync(),
        by_output(net.graph(), by_spikes.double().numpy()), derivative=derivative_of(net),
    )
    np.testing.assert_array_equal(record.spikes, theirs.detach().numpy())
    theirs.backward(by_spikes)
    for parameter, got in zip(
        [p for p in net.parameters() if p.requires_grad], by_parameter(net, found), strict=True
    ):
        assert parameter.grad.any()
        assert_close(got.numpy(), parameter.grad.numpy(), 1e-4)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_layered_graphs_have_the_gradient_of_backpropagation_through_time(data):
    graph = data.draw(graphs(delays=data.draw(st.booleans())))
    x = data.draw(inputs(graph))
    net = async_slayer.Network.from_graph(
        graph, schedule=la.LayerSync(), gradient="unrolled", tau_grad=0.02
    ).double()
    by_spikes = np.random.default_rng(0).normal(size=(len(x), *graph.out_shape, x.shape[-1]))

    def refuse(*arguments):
        raise Inexact

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward.layered, "by_population", refuse)
        net(torch.from_numpy(x)).backward(torch.from_numpy(by_spikes))
    at_firing = net.graph().replace(output_delay=0)
    late = np.broadcast_to(graph.output_delay, (int(np.prod(graph.out_shape)),))
    shifted = np.zeros((len(x), len(late), x.shape[-1]))
    for n, delay in enumerate(late.tolist()):
        by_neuron = by_spikes.reshape(shifted.shape)[:, n]
        shifted[:, n, : max(x.shape[-1] - delay, 0)] = by_neuron[:, delay:]
    _, _, found = gradients(
        at_firing, x, la.LayerSync(), by_output(at_firing, shifted),
        derivative=derivative_of(net),
    )
    for parameter, got in zip(
        [p for p in net.parameters() if p.requires_grad], by_parameter(net, found), strict=True
    ):
        want = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        assert_close(got.numpy(), want)
