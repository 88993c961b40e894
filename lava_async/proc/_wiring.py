"""How processes are wired, and whether they can run.

Lava asks a process for its ``proc_params`` when it compiles the network: the wiring is
complete then, and no runtime has started. That is where ours look at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort, InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from lava_async import _dynamics as dyn
from lava_async._graph import _integers as check_integers
from lava_async.errors import GraphError, expected
from lava_async.proc import _messages

if TYPE_CHECKING:
    from lava_async.proc.lif.process import AsyncLIF


class WiredProcess(AbstractProcess):
    """A process whose models need to know how it is connected."""

    _runtime = None  # AbstractProcess.__del__ reads it even where __init__ refused

    @property
    def proc_params(self) -> Any:
        """Arguments for the model; once a model is chosen, with what `wiring` found."""
        if self._model_class is not None:
            for name, value in self.wiring().items():
                self._arguments.overwrite(name, value)
        return self._arguments

    @proc_params.setter
    def proc_params(self, arguments: Any) -> None:
        self._arguments = arguments
        self._model_class = None

    def wiring(self) -> dict[str, Any]:
        """What the model must know about the connections.

        Raises
        ------
        GraphError
            The process cannot run as it is connected.
        """
        raise NotImplementedError


class AsyncConnection(WiredProcess):
    """Base of the connections. One input and one output are used, of the same kind.

    Attributes
    ----------
    s_in : InPort, source shape
        Spike counts of a stock process, whole numbers >= 0, once per time step.
    a_out : OutPort, target shape
        Currents in weight units, once per time step, in the same time step.
    release_in : InPort
        Spikes that ``release_out`` of a population releases.
    forward_out : OutPort, (target size,)
        Currents in weight units, in every forward step in which the population released.
    synops : Var, (1,)
        Synaptic operations of the last time step.
    synops_out : OutPort, (1,)
        The same, once per time step, for a scheduler that adds them up.
    """

    def __init__(
        self, source_shape: Sequence[int], target_shape: Sequence[int], **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.s_in = InPort(shape=tuple(source_shape))
        self.a_out = OutPort(shape=tuple(target_shape))
        self.release_in = InPort(shape=_messages.SPIKES)
        self.forward_out = OutPort(shape=(self.a_out.size,))
        self.synops_out = OutPort(shape=(1,))
        self.synops = Var(shape=(1,), init=0)

    def wiring(self) -> dict[str, Any]:
        where = describe(self)
        found = sources(self.release_in)
        if bool(self.s_in.in_connections) == bool(found):
            raise GraphError(
                expected(where, "input", "either s_in or release_in connected",
                         "both" if found else "neither")
            )
        if not found:
            check_unconnected(self.forward_out, "connect a_out, as the input is s_in")
            if not self.a_out.out_connections:
                raise GraphError(expected(where, "a_out", "a target", "none"))
            return {"source": None}
        check_unconnected(self.a_out, "connect forward_out, as the input is release_in")
        if len(found) != 1 or found[0].name != "release_out":
            raise GraphError(
                expected(where, "release_in", "release_out of one AsyncLIF", names(found))
            )
        population = found[0].process
        if population.size != self.s_in.size:
            raise GraphError(
                expected(where, "source", f"a population of {self.s_in.size} neurons",
                         f"{population.size} of {describe(population)}")
            )
        if not targets(self):
            raise GraphError(expected(where, "forward_out", "forward_in of an AsyncLIF", "none"))
        return {"source": population.scheduler_of().index(population)}


def describe(process: AbstractProcess) -> str:
    """A process for messages, e.g. ``AsyncLIF 'hidden'``."""
    return f"{type(process).__name__} {process.name!r}"


def sources(port: AbstractPort) -> list[Any]:
    """Ports of other processes behind an input."""
    return list(port.get_src_ports())


def destinations(port: AbstractPort) -> list[Any]:
    """Ports of other processes behind an output."""
    return list(port.get_dst_ports())


def names(ports: Iterable[Any]) -> str:
    return ", ".join(f"{port.name} of {describe(port.process)}" for port in ports) or "none"


def check_unconnected(port: AbstractPort, advice: str) -> None:
    if port.out_connections or port.in_connections:
        others = [*destinations(port), *sources(port)]
        raise GraphError(
            expected(describe(port.process), port.name, f"no connection: {advice}", names(others))
        )


def targets(connection: AsyncConnection) -> list[AsyncLIF]:
    """Populations behind ``forward_out``."""
    found = destinations(connection.forward_out)
    wrong = [port for port in found if port.name != "forward_in"]
    if wrong:
        raise GraphError(
            expected(describe(connection), "forward_out", "forward_in of an AsyncLIF",
                     names(wrong))
        )
    return [port.process for port in found]


def within_time_step(population: AsyncLIF) -> list[AsyncLIF]:
    """Populations that wait for ``s_out`` of this one, as far as our own processes go."""
    found, waiting = [], destinations(population.s_out)
    while waiting:
        port = waiting.pop()
        if isinstance(port.process, AsyncConnection) and port.name == "s_in":
            waiting += destinations(port.process.a_out)
        elif port.name == "a_in" and hasattr(port.process, "release_out"):
            found.append(port.process)
    return found


def check_weights(where: str, weights: npt.ArrayLike) -> npt.NDArray[np.int16]:
    """Weights as integers in -256..254, or `GraphError`."""
    return check_integers(
        where, "weights", weights, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16
    )


def check_shape(
    where: str, what: str, shape: Sequence[int] | None, size: int
) -> tuple[int, ...]:
    """A port shape for so many neurons, flat by default."""
    shape = (size,) if shape is None else tuple(shape)
    if math.prod(shape) != size:
        raise GraphError(expected(where, what, f"{size} neurons, as in the weights", shape))
    return shape
