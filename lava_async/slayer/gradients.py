"""The two gradients, each with the forward pass that it needs, behind one face."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._kernel import is_compiled
from lava_async._semantics import random
from lava_async._semantics.decisive import RESETS, Reset
from lava_async._semantics.kept import Kept, join
from lava_async._semantics.schedule import Schedule
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import decisive, devices, norms
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.forward import ForwardPass
from lava_async.slayer.inputs import as_counts, check_counts, kept
from lava_async.slayer.integers import Integers
from lava_async.slayer.rules import Carried, Rules
from lava_async.slayer.settings import Settings
from lava_async.slayer.taking_part import take_part
from lava_async.slayer.wiring import Wiring

_MAX_FORWARD_STEPS = 1000


@dataclass(frozen=True)
class Ran:
    """A batch that has run.

    Attributes
    ----------
    spikes : (B, neurons, T)
        Of all neurons, or of the output population; differentiable.
    fired : (N,) bool or None
        Which neurons fired at all; None if that is not known, or there was no input.
    execution : Execution or None
        Which brings the gradients of all integers; None if autograd's own steps do.
    current : (B, T, N) int32 or None
        At the end of each time step, membrane units; if the settings ask for them.
    readout : (B, outputs, T) or None
        Voltages of an output population that never fires, in SLAYER's units; differentiable.
    left : Kept or None
        Where the samples can go on, if the settings say where they did.
    """

    spikes: Tensor
    fired: npt.NDArray[np.bool_] | None
    execution: decisive.Execution | None
    current: npt.NDArray[np.int32] | None = None
    readout: Tensor | None = None
    left: Kept | None = None


class Gradient(abc.ABC):
    """A gradient of the spikes by the weights."""

    name: ClassVar[str]

    @abc.abstractmethod
    def run(
        self, wiring: Wiring, integers: Integers, settings: Settings, x: Tensor,
        ids: npt.NDArray[np.int64], everyone: bool,
    ) -> Ran:  # fmt: skip
        """Run a batch.

        Parameters
        ----------
        wiring : Wiring
        integers : Integers
        settings : Settings
        x : (B, *input_shape, T)
        ids : (B,) int64
        everyone : bool
            Whether the spikes of all neurons are wanted, or those of the output population.

        Raises
        ------
        ValidationError
            ``x`` is not of whole numbers >= 0.
        """

    @abc.abstractmethod
    def remarks(self, settings: Settings, device: torch.device, learns: bool) -> list[str]:
        """What a user should know of how this runs, and whether what was asked for has effect.

        ``device`` is the tensors', ``learns`` whether there will be a way back.
        """


@dataclass(frozen=True)
class Decisive(Gradient):
    """Through the outcome of each neuron and time step; compiled."""

    name = "decisive"
    reset: Reset
    surrogate: surrogates.Surrogate

    def run(self, wiring, integers, settings, x, ids, everyone):
        if settings.dropout.refractory:
            raise _belongs_to_unrolled("refractory_dropout", settings.dropout.refractory)
        if not all(is_compiled(part) for part in settings.schedule.parts):
            check_counts(x)  # which the kernel does itself
        flat = x.flatten(1, -2)
        try:
            execution = decisive.Execution(
                wiring, integers, settings, self.reset, self.surrogate, as_counts(flat), ids,
                everyone, integers.reads_out
                or (torch.is_grad_enabled() and _requires_grad(flat, integers)),
            )  # fmt: skip
        except decisive.NotCounts:
            check_counts(x)
            raise
        fired = execution.fired if execution.taped and execution.has_input else None
        spikes, readout = decisive.outcome(execution, flat, integers)
        current = execution.current if settings.with_currents else None
        return Ran(spikes, fired, execution, current, readout, execution.left)

    def remarks(self, settings, device, learns):
        return devices.remark(device)


def _requires_grad(x: Tensor, integers: Integers) -> bool:
    found = [w for own in integers.weights for w in own]
    found += [delay for delay in integers.delays if delay is not None]
    return x.requires_grad or any(tensor.requires_grad for tensor in found)


@dataclass(frozen=True)
class Unrolled(Gradient):
    """Autograd through every forward step; the published method."""

    name = "unrolled"
    rules: Rules
    max_forward_steps: int
    asked: tuple[str, ...] = ()
    """Arguments of `Network` that were given, and that `LayerSync` has no use for."""

    def run(self, wiring, integers, settings, x, ids, everyone):
        if torch.is_grad_enabled():
            _refuse_learned_delays(wiring, integers)
        if settings.with_currents:
            where = next(own.where for own in wiring.layers if norms.learns(own.neuron.norm))
            wanted = 'one with update = False, or gradient="decisive"'
            raise UnsupportedError(where, "neuron norm", wanted, "one that learns its statistics")
        highest = check_counts(x)
        dtype = integers.by_edge[0].dtype
        frames = x.to(dtype).flatten(1, -2)
        if settings.dropout.input:
            frames = frames * kept(frames, ids, settings.dropout, settings.first_step)
        forward = ForwardPass(
            wiring, integers, self.rules, settings.dropout, self.max_forward_steps, highest, dtype
        )
        (*spikes, readout), left = _under(settings.schedule, forward, frames, ids, settings.kept)
        wanted = torch.cat(spikes, 1) if everyone else spikes[wiring.pattern.output]
        if not integers.reads_out:
            readout = None
        if torch.is_grad_enabled():
            others = [w for own in integers.weights for w in own if w.requires_grad]
            wanted = take_part(wanted, others)
            readout = None if readout is None else take_part(readout, others)
        fired = torch.cat([own.detach().amax((0, 2)) for own in spikes]).cpu().numpy() > 0
        fires = fired if highest else None
        return Ran(wanted, fires, execution=None, readout=readout, left=left)

    def remarks(self, settings, device, learns):
        asked = self.asked
        if settings.dropout.refractory:
            asked = ("refractory_dropout", *asked)
        if not (learns and asked) or settings.schedule.asynchronous:
            return []
        return [
            f'Network: {", ".join(asked)}: without effect under LayerSync, which with '
            'gradient="unrolled" is SLAYER\'s own method. Leave out what has no effect, or train '
            'with gradient="decisive", whose reset and surrogate hold under every schedule.'
        ]


def _refuse_learned_delays(wiring: Wiring, integers: Integers) -> None:
    for layer, delay in zip(wiring.layers, integers.delays, strict=True):
        if delay is not None and delay.requires_grad:
            wanted = 'one that stays (block.delay.requires_grad_(False)), or gradient="decisive"'
            raise UnsupportedError(layer.where, "delay", wanted, "one that learns")


def _under(
    schedule: Schedule, forward: ForwardPass, x: Tensor, ids: npt.NDArray[np.int64],
    kept: Kept | None,
) -> tuple[list[Tensor], Kept | None]:  # fmt: skip
    """As `ForwardPass.run`; samples of a mixture, each with its own schedule."""
    drawn = schedule.draw(ids)
    parts = [(part, np.flatnonzero(drawn == i)) for i, part in enumerate(schedule.parts)]
    found = [
        (
            forward.run(
                x if len(here) == len(x) else x[here], ids[here], part,
                None if kept is None else kept.of(here),
            ),
            here,
        )
        for part, here in parts
        if len(here)
    ]  # fmt: skip
    joined = join([(left, here) for (_, left), here in found], len(x))
    if len(found) == 1:
        return found[0][0][0], joined
    order = np.argsort(np.concatenate([here for _, here in found]))
    spikes = zip(*(s for (s, _), _ in found), strict=True)
    return [torch.cat(parts)[order] for parts in spikes], joined


def choose(
    gradient: str,
    reset: str | None,
    surrogate: str | surrogates.Surrogate,
    refractory_dropout: float,
    credit: Carried | None,
    detach_reset: bool,
    max_forward_steps: int | None,
) -> Gradient:
    """The gradient that the arguments of `Network` ask for.

    Raises
    ------
    ValidationError
        They are wrong, or do not go together.
    """
    function = surrogates.resolve(surrogate)
    if credit is not None and not isinstance(credit, Carried):
        raise ValidationError("Network", "credit", "a Carried", repr(credit))
    if max_forward_steps is not None and (
        isinstance(max_forward_steps, bool)
        or not isinstance(max_forward_steps, int)
        or not 1 <= max_forward_steps <= random.MAX_FORWARD_STEP
    ):
        raise ValidationError(
            "Network", "max_forward_steps", f"an integer in 1..{random.MAX_FORWARD_STEP}",
            repr(max_forward_steps),
        )
    if gradient not in (Decisive.name, Unrolled.name):
        wanted = f"{Decisive.name!r} or {Unrolled.name!r}"
        raise ValidationError("Network", "gradient", wanted, repr(gradient))
    if detach_reset and reset not in (None, "detached"):
        raise ValidationError("Network", "reset", '"detached", as detach_reset says', repr(reset))
    if detach_reset:
        reset = "detached"
    if reset is not None and reset not in RESETS:
        raise ValidationError("Network", "reset", f"one of {', '.join(RESETS)}", repr(reset))
    if gradient == Decisive.name:
        others: list[tuple[str, Any]] = [
            ("refractory_dropout", refractory_dropout), ("credit", credit),
            ("max_forward_steps", max_forward_steps),
        ]
        for what, value in others:
            if value:
                raise _belongs_to_unrolled(what, value)
        return Decisive(reset or "through", function)
    if reset == "through":
        wanted = '"detached" or "full", or gradient="decisive"'
        raise ValidationError("Network", "reset", wanted, repr(reset))
    asked = {
        "reset": reset is not None,
        "surrogate": function is not surrogates.slayer,
        "credit": credit is not None,
        "max_forward_steps": max_forward_steps is not None,
    }
    rules = Rules(Carried() if credit is None else credit, function, reset == "detached")
    return Unrolled(
        rules,
        _MAX_FORWARD_STEPS if max_forward_steps is None else max_forward_steps,
        tuple(name for name, given in asked.items() if given),
    )


def _belongs_to_unrolled(what: str, value: Any) -> ValidationError:
    wanted = 'none, or gradient="unrolled", to which it belongs'
    return ValidationError("Network", what, wanted, repr(value))
