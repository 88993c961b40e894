"""The definition's gradients by the parameters of a `slayer.Network`, for tests."""

import dataclasses

import numpy as np
import torch

import lava_async as la
from decisive_helpers import gradients
from lava_async._semantics.dropout import Dropout
from lava_async.slayer import surrogate


def derivative_of(net, function=surrogate.slayer):
    """A surrogate, with each block's own parameters, per membrane unit."""

    def derivative(graph, voltage):
        parts = []
        for p, layer in enumerate(net._structure.wired("test").layers):
            model, here = layer.block.neuron, graph.slice(p)
            unit = model.s_scale
            distance = torch.from_numpy(voltage[..., here] / unit - model.v_th_mant / 64)
            numbers = (torch.tensor(n, dtype=torch.float64)
                       for n in (model.tau_rho, model.scale_rho))
            parts.append(function(distance, *numbers).numpy() / unit)
        return np.concatenate(parts, -1)

    return derivative


def by_parameter(net, found):
    """Gradients of a network's parameters, of those by its integers."""
    wiring = net._structure.wired("test")
    total = 0
    weights = [layer.weights() for layer in wiring.layers]
    for edge, by_weight in zip(wiring.edges, found.weights, strict=True):
        total = total + (edge.pick(weights[edge.target]) * torch.from_numpy(by_weight)).sum()
    for p, layer in enumerate(wiring.layers):
        if (bias := layer.bias()) is not None:
            total = total + (bias * torch.from_numpy(found.bias[wiring.pattern.slice(p)])).sum()
        if (steps := wiring.steps[p]) is not None:
            by_delay = torch.from_numpy(found.delay[wiring.pattern.slice(p)])
            total = total + (layer.delay(steps) * by_delay).sum()
    parameters = [p for p in net.parameters() if p.requires_grad]
    return torch.autograd.grad(total, parameters)


def by_definition(net, x, by_spikes, ids, *, reset="through", function=surrogate.slayer):
    """(spikes (B, N, T), gradients by parameters, gradient by x) of a network in its mode.

    by_spikes : (B, N, T) derivative of the loss by all spikes
    """
    graph, counts = net.graph().replace(output_delay=0), np.asarray(x).astype(np.int64)
    schedule, dropout = net.schedule, net.dropout if net.training else Dropout()
    drawn = schedule.draw(ids)
    index, time_step = np.indices((int(np.prod(graph.input_shape)), x.shape[-1]))
    lost = dropout.input_lost(ids[:, None, None], time_step, index).reshape(counts.shape)
    kept = np.where(lost, 0, counts)
    spikes = np.zeros(by_spikes.shape, np.int8)
    by_frames, total = np.zeros(counts.shape), None
    for number, part in enumerate(schedule.parts):
        here = np.flatnonzero(drawn == number)
        if not len(here):
            continue
        record, _, found = gradients(
            graph, kept[here], part, np.moveaxis(by_spikes[here], 1, 2).astype(float),
            net.stop_after if part.asynchronous else None, reset, derivative_of(net, function),
            sample_ids=ids[here], dropout=dataclasses.replace(dropout, input=0),
        )  # fmt: skip
        spikes[here] = record.all_spikes
        by_frames[here] = found.frames.reshape(by_frames[here].shape)
        own = by_parameter(net, found)
        total = own if total is None else [a + b for a, b in zip(total, own, strict=True)]
    return spikes, total, np.where(lost, 0, by_frames)


def by_all_spikes(graph, by_output):
    """(B, N, T) derivative by all spikes, of that by an output that may be delayed."""
    by_output = by_output.reshape(len(by_output), -1, by_output.shape[-1])
    whole = np.zeros((len(by_output), graph.num_neurons, by_output.shape[-1]))
    late = np.broadcast_to(graph.output_delay, by_output.shape[1:2])
    for n, delay in enumerate(late.tolist(), graph.slice(graph.output).start):
        steps = max(by_output.shape[-1] - delay, 0)
        whole[:, n, :steps] = by_output[:, n - graph.slice(graph.output).start, delay:]
    return whole


class OwnFifo(la.AsyncSchedule):
    """A schedule that compiled code does not know."""

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        return -fired_at.astype(float)
