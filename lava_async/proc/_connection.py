"""What all connections share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort

from lava_async._semantics.connections import Connection
from lava_async.errors import GraphError, UnsupportedError
from lava_async.proc import _messages
from lava_async.proc._delay import check_delays
from lava_async.proc._population import AsyncPopulation
from lava_async.proc._ports import (
    ForwardIn,
    ForwardOut,
    InPort,
    OutPort,
    ReleaseIn,
    ReleaseOut,
    ResetIn,
    ResetOut,
    SynopsOut,
    check_frames,
    check_peers,
    check_tuple,
    describe,
    destinations,
    names,
    sources,
)
from lava_async.proc._vars import COUNT, WEIGHT, CheckedVar, Ints
from lava_async.proc._wiring import WiredProcess


class AsyncConnection(WiredProcess):
    """Base of the connections. One input and one output are used, of the same kind.

    Parameters
    ----------
    sizes : (target size, source size)
    input_shape, output_shape : tuple of int, optional
        Shapes of ``s_in`` and ``a_out``, (W, H, C) or (n,); flat by default.
    delay : int or (source size,) array of int
        Axonal delay in time steps, 0..62, for all sources or for each, in C order of (C, H, W).
        So much later a spike of ``s_in`` leaves through ``a_out``, and one that a population
        released arrives, with the input of that time step.
    name : str, optional
    arguments
        For the process model.

    Attributes
    ----------
    s_in : InPort, source shape
        Spike counts of a stock process, whole numbers >= 0, once per time step.
    a_out : OutPort, target shape
        Currents in weight units, 32-bit integers, once per time step: of the spikes of the same
        time step, where there is no delay.
    release_in : ReleaseIn
        Spikes that ``release_out`` of a population releases.
    forward_out : ForwardOut, (target size,)
        Currents in weight units, in every forward step in which the population released what
        arrives at once; with a delay also at the start of each time step.
    reset_in : ResetIn, (1,)
        ``reset_out`` of the scheduler of the populations behind ``a_out``. Needed where there is
        a delay, because a reset empties what is under way. (A population tells of its scheduler's
        resets by itself.)
    delays : (source size,) int64, or None
        Delay of each source; None where none has any.
    synops : Var, (1,)
        Synaptic operations of the last time step, in which the spikes came or were released.
    synops_out : SynopsOut, (1,)
        The same, once per time step, for a scheduler that adds them up.
    """

    WEIGHTS = "weights"  # name of the Var

    def __init__(
        self,
        sizes: tuple[int, ...],
        input_shape: Sequence[int] | None,
        output_shape: Sequence[int] | None,
        delay: npt.ArrayLike,
        name: str | None,
        **arguments: Any,
    ) -> None:
        where = name or type(self).__name__
        source_shape = _check_shape(where, "input_shape", input_shape, sizes[1])
        target_shape = _check_shape(where, "output_shape", output_shape, sizes[0])
        delays = check_delays(where, "delay", delay, sizes[1])
        super().__init__(name=name, delays=delays, **arguments)
        self.delays = delays
        self.s_in = InPort(shape=source_shape)
        self.a_out = OutPort(shape=target_shape)
        self.release_in = ReleaseIn(shape=_messages.SPIKES)
        self.forward_out = ForwardOut(shape=(self.a_out.size,))
        self.reset_in = ResetIn(shape=(1,))
        self.synops_out = SynopsOut(shape=(1,))
        self.synops = CheckedVar((1,), 0, COUNT)

    @property
    def delay(self) -> int | npt.NDArray[np.uint8]:
        """As connections of a graph have it."""
        return 0 if self.delays is None else self.delays.astype(np.uint8)

    def wiring(self) -> dict[str, Any]:
        found = sources(self.release_in)
        if bool(self.s_in.in_connections) == bool(found):
            raise GraphError(
                describe(self), "input", "either s_in or release_in connected",
                "both" if found else "neither",
            )
        if found:
            self.check_released()
            group = self.source().group()
            number, compiled = group.number(self), group.compiled()
            member = None if compiled is None else compiled.shared.connections[number]
            return {"number": number, "member": member}
        self._wire_frames()
        return {"number": None, "member": None}

    def check_released(self) -> None:
        """Refuse what does not fit between populations of one scheduler."""
        _check_unconnected(self.a_out, "connect forward_out, as the input is release_in")
        _check_unconnected(self.reset_in, "the source tells of resets, as the input is release_in")
        if not self.targets():
            raise GraphError(describe(self), "forward_out", "forward_in of an AsyncLIF", "none")

    def _wire_frames(self) -> None:
        """Among stock processes."""
        where = describe(self)
        check_frames(self.s_in)
        _check_unconnected(self.forward_out, "connect a_out, as the input is s_in")
        found = destinations(self.a_out)
        if not found:
            raise GraphError(where, "a_out", "a target", "none")
        check_peers(
            self.reset_in, "reset_out of a scheduler", lambda port: isinstance(port, ResetOut)
        )
        if self.delays is None:
            return
        told = [port.process for port in sources(self.reset_in)]
        for population in (port.process for port in found):
            if not isinstance(population, AsyncPopulation):
                continue
            scheduler = population.group().scheduler
            if not any(scheduler is process for process in told):
                raise GraphError(
                    where, "reset_in",
                    f"reset_out of {describe(scheduler)}, as its resets empty what is under way",
                    names(sources(self.reset_in)),
                )

    def source(self) -> AsyncPopulation:
        """The population behind ``release_in``."""
        where, found = describe(self), sources(self.release_in)
        if len(found) != 1 or not isinstance(found[0], ReleaseOut):
            raise GraphError(where, "release_in", "release_out of one AsyncLIF", names(found))
        population: Any = found[0].process
        if population.size != self.s_in.size:
            raise GraphError(
                where, "source", f"a population of {self.s_in.size} neurons",
                f"{population.size} of {describe(population)}",
            )
        return population

    def targets(self) -> list[AsyncPopulation]:
        """The populations behind ``forward_out``."""
        check_peers(
            self.forward_out, "forward_in of an AsyncLIF",
            lambda port: isinstance(port, ForwardIn),
        )
        found = [port.process for port in destinations(self.forward_out)]
        if len(set(found)) < len(found):
            raise GraphError(
                describe(self), "forward_out", "each population once",
                names(destinations(self.forward_out)),
            )
        return found

    def lower(
        self,
        source: int,
        target: int,
        weights: Ints,
        source_shape: tuple[int, ...],
        target_shape: tuple[int, ...],
    ) -> Connection:
        """The same for the compiled kernel. Other connections exchange messages.

        source, target : places of the populations.
        weights : what the Var holds now.
        source_shape, target_shape : of the populations, (W, H, C) or (n,).
        """
        raise UnsupportedError(
            describe(self), "compiled kernel", "a connection of ours", type(self).__name__
        )

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        ahead = self.delays is not None and self.delays.all()
        return {self.a_out: [] if ahead else [self.s_in], self.synops_out: [self.s_in]}


def check_weights(where: str, weights: npt.ArrayLike, dimensions: int) -> Ints:
    """Weights as integers in -256..254, or `GraphError`."""
    checked = WEIGHT.check(where, "weights", weights)
    if checked.ndim != dimensions:
        raise GraphError(where, "weight dimensions", dimensions, checked.ndim)
    return checked


def _check_unconnected(port: AbstractPort, advice: str) -> None:
    check_peers(port, f"no connection: {advice}", lambda _: False)


def _check_shape(
    where: str, what: str, shape: Sequence[int] | None, size: int
) -> tuple[int, ...]:
    """A port shape for so many neurons, flat by default."""
    checked = (size,) if shape is None else check_tuple(where, what, shape)
    if math.prod(checked) != size:
        raise GraphError(where, what, f"{size} neurons, as in the weights", checked)
    return checked
