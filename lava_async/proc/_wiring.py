"""How processes are wired, and whether they can run.

Lava asks a process for its ``proc_params`` when it compiles the network: the wiring is
complete then, and no runtime has started. That is where ours look at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort
from lava.magma.core.process.ports.ports import InPort as LavaInPort
from lava.magma.core.process.ports.ports import OutPort as LavaOutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.io.source import RingBuffer

from lava_async._semantics.checks import integers as check_integers
from lava_async.errors import GraphError
from lava_async.proc._ports import describe, destinations, sources

_INT32 = np.iinfo(np.int32)

# Stock models that send in a time step only after they have received in it. Stock connections
# send first, so that no circle through them waits for itself. Of others nothing is known.
_RECEIVE_FIRST = {
    f"lava.proc.{name}.models"
    for name in ("atrlif", "graded", "lif", "prodneuron", "resfire", "rf", "rf_iz", "s4d", "sdn")
}


class WiredProcess(AbstractProcess):
    """A process that looks at its connections before it runs."""

    _runtime = None  # AbstractProcess.__del__ reads it even where __init__ refused

    @property
    def proc_params(self) -> Any:
        """Arguments for the model; once a model is chosen, with what `wiring` found.

        ``where`` is the process in messages of the model.
        """
        if self._model_class is not None:
            for name, value in {"where": describe(self), **self.wiring()}.items():
                self._arguments.overwrite(name, value)
            _check_source_data(self)
            _check_circles(self)
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

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        """For each output that is sent once per time step, the inputs that must come before."""
        raise NotImplementedError


def _check_source_data(process: AbstractProcess) -> None:
    """Refuse what a stock source of integers would cut to integers and say nothing."""
    ports: list[Any] = process.in_ports.members
    for port in ports:
        for source in (peer.process for peer in sources(port)):
            if type(source) is not RingBuffer:
                continue
            model: Any = source.model_class
            data = np.asarray(source.data.init)
            if np.issubdtype(model.data.d_type, np.integer) and data.dtype != bool:
                where = f"{describe(process)}: {port.name}: {describe(source)}"
                check_integers(where, "data", data, _INT32.min, _INT32.max, np.int64)


def _check_circles(process: AbstractProcess) -> None:
    """Refuse processes, anywhere in the program, that wait for each other's time step."""
    graph: dict[AbstractPort, list[Any]] = {}
    for member in _program(process):
        for output, inputs in _awaited(member).items():
            graph[output] = list(inputs)
            graph.update((port, sources(port)) for port in inputs)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise GraphError(
            "time step", "processes that wait for each other in a circle",
            "none, or between them a connection of ours with a delay for all its sources or a "
            "stock Dense, Conv or Sparse, which send before they receive (within one scheduler: "
            "release_out and forward_in)",
            _name_circle(error.args[1][1:]),
        ) from None


def _awaited(process: AbstractProcess) -> Mapping[Any, Sequence[AbstractPort]]:
    if isinstance(process, WiredProcess):
        return process.awaited()
    if process.model_class.__module__ in _RECEIVE_FIRST:
        inputs: Any = process.in_ports.members
        return {output: inputs for output in process.out_ports.members}
    return {}


def _program(process: AbstractProcess) -> list[AbstractProcess]:
    """This process and all that messages connect with it."""
    found, seen = [process], {process}
    for member in found:  # grows meanwhile
        ports: list[Any] = [*member.in_ports.members, *member.out_ports.members]
        for port in ports:
            for peer in (*sources(port), *destinations(port)):
                if peer.process not in seen:
                    seen.add(peer.process)
                    found.append(peer.process)
    return found


def _name_circle(ports: list[AbstractPort]) -> str:
    """The processes along a circle of ports, from the oldest process that sends in it."""
    senders = [i for i, port in enumerate(ports) if isinstance(port, LavaOutPort)]
    start = min(senders, key=lambda i: ports[i].process.id)
    ports = ports[start:] + ports[:start]
    path = [ports[0].process]
    for port, following in zip(ports, ports[1:] + ports[:1], strict=True):
        # A message, which may be one to itself, or two populations of one scheduler.
        if isinstance(following, LavaInPort) or following.process is not port.process:
            path.append(following.process)
    return " -> ".join(map(describe, path))
