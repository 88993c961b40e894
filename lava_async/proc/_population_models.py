"""What the process models of all populations share: their part in a time step."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_async.proc._delay import DelayLine
from lava_async.proc._frames import receive_frame
from lava_async.proc._member_models import AbstractPyMemberModel
from lava_async.proc._messages import (
    BEGIN,
    END,
    EVALUATE,
    LAYERED,
    RELEASE,
    RESET,
    receive,
    send,
)
from lava_async.proc._population import Route
from lava_async.proc._shared import Member
from lava_async.proc._vars import Ints, Range, check_vars

_INT32 = np.iinfo(np.int32)


class AbstractPyPopulationModel(AbstractPyMemberModel):
    """Messages of a population; its neurons are a subclass.

    A subclass defines `_clear`, `_begin` and `_receive`. Its Vars are checked in `_take_over_vars`.
    """

    RANGES: ClassVar[Mapping[str, Range]]

    a_in: Any = None
    s_out: Any = None
    forward_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    release_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    request_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    grant_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._index: int = proc_params["index"]
        self._offsets: Ints = proc_params["offsets"]
        self._routes: list[Route] = proc_params["routes"]
        # Whether spikes of this population may be under way.
        self._delays = any(r.source == self._index and r.late is not None for r in self._routes)
        order = proc_params["order"]
        self._later = {p for p in order if order.index(p) >= order.index(self._index)}
        self._inputs: list[tuple[Route, Any]] = []
        size = int(self._offsets[self._index + 1] - self._offsets[self._index])
        self._fired = np.zeros(size, bool)  # in this time step, so refractory
        self._overflows = 0
        self._known: dict[str, Ints] = {}  # state and parameters as last checked
        delays = proc_params["output_delays"]
        self._output = None if delays is None else DelayLine(delays)
        # Layer synchronization: what came over recurrent connections waits for the next time
        # step. Otherwise unused.
        self._late = np.zeros(size, np.int64)

    @abc.abstractmethod
    def _clear(self) -> None:
        """Zero the state."""

    @abc.abstractmethod
    def _begin(self, arriving: Ints, everyone: bool) -> None:
        """Begin the time step with its first currents (size,), and `_request`.

        Where not everyone is asked, only neurons whom anything reaches may fire.
        """

    @abc.abstractmethod
    def _receive(self, arriving: Ints) -> None:
        """Add later currents (size,), and `_request`."""

    def _run_outside(self, member: Member) -> None:
        if member.ready is not None:
            member.ready.src_port.send(self._receive_frame())
        if member.done is not None:
            told = member.done.dst_port.recv()
            reset, self._fired[:] = told[0], told[1:]
            if reset and self._output is not None:
                self._output.clear()
            self._send_output()

    def _run_by_messages(self) -> None:
        """As many evaluations as the scheduler leads to."""
        if self.time_step == 1:
            self._meet()
            self._take_over_vars()
        _, flags, _ = receive(self.grant_in.csp_ports[0])
        reset = bool(flags & RESET)
        if reset:
            self._forget()
        if any(getattr(self, name) is not value for name, value in self._known.items()):
            self._take_over_vars()  # a RefPort replaces the array and says nothing
        self._fired[:] = False
        self._overflows = 0
        arriving = self._receive_first(reset)
        if flags & LAYERED:
            self._run_layered(arriving)
        else:
            self._run_asynchronous(arriving)
        send(self.release_out.csp_ports, END)
        self._send_output()

    def _forget(self) -> None:
        """A sample begins: zero the state, empty what is under way."""
        self._clear()
        self._late[:] = 0
        if self._output is not None:
            self._output.clear()
        if self._delays:
            send(self.release_out.csp_ports, BEGIN)

    def _receive_first(self, reset: bool) -> Ints:
        """Currents (size,) that arrive with the input: the frame, and those that were delayed."""
        arriving = self._receive_frame()
        for route, channel in self._inputs:
            if route.late is not None:
                current = channel.recv()
                if not reset:  # sent before the reset was known
                    arriving += current
        return arriving

    def _receive_frame(self) -> Ints:
        frame = receive_frame(
            self.a_in, f"{self._where}: a_in", self.time_step, _INT32.min, _INT32.max
        )
        return frame.astype(np.int64)

    def _send_output(self) -> None:
        spikes = self._fired
        if self._output is not None:
            spikes = self._output.exchange(spikes, self.time_step)
        self.s_out.send(spikes.reshape(self.a_in._shape[::-1]).T.astype(self.s_out._d_type))

    def _ranges(self) -> Mapping[str, Range]:
        return self.RANGES

    def _take_over_vars(self) -> None:
        self._known = check_vars(self, self._where, self.RANGES)
        for name, value in self._known.items():
            setattr(self, name, value)

    def _meet(self) -> None:
        """Tell the scheduler who this is, and which of its channels leads here; learn which
        connection is behind which channel."""
        channel, _, _ = receive(self.grant_in.csp_ports[0])
        send(self.request_out.csp_ports, self._index, channel)
        self._inputs = [(self._routes[int(c.recv()[0])], c) for c in self.forward_in.csp_ports]

    def _run_asynchronous(self, arriving: Ints) -> None:
        self._begin(arriving, everyone=False)
        while True:
            kind, _, (neurons,) = receive(self.grant_in.csp_ports[0])
            if kind == END:
                return
            currents = self._exchange(neurons)
            if currents:
                self._receive(np.sum([current for _, current in currents], axis=0))

    def _run_layered(self, arriving: Ints) -> None:
        arriving += self._late
        self._late[:] = 0
        while True:
            kind, _, (neurons,) = receive(self.grant_in.csp_ports[0])
            if kind == END:
                return
            if kind == EVALUATE:
                self._begin(arriving, everyone=True)
                continue
            for source, current in self._exchange(neurons):
                if source in self._later:
                    self._late += current
                else:
                    arriving += current

    def _exchange(self, neurons: Ints) -> list[tuple[int, Ints]]:
        """Hand over own released spikes, receive the currents of all that reach this population.

        Only connections with released spikes that arrive at once send: all others cost nothing.
        """
        cuts = np.searchsorted(neurons, self._offsets).tolist()
        begin, end = cuts[self._index], cuts[self._index + 1]
        if begin < end:
            own = neurons[begin:end] - self._offsets[self._index]
            send(self.release_out.csp_ports, RELEASE, 0, own)
        return [
            (route.source, channel.recv())
            for route, channel in self._inputs
            if route.is_taken_by(neurons, cuts)
        ]

    def _request(self, neurons: Ints, momenta: Ints, threshold: int) -> None:
        """Ask for the release of what fired, or say that nothing did."""
        send(self.request_out.csp_ports, threshold, self._overflows, neurons, momenta)
        self._fired[neurons] = True
