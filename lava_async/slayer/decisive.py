"""The decisive gradient in PyTorch: spikes by the compiled kernel, or by the definition.

Autograd sees one function, from the integers that run to the spikes that they make; how integers
come from parameters (quantisation, weight norm, …) is autograd's own business.
"""

from __future__ import annotations

import abc
import dataclasses
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._kernel import is_compiled, training
from lava_async._semantics import decisive as definition
from lava_async._semantics import reference
from lava_async._semantics.decisive import Reset
from lava_async._semantics.schedule import AsyncSchedule, LayerSync, Schedule
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer import threads
from lava_async.slayer.inputs import lost
from lava_async.slayer.integers import Integers
from lava_async.slayer.settings import Settings
from lava_async.slayer.wiring import Wiring


class NotCounts(Exception):
    """The input is not of whole numbers in 0..2**24 - 1."""


def spikes(execution: Execution, x: Tensor, integers: Integers) -> Tensor:
    """The spikes of a batch that has run, differentiable.

    Parameters
    ----------
    execution : Execution
    x : (B, inputs, T)
        Its input.
    integers : Integers
        Its weights and biases.

    Returns
    -------
    (B, neurons, T) float32, on the CPU
    """
    biases = [bias for bias in integers.biases if bias is not None]
    result: Any = _Spikes.apply(execution, x, *integers.by_edge, *biases)
    return result


class _Spikes(torch.autograd.Function):
    """From an input and integer weights and biases to spikes."""

    @staticmethod
    def forward(ctx, execution: Execution, x, *parameters):  # type: ignore[override]
        ctx.execution = execution
        # PyTorch lets go of what is saved when the graph is spent: the execution goes with it.
        saved = torch.empty(0)
        ctx.save_for_backward(saved)
        weakref.finalize(saved, execution.forget).atexit = False
        ctx.kinds = [(p.dtype, p.device) for p in (x, *parameters)]
        return torch.from_numpy(execution.spikes).to(torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        _ = ctx.saved_tensors  # which says so if the graph is spent
        by_frames, *wanted = ctx.needs_input_grad[1:]
        loss = grad.detach().to("cpu", torch.float32).contiguous().numpy()
        execution: Execution = ctx.execution
        found = execution.backward(loss, wanted, by_frames)
        if execution.watcher is not None:
            execution.watcher(loss, found[1:])
        grads = [
            None if g is None else torch.from_numpy(g).to(device, dtype)
            for g, (dtype, device) in zip(found, ctx.kinds, strict=True)
        ]
        return None, *grads


class Execution:
    """A batch, sample by sample under the schedule that is its own.

    Parameters
    ----------
    wiring : Wiring
    integers : Integers
    settings : Settings
    reset : "through", "detached" or "full"
    surrogate : Surrogate
    frames : (B, inputs, T) array
        Counts, as `inputs.as_counts` gives them; checked, unless the kernel runs them all.
    ids : (B,) int64
    everyone : bool
        Whether the spikes of all neurons are wanted, or those of the output population.
    taped : bool
        Whether there may be a way back.

    Attributes
    ----------
    spikes : (B, neurons, T) int8
    fired : (N,) bool
        Which neurons fired at all.
    has_input : bool
    watcher : callable or None
        Sees the gradients of a way back: by the spikes, and by weights and biases as `spikes`
        takes them.

    Raises
    ------
    NotCounts
        ``frames`` are not of whole numbers.
    """

    def __init__(
        self, wiring: Wiring, integers: Integers, settings: Settings, reset: Reset,
        surrogate: surrogates.Surrogate, frames: npt.NDArray, ids: npt.NDArray[np.int64],
        everyone: bool, taped: bool,
    ):  # fmt: skip
        pattern = wiring.pattern
        output = pattern.slice(pattern.output)
        self.wiring, self.integers, self.settings = wiring, integers, settings
        self.reset: Reset = reset
        self.surrogate = surrogate
        self.neurons = slice(0, pattern.num_neurons) if everyone else output
        self.taped = taped
        self.watcher: Callable[[npt.NDArray, Sequence[npt.NDArray | None]], None] | None = None
        self._ids = ids
        self._parts: list[tuple[_Part, npt.NDArray[np.intp] | slice]] = []
        self._walked = False
        self._loaded: dict[bool, training.Loaded] = {}
        for schedule, where in _drawn(settings.schedule, ids):
            kind = _Compiled if is_compiled(schedule) else _Defined
            self._parts.append((kind(self, schedule, frames[where], ids[where]), where))
        self.spikes = self._parts[0][0].spikes
        if len(self._parts) > 1:
            self.spikes = np.empty((len(ids), *self.spikes.shape[1:]), np.int8)
            for part, where in self._parts:
                self.spikes[where] = part.spikes
        self.fired = np.logical_or.reduce([part.fired for part, _ in self._parts])
        self.has_input = any(part.has_input for part, _ in self._parts)

    def backward(
        self, loss: npt.NDArray[np.float32], wanted: Sequence[bool], by_frames: bool
    ) -> list[npt.NDArray | None]:
        """Gradients by frames, weights of each connection, and biases, where wanted."""
        edges = len(self.integers.by_edge)
        total: list[npt.NDArray | None] = [None] * (1 + len(wanted))
        self._walked = True
        if by_frames:
            pattern = self.wiring.pattern
            total[0] = np.zeros((len(loss), int(np.prod(pattern.input_shape)), loss.shape[2]))
        for part, where in self._parts:
            weights, bias, frames = part.backward(
                self, loss[where], wanted[:edges], by_frames
            )
            biases = [
                _shared(bias[self.wiring.pattern.slice(p)], own)
                for p, own in enumerate(self.integers.biases)
                if own is not None and bias is not None
            ]
            for i, g in enumerate([*weights, *biases]):
                if wanted[i] and g is not None:
                    before = total[1 + i]
                    total[1 + i] = g if before is None else before + g
            if total[0] is not None and frames is not None:
                total[0][where] = frames
        if total[0] is not None and self.settings.dropout.input:
            index, time_step = np.indices(total[0].shape[1:])
            ids = self._ids[:, None, None]
            total[0][self.settings.dropout.input_lost(ids, time_step, index)] = 0
        return total

    def forget(self) -> None:
        """Let go of the tape, if it has served: what is saved may also have moved elsewhere."""
        if self._walked:
            self._parts.clear()
            self._loaded.clear()

    def loaded(
        self, schedule: LayerSync | AsyncSchedule
    ) -> tuple[training.Trainer, training.Loaded]:
        """The network in the kernel, the same for all schedules of a kind."""
        layered = schedule.layered
        trainer = self.wiring.trainer(layered)
        if layered not in self._loaded:
            self._loaded[layered] = trainer.load(*self.integers.arrays())
        return trainer, self._loaded[layered]


def _drawn(
    schedule: Schedule, ids: npt.NDArray[np.int64]
) -> Iterator[tuple[LayerSync | AsyncSchedule, npt.NDArray[np.intp] | slice]]:
    """The parts of a schedule that samples drew, and which did."""
    if len(schedule.parts) == 1:
        yield schedule.parts[0], slice(None)
        return
    drawn = schedule.draw(ids)
    for i, part in enumerate(schedule.parts):
        here = np.flatnonzero(drawn == i)
        if len(here):
            yield part, slice(None) if len(here) == len(ids) else here


def _shared(gradient: npt.NDArray, bias: Tensor) -> npt.NDArray:
    """The gradient of a population's biases, which may be one for all."""
    return gradient if bias.numel() == len(gradient) else gradient.sum(keepdims=True)


class _Part(abc.ABC):
    """Some samples of an execution, under one schedule.

    It holds no reference to the execution: what is under way goes when it is done with, not when
    the garbage collector finds a circle.
    """

    spikes: npt.NDArray[np.int8]
    fired: npt.NDArray[np.bool_]  # (N,) which neurons did
    has_input: bool

    @abc.abstractmethod
    def backward(
        self, execution: Execution, loss: npt.NDArray[np.float32], wanted: Sequence[bool],
        by_frames: bool,
    ) -> tuple[Sequence[npt.NDArray | None], npt.NDArray | None, npt.NDArray | None]:  # fmt: skip
        """Gradients by the weights of each connection, by biases (N,), and by frames.

        Those by biases where there are any, those by frames where they are asked for.
        """


class _Compiled(_Part):
    """By the kernel."""

    def __init__(
        self, execution: Execution, schedule: LayerSync | AsyncSchedule, frames: npt.NDArray,
        ids: npt.NDArray[np.int64],
    ):  # fmt: skip
        settings, neurons = execution.settings, execution.neurons
        trainer, loaded = execution.loaded(schedule)
        self._ran = trainer.run(
            loaded,
            frames.reshape(len(frames), -1),
            frames.shape[-1],
            ids,
            schedule,
            stop_after=settings.stop_after,
            dropout=settings.dropout,
            neuron_range=(neurons.start, neurons.stop),
            taped=execution.taped,
            team=threads.team(settings.num_threads),
        )
        if self._ran.bad is not None:
            raise NotCounts
        self.spikes = self._ran.spikes
        self.fired, self.has_input = self._ran.fired, self._ran.has_input

    def backward(self, execution, loss, wanted, by_frames):
        ran = self._ran
        surrogate = execution.integers.surrogate(execution.surrogate, ran.voltage)
        return ran.backward(
            np.ascontiguousarray(loss), surrogate, reset=execution.reset, wanted=wanted,
            by_bias=any(own is not None for own in execution.integers.biases),
            by_frames=by_frames,
        )  # fmt: skip


class _Defined(_Part):
    """By the readable definition, which takes any schedule."""

    def __init__(
        self, execution: Execution, schedule: LayerSync | AsyncSchedule, frames: npt.NDArray,
        ids: npt.NDArray[np.int64],
    ):  # fmt: skip
        self._layered = isinstance(schedule, LayerSync)
        self._graph = execution.integers.graph()
        dropout = execution.settings.dropout
        self._frames = frames.astype(np.int64)
        if dropout.input:
            self._frames[lost(self._frames, ids, dropout)] = 0
        shape = (len(frames), *self._graph.input_shape, frames.shape[-1])
        record, self._tape = reference.run_with_tape(
            self._graph, self._frames.reshape(shape), schedule, execution.settings.stop_after,
            ids, dropout=dataclasses.replace(dropout, input=0),
        )  # fmt: skip
        self.spikes = record.all_spikes[:, execution.neurons]
        self.fired = record.all_spikes.any((0, 2))
        self.has_input = bool(frames.any())

    def backward(self, execution, loss, wanted, by_frames):
        whole = np.zeros((len(loss), self._graph.num_neurons, loss.shape[2]))
        whole[:, execution.neurons] = loss
        derivative = execution.integers.derivative(execution.surrogate, self._tape.voltage)
        found = definition.backward(
            self._graph, self._layered, self._frames, self._tape, derivative,
            np.moveaxis(whole, 1, 2), execution.reset,
        )  # fmt: skip
        return found.weights, found.bias, found.frames
