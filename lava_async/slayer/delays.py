"""Axonal delays of SLAYER's blocks: whole time steps, and how they learn.

A block's `Delay` has a number for each channel, of which the whole part counts. It is on the way
of everything that leaves the block. Its gradient is SLAYER's: the gradient by the delayed spikes
times how these change from one time step to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.axon import Delay as AxonDelay
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._semantics.connections import INPUT, MAX_DELAY, Shape
from lava_async._semantics.graph import Graph
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import plain
from lava_async.slayer.edges import Edge
from lava_async.slayer.links import Delay, delayed

Steps = npt.NDArray[np.uint8]


def delay_of(block: Any) -> Any:
    """The block's `Delay`, or None."""
    return getattr(block, "delay", None)


def check(where: str, delay: Any) -> None:
    """Raise `UnsupportedError` if a delay does more than SLAYER's, or in other time steps.

    Raises
    ------
    ValidationError
        The scale of its gradient is not finite.
    """
    plain.refuse_overrides(where, "delay", delay, AxonDelay)
    plain.refuse_hooks(where, "delay", delay)
    if delay.sampling_time != 1:
        raise UnsupportedError(where, "delay sampling_time", 1, delay.sampling_time)
    if not math.isfinite(delay.grad_scale):
        raise ValidationError(where, "delay grad_scale", "a finite number", delay.grad_scale)


def steps_of(where: str, delay: Any, shape: Shape) -> Steps:
    """Whole time steps of each neuron (size,), flat in C order.

    Those that SLAYER would draw in a first forward pass are all below 1, and so 0.

    Raises
    ------
    ValidationError
        There is not one for each channel, or one is not finite or beyond a chip's range.
    """
    if not _is_set(delay):
        return np.zeros(math.prod(shape), np.uint8)
    values = delay.delay.detach().double().cpu()
    if values.shape != shape[:1]:
        raise ValidationError(where, "delay shape", shape[:1], tuple(values.shape))
    if not bool(values.isfinite().all()):
        wanted = "finite numbers"
        raise ValidationError(where, "delay", wanted, "nan or inf: training diverged?")
    steps = values.clamp(0, delay.max_delay).floor()
    if float(steps.max()) > MAX_DELAY:
        wanted = f"at most {MAX_DELAY} time steps (max_delay={MAX_DELAY} keeps it there)"
        raise ValidationError(where, "delay", wanted, int(steps.max()))
    return np.repeat(steps.numpy().astype(np.uint8), math.prod(shape[1:]))


def learned(delay: Any, steps: Steps, channels: int, device: torch.device) -> Tensor:
    """The same as a tensor (size,) whose gradient goes to the delay, as in a forward pass.

    So the delay is drawn if it is the first one, and brought into its range.
    """
    if not _is_set(delay):
        with torch.inference_mode(False):  # what is made in it can never learn
            # The very call of SLAYER's, so that one seed gives the same.
            drawn = torch.rand(channels, dtype=torch.float, device=device)
            delay.delay.data = drawn.to(delay.delay.dtype)
    delay.init = True
    delay.clamp()
    whole: Any = _Whole.apply(delay.delay, torch.from_numpy(steps).to(device), delay.grad_scale)
    return whole


def make_room(delay: Any, values: Tensor) -> None:
    """Let a delay take values of a checkpoint, drawn or not, whatever it is itself."""
    if delay.delay.shape != values.shape:
        delay.delay.data = delay.delay.data.new_zeros(values.shape)
        delay.delay.grad = None
        delay.init = False


def held(steps: Steps, max_delay: int, learns: bool) -> Any:
    """A delay of these whole time steps, one for each channel, and half of one where it fits.

    So none is at an edge, which a smallest step of an optimizer would cross.
    """
    found: Any = AxonDelay(max_delay=max_delay)
    values = (torch.from_numpy(steps).float() + 0.5).clamp(0, max_delay)
    found.delay = torch.nn.Parameter(values, requires_grad=learns)
    found.init = True
    return found


def _is_set(delay: Any) -> bool:
    """Whether a forward pass has drawn it, or a checkpoint or a user's own hand set it."""
    values = delay.delay
    return delay.init or values.numel() != 1 or bool(values.detach().ne(0))


def is_undrawn(delay: Any) -> bool:
    """Whether there is one that a forward pass would draw."""
    return delay is not None and not _is_set(delay)


class _Whole(torch.autograd.Function):
    """From a delay of each channel to whole time steps of each neuron."""

    @staticmethod
    def forward(ctx, values, steps, scale):  # type: ignore[override]
        ctx.channels, ctx.scale = len(values), scale
        return steps.to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        return grad.reshape(ctx.channels, -1).sum(1) * ctx.scale, None, None


# ------------------------------------------------------------ the gradient


def leaving(spikes: Tensor) -> Tensor:
    """How a delay that grows changes spikes (..., T): -1 where one goes, 1 where it comes."""
    return -torch.diff(spikes, prepend=torch.zeros_like(spikes[..., :1]))


def delayed_output(spikes: Tensor, delay: Delay, own: Tensor | None) -> Tensor:
    """Spikes (B, n, T) as they are after their delay; ``own`` (n,) is the part that learns."""
    if own is None or not own.requires_grad:
        return delayed(spikes, delay)
    result: Any = _Delayed.apply(spikes, own, delay)
    return result


class _Delayed(torch.autograd.Function):
    """Spikes and the part of their delay that learns to delayed spikes."""

    @staticmethod
    def forward(ctx, spikes, own, delay):  # type: ignore[override]
        late = delayed(spikes, delay)
        ctx.save_for_backward(late)
        ctx.delay = delay
        return late if late is not spikes else spikes.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        (late,) = ctx.saved_tensors
        back = delayed(grad.flip(-1), ctx.delay).flip(-1)
        return back, (grad * leaving(late)).sum((0, -1)), None


def by_targets(
    graph: Graph,
    layered: bool,
    edges: Sequence[Edge],
    weights: Sequence[Tensor],
    current: npt.NDArray[np.float32],
    sent: npt.NDArray[np.bool_],
    learning: Sequence[bool],
) -> npt.NDArray[np.float64]:
    """The gradient (N,) by delays that comes back over connections.

    Parameters
    ----------
    graph : Graph
        With the delays that ran.
    layered : bool
        Whether `LayerSync` did.
    edges : sequence of Edge
        Of its connections.
    weights : sequence of tensors
        Whole numbers, of each edge.
    current : (B, T, N) float32
        By a current that arrives in time, in weight units.
    sent : (B, T, N) bool
        Which spikes were delivered.
    learning : sequence of bool
        Of which populations delays are wanted.
    """
    total = np.zeros(graph.num_neurons)
    for edge, weight, connection in zip(edges, weights, graph.connections, strict=True):
        if edge.source == INPUT or not learning[edge.source]:
            continue
        here = graph.slice(edge.source)
        arriving = torch.from_numpy(current[:, :, graph.slice(edge.target)])
        back = edge.returned(weight.detach().to("cpu", torch.float32), arriving.flatten(0, 1))
        spikes = torch.from_numpy(sent[:, :, here]).float().movedim(1, -1)
        delay = graph.layered_delay(connection) if layered else connection.delay
        moved = delayed(leaving(spikes), delay)  # as it arrives
        by_spike = back.unflatten(0, arriving.shape[:2]).movedim(1, -1)
        total[here] += (moved * by_spike).sum((0, -1), dtype=torch.float64).numpy()
    return total
