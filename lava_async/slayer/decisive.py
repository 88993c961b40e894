"""The decisive gradient in PyTorch: spikes by the compiled kernel, or by the definition.

Autograd sees one function, from the integers that run to the spikes that they make; how integers
come from parameters (quantisation, weight norm, …) is autograd's own business.
"""

from __future__ import annotations

import abc
import dataclasses
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._kernel import is_compiled, training
from lava_async._semantics import decisive as definition
from lava_async._semantics import dynamics as dyn
from lava_async._semantics import reference
from lava_async._semantics.connections import Sparse
from lava_async._semantics.decisive import Reset
from lava_async._semantics.kept import Kept, join
from lava_async._semantics.schedule import AsyncSchedule, LayerSync, Schedule
from lava_async._semantics.spatial import Kernel
from lava_async.slayer import delays, threads
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.inputs import lost
from lava_async.slayer.integers import READOUT_DERIVATIVE, Integers
from lava_async.slayer.settings import Settings
from lava_async.slayer.wiring import Wiring


class NotCounts(Exception):
    """The input is not of whole numbers in 0..2**24 - 1."""


def outcome(
    execution: Execution, x: Tensor, integers: Integers
) -> tuple[Tensor, Tensor | None]:
    """The spikes of a batch that has run, and its readout if there is one; differentiable.

    Parameters
    ----------
    execution : Execution
    x : (B, inputs, T)
        Its input.
    integers : Integers
        Its weights, biases, and decays and delays that learn.

    Returns
    -------
    spikes : (B, neurons, T) float32, on the CPU
    readout : (B, outputs, T) float32 or None
        In SLAYER's voltage units.
    """
    decays = [own for _, _, own in integers.learned_decays]
    found = (*integers.biases, *decays, *integers.delays)
    others = [own for own in found if own is not None]
    result: Any = _Outcome.apply(execution, x, *integers.by_edge, *others)
    return result


class _Outcome(torch.autograd.Function):
    """From an input, and integer weights, biases, decays and delays, to spikes and readout."""

    @staticmethod
    def forward(ctx, execution: Execution, x, *parameters):  # type: ignore[override]
        ctx.execution = execution
        # PyTorch lets go of what is saved when the graph is spent: the execution goes with it.
        saved = torch.empty(0)
        ctx.save_for_backward(saved)
        weakref.finalize(saved, execution.forget).atexit = False
        ctx.kinds = [(p.dtype, p.device) for p in (x, *parameters)]
        fired = torch.from_numpy(execution.spikes).to(torch.float32)
        if execution.voltage is None:
            return fired, None
        voltage = torch.from_numpy(execution.voltage).to(torch.float32)
        return fired, voltage / execution.integers.readout_unit

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_readout):  # type: ignore[override]
        _ = ctx.saved_tensors  # which says so if the graph is spent
        by_frames, *wanted = ctx.needs_input_grad[1:]
        execution: Execution = ctx.execution
        if grad_readout is not None:
            grad = execution.by_outcome(grad, grad_readout)
        loss = grad.detach().to("cpu", torch.float32).contiguous().numpy()
        found = execution.backward(loss, wanted, by_frames)
        if execution.watcher is not None:
            execution.watcher(loss, found[1 : 1 + execution.watched])
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
        Whether there may be a way back, or voltages are wanted.

    Attributes
    ----------
    spikes : (B, neurons, T) int8
    voltage : (B, outputs, T) int32 or None
        Of an output population that never fires, membrane units.
    fired : (N,) bool
        Which neurons fired at all.
    has_input : bool
    current : (B, T, N) int32
        At the end of each time step, membrane units; if the settings ask for them.
    left : Kept or None
        Where the samples can go on, if the settings say where they did.
    watcher : callable or None
        Sees the gradients of a way back: by the outcomes, and by weights, biases and decays as
        `outcome` takes them.
    watched : int
        How many these are.

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
        self.taped = taped or settings.with_currents
        self.watcher: Callable[[npt.NDArray, Sequence[npt.NDArray | None]], None] | None = None
        self.watched = len(integers.by_edge)
        self.watched += sum(own is not None for own in integers.biases)
        self.watched += len(integers.learned_decays)
        self._ids = ids
        self._parts: list[tuple[_Part, npt.NDArray[np.intp] | slice]] = []
        self._walked = False
        self._loaded: dict[bool, training.Loaded] = {}
        for schedule, where in _drawn(settings.schedule, ids):
            kind = _Compiled if is_compiled(schedule) else _Defined
            kept = None if settings.kept is None else settings.kept.of(where)
            self._parts.append((kind(self, schedule, frames[where], ids[where], kept), where))
        self.spikes = self._parts[0][0].spikes
        if len(self._parts) > 1:
            self.spikes = np.empty((len(ids), *self.spikes.shape[1:]), np.int8)
            for part, where in self._parts:
                self.spikes[where] = part.spikes
        self.voltage: npt.NDArray[np.int32] | None = None
        if integers.reads_out:
            size, steps = output.stop - output.start, self.spikes.shape[-1]
            self.voltage = np.empty((len(ids), size, steps), np.int32)
            for part, where in self._parts:
                self.voltage[where] = part.voltage[..., output].swapaxes(1, 2)
        self.fired = np.logical_or.reduce([part.fired for part, _ in self._parts])
        self.has_input = any(part.has_input for part, _ in self._parts)
        self.current = np.zeros((0, 0, 0), np.int32)
        if settings.with_currents:
            shape = len(ids), frames.shape[-1], pattern.num_neurons
            self.current = np.empty(shape, np.int32)
            for part, where in self._parts:
                self.current[where] = part.current
        self.left = join([(part.left, where) for part, where in self._parts], len(ids))

    def by_outcome(self, by_spikes: Tensor, by_readout: Tensor) -> Tensor:
        """The loss's gradient (B, neurons, T) by the outcome of each neuron."""
        pattern = self.wiring.pattern
        output = pattern.slice(pattern.output)
        result = by_spikes.clone()
        here = slice(output.start - self.neurons.start, output.stop - self.neurons.start)
        factor = self.integers.readout_unit * READOUT_DERIVATIVE
        result[:, here] = by_readout / factor
        return result

    def backward(
        self, loss: npt.NDArray[np.float32], wanted: Sequence[bool], by_frames: bool
    ) -> list[npt.NDArray | None]:
        """Gradients by frames, and by weights, biases, decays and delays as `spikes` takes them.

        None where they are not wanted.
        """
        edges, pattern = len(self.integers.by_edge), self.wiring.pattern
        late = iter(wanted[self.watched :])
        learning = [own is not None and next(late) for own in self.integers.delays]
        total: list[npt.NDArray | None] = [None] * (1 + len(wanted))
        self._walked = True
        if by_frames:
            total[0] = np.zeros((len(loss), int(np.prod(pattern.input_shape)), loss.shape[2]))
        for part, where in self._parts:
            found = part.backward(self, loss[where], wanted[:edges], learning, by_frames)
            for i, g in enumerate(self._as_taken(found)):
                if wanted[i] and g is not None:
                    before = total[1 + i]
                    total[1 + i] = g if before is None else before + g
            if total[0] is not None and found.frames is not None:
                total[0][where] = found.frames
        if total[0] is not None and self.settings.dropout.input:
            index, time_step = np.indices(total[0].shape[1:])
            ids = self._ids[:, None, None]
            time_step += self.settings.first_step
            total[0][self.settings.dropout.input_lost(ids, time_step, index)] = 0
        return total

    def _as_taken(self, found: _Gradients) -> Iterator[npt.NDArray | None]:
        """By weights, biases, decays and delays as `spikes` takes them."""
        slices, integers = self.wiring.pattern.slice, self.integers
        yield from found.weights
        for p, own in enumerate(integers.biases):
            if own is not None and found.bias is not None:
                yield _shared(found.bias[slices(p)], own)
        for p, which, own in integers.learned_decays:
            if found.decays is not None:
                yield _shared(found.decays[which][slices(p)], own)
        for p, own in enumerate(integers.delays):
            if own is not None and found.delay is not None:
                yield found.delay[slices(p)]

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


def _shared(gradient: npt.NDArray, numbers: Tensor) -> npt.NDArray:
    """The gradient of a population's biases or decays, which may be one for all."""
    return gradient if numbers.numel() == len(gradient) else gradient.sum(keepdims=True)


class _Gradients(NamedTuple):
    """What a way back finds. None where nobody asked, or there is nothing of the kind."""

    weights: Sequence[npt.NDArray | None]  # of each connection
    bias: npt.NDArray | None  # (N,)
    decays: Sequence[npt.NDArray] | None  # of current and voltage, (N,) each
    delay: npt.NDArray | None  # (N,)
    frames: npt.NDArray | None  # (B, inputs, T)


class _Part(abc.ABC):
    """Some samples of an execution, under one schedule.

    It holds no reference to the execution: what is under way goes when it is done with, not when
    the garbage collector finds a circle.
    """

    spikes: npt.NDArray[np.int8]
    fired: npt.NDArray[np.bool_]  # (N,) which neurons did
    has_input: bool
    current: npt.NDArray[np.int32]  # (B, T, N), if anyone looks at it
    left: Kept | None  # where the samples can go on, if neurons persist

    @property
    @abc.abstractmethod
    def voltage(self) -> npt.NDArray[np.int32]:
        """(B, T, N) that decided, membrane units; of an execution that is taped."""

    @abc.abstractmethod
    def backward(
        self, execution: Execution, loss: npt.NDArray[np.float32], wanted: Sequence[bool],
        learning: Sequence[bool], by_frames: bool,
    ) -> _Gradients:  # fmt: skip
        """Those of the weights that are wanted, of biases and decays where any learn.

        Of delays where those of some population learn, and by frames where they are asked for.
        """


class _Compiled(_Part):
    """By the kernel."""

    def __init__(
        self, execution: Execution, schedule: LayerSync | AsyncSchedule, frames: npt.NDArray,
        ids: npt.NDArray[np.int64], kept: Kept | None,
    ):  # fmt: skip
        settings, neurons = execution.settings, execution.neurons
        self._layered = schedule.layered
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
            with_currents=settings.with_currents
            or (execution.taped and bool(execution.integers.learned_decays)),
            kept=kept,
            team=threads.team(settings.num_threads),
        )
        if self._ran.bad is not None:
            raise NotCounts
        self.spikes = self._ran.spikes
        self.fired, self.has_input = self._ran.fired, self._ran.has_input
        self.current = self._ran.current
        self.left = self._ran.left

    @property
    def voltage(self):
        return self._ran.voltage

    def backward(self, execution, loss, wanted, learning, by_frames):
        ran = self._ran
        surrogate = execution.integers.surrogate(execution.surrogate, ran.voltage)
        found = ran.backward(
            np.ascontiguousarray(loss), surrogate, reset=execution.reset, wanted=wanted,
            by_bias=any(own is not None for own in execution.integers.biases),
            by_decays=bool(execution.integers.learned_decays),
            by_frames=by_frames, by_current=any(learning),
        )  # fmt: skip
        delay, wiring = None, execution.wiring
        if found.current is not None:
            delay = delays.by_targets(
                wiring.pattern, self._layered, wiring.edges, execution.integers.by_edge,
                found.current, ran.sent, learning,
            )  # fmt: skip
        return _Gradients(found.weights, found.bias, found.decays, delay, found.frames)


class _Defined(_Part):
    """By the readable definition, which takes any schedule."""

    def __init__(
        self, execution: Execution, schedule: LayerSync | AsyncSchedule, frames: npt.NDArray,
        ids: npt.NDArray[np.int64], kept: Kept | None,
    ):  # fmt: skip
        self._layered = isinstance(schedule, LayerSync)
        graph = execution.integers.graph()
        # A weight for each synapse, as edges have it.
        self._graph = graph.replace(
            connections=tuple(
                Sparse(c.source, c.target, c.all_synapses(graph.source_shape(c)), delay=c.delay)
                if isinstance(c, Kernel) else c
                for c in graph.connections
            )
        )
        dropout = execution.settings.dropout
        self._frames = frames.astype(np.int64)
        if dropout.input:
            first_step = execution.settings.first_step
            self._frames[lost(self._frames, ids, dropout, first_step)] = 0
        shape = (len(frames), *self._graph.input_shape, frames.shape[-1])
        record, self._tape = reference.run_with_tape(
            self._graph, self._frames.reshape(shape), schedule, execution.settings.stop_after,
            ids, dropout=dataclasses.replace(dropout, input=0), kept=kept,
        )  # fmt: skip
        self.spikes = record.all_spikes[:, execution.neurons]
        self.fired = record.all_spikes.any((0, 2))
        self.has_input = bool(frames.any())
        self.current = self._tape.current
        self.left = self._tape.left

    @property
    def voltage(self):
        return self._tape.voltage

    def backward(self, execution, loss, wanted, learning, by_frames):
        whole = np.zeros((len(loss), self._graph.num_neurons, loss.shape[2]))
        whole[:, execution.neurons] = loss
        derivative = execution.integers.derivative(execution.surrogate, self._tape.voltage)
        found = definition.backward(
            self._graph, self._layered, self._frames, self._tape, derivative,
            np.moveaxis(whole, 1, 2), execution.reset,
        )  # fmt: skip
        by_decays = [-g / dyn.DECAY_ONE for g in (found.decay_u, found.decay_v)]
        return _Gradients(found.weights, found.bias, by_decays, found.delay, found.frames)
