"""What all connections share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort

from lava_async.errors import GraphError
from lava_async.proc import _messages
from lava_async.proc._population import AsyncPopulation
from lava_async.proc._ports import (
    ForwardIn,
    ForwardOut,
    InPort,
    OutPort,
    ReleaseIn,
    ReleaseOut,
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
    name : str, optional
    arguments
        For the process model.

    Attributes
    ----------
    s_in : InPort, source shape
        Spike counts of a stock process, whole numbers >= 0, once per time step.
    a_out : OutPort, target shape
        Currents in weight units, 32-bit integers, once per time step, in the same time step.
    release_in : ReleaseIn
        Spikes that ``release_out`` of a population releases.
    forward_out : ForwardOut, (target size,)
        Currents in weight units, in every forward step in which the population released.
    synops : Var, (1,)
        Synaptic operations of the last time step.
    synops_out : SynopsOut, (1,)
        The same, once per time step, for a scheduler that adds them up.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        input_shape: Sequence[int] | None,
        output_shape: Sequence[int] | None,
        name: str | None,
        **arguments: Any,
    ) -> None:
        where = name or type(self).__name__
        source_shape = _check_shape(where, "input_shape", input_shape, sizes[1])
        target_shape = _check_shape(where, "output_shape", output_shape, sizes[0])
        super().__init__(name=name, **arguments)
        self.s_in = InPort(shape=source_shape)
        self.a_out = OutPort(shape=target_shape)
        self.release_in = ReleaseIn(shape=_messages.SPIKES)
        self.forward_out = ForwardOut(shape=(self.a_out.size,))
        self.synops_out = SynopsOut(shape=(1,))
        self.synops = CheckedVar((1,), 0, COUNT)

    def wiring(self) -> dict[str, Any]:
        where = describe(self)
        found = sources(self.release_in)
        if bool(self.s_in.in_connections) == bool(found):
            raise GraphError(
                where, "input", "either s_in or release_in connected",
                "both" if found else "neither",
            )
        if not found:
            check_frames(self.s_in)
            _check_unconnected(self.forward_out, "connect a_out, as the input is s_in")
            if not self.a_out.out_connections:
                raise GraphError(where, "a_out", "a target", "none")
            return {"number": None}
        _check_unconnected(self.a_out, "connect forward_out, as the input is release_in")
        if not self.targets():
            raise GraphError(where, "forward_out", "forward_in of an AsyncLIF", "none")
        return {"number": self.source().group().number(self)}

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
        return [port.process for port in destinations(self.forward_out)]

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        return {self.a_out: [self.s_in], self.synops_out: [self.s_in]}


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
