"""Process model of `SpikeScheduler`."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async._semantics.schedule import LayerSync
from lava_async.proc._compiled import CompiledGroup
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
from lava_async.proc._scheduled_models import AbstractPyScheduledModel
from lava_async.proc._shared import COUNTED
from lava_async.proc._vars import Ints
from lava_async.proc.scheduler.process import SpikeScheduler


@implements(proc=SpikeScheduler, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "bit_accurate_loihi", "fixed_pt")
class PySpikeSchedulerModel(AbstractPyScheduledModel):
    """Integers under every tag: no message of it reaches a stock process but ``trace``.

    Bit widths: momenta signed 24, neuron numbers 31.
    """

    request_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    grant_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    reset_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    synops_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._compiled: CompiledGroup | None = proc_params["compiled"]
        self._of_sample = proc_params["schedule"].of_sample
        self._stop_after: int | None = proc_params["stop_after"]
        self._offsets: Ints = proc_params["offsets"]
        self._routes: list[Route] = proc_params["routes"]
        self._order: list[int] = proc_params["order"]
        output = proc_params["output"]
        self._output = range(*self._offsets[output : output + 2].tolist())
        self._begin(self._first_sample)
        if self._compiled is not None:
            self._compiled.begin(self._first_sample)
        self._counting: list[Any] = []  # channels of connections that count by themselves
        self._requests: dict[int, Any] = {}
        self._grants: dict[int, Any] = {}

        num_neurons = int(self._offsets[-1])
        self._fired_at = np.full(num_neurons, -1)
        self._released_at = np.full(num_neurons, -1)
        self._thresholds = np.zeros(num_neurons, np.int64)  # of those that have fired
        self._overflows = np.zeros(len(self._order), np.int64)
        self._pool = self._momenta = np.zeros(0, np.int64)
        self._decided_at: int | None = None  # forward steps that ran before an output spike

    def run_spk(self) -> None:
        """Run one time step: open it, release spikes until none waits, close it."""
        if self._compiled is not None:
            self._run_compiled(self._compiled)
        else:
            self._run_by_messages()

    def _run_compiled(self, compiled: CompiledGroup) -> None:
        sample = self._next_sample()
        self._tell_reset(sample is not None)
        step, synops = compiled.step(sample, self.time_step)
        synops += self._receive_synops()
        self._count(
            step.forward_steps, synops, step.overflows, step.fired_at, step.released_at
        )

    def _receive_synops(self) -> int:
        """Of the connections that do not leave it to the scheduler to count."""
        if self.time_step == 1:
            first = [(channel, int(channel.recv()[0])) for channel in self.synops_in.csp_ports]
            self._counting = [channel for channel, synops in first if synops != COUNTED]
            return sum(synops for _, synops in first if synops != COUNTED)
        return sum(int(channel.recv()[0]) for channel in self._counting)

    def _run_by_messages(self) -> None:
        if self.time_step == 1:
            self._meet()
        sample = self._next_sample()
        if sample is not None:
            self._begin(sample)
        self._fired_at[:] = self._released_at[:] = -1
        self._decided_at = None
        layered = isinstance(self._schedule, LayerSync)
        flags = RESET * (sample is not None) | LAYERED * layered
        send(self.grant_out.csp_ports, BEGIN, flags)
        self._tell_reset(sample is not None)
        forward_steps = self._release_by_layer() if layered else self._release_until_empty()
        send(self.grant_out.csp_ports, END)
        self._sample_step += 1
        self._count(
            forward_steps, int(self.synops_in.recv()[0]), int(self._overflows.sum()),
            self._fired_at, self._released_at,
        )  # fmt: skip

    def _tell_reset(self, is_due: bool) -> None:
        if self.reset_out.csp_ports:
            self.reset_out.send(np.full(1, is_due, np.int32))

    def _begin(self, sample: int) -> None:
        """A sample begins: its own schedule, and its time steps from 0."""
        self._sample, self._sample_step = sample, 0
        self._schedule: Any = self._of_sample(sample)

    def _meet(self) -> None:
        """Learn which channels lead to and from which population."""
        for number, channel in enumerate(self.grant_out.csp_ports):
            send([channel], number)
        for channel in self.request_in.csp_ports:
            population, number, _ = receive(channel)
            self._requests[population] = channel
            self._grants[population] = self.grant_out.csp_ports[number]

    def _release_until_empty(self) -> int:
        """The forward steps of an asynchronous time step. Returns how many."""
        self._hear(range(len(self._order)), 0)
        k = 0
        while len(self._pool) and not (
            self._stop_after is not None
            and self._decided_at is not None
            and k - self._decided_at >= self._stop_after
        ):
            released = self._take_group(k)
            self._released_at[released] = k
            reached = self._release(released)
            k += 1
            self._hear(reached, k)
        self._pool = self._momenta = self._pool[:0]
        return k

    def _release_by_layer(self) -> int:
        """A layer-synchronized time step. Returns the forward steps it is worth."""
        k = 0
        for p in self._order:
            send([self._grants[p]], EVALUATE)
            self._hear([p], k)
            if len(self._pool):
                self._release(np.sort(self._pool))
                k += -(-len(self._pool) // self._schedule.group_size)
            self._pool = self._momenta = self._pool[:0]
        return k

    def _hear(self, populations: Any, k: int) -> None:
        """Add to the pool what these populations have fired after k forward steps."""
        for p in populations:
            threshold, self._overflows[p], (fired, momenta) = receive(self._requests[p])
            if not len(fired):
                continue
            fired = fired + self._offsets[p]
            self._fired_at[fired] = k
            self._thresholds[fired] = threshold
            if self._decided_at is None and fired[0] in self._output:
                self._decided_at = k
            self._pool = np.concatenate([self._pool, fired])
            self._momenta = np.concatenate([self._momenta, momenta])

    def _take_group(self, k: int) -> Ints:
        """Remove min(F, |pool|) spikes from the pool; sorted."""
        pool = self._pool
        if len(pool) <= self._schedule.group_size:
            self._pool = self._momenta = pool[:0]
            return np.sort(pool)
        chosen = self._schedule.select(
            pool, self._momenta, self._thresholds[pool], self._fired_at[pool], self._sample,
            self._sample_step, k,
        )  # fmt: skip
        waits = np.ones(len(pool), bool)
        waits[chosen] = False
        self._pool, self._momenta = pool[waits], self._momenta[waits]
        return np.sort(pool[chosen])

    def _release(self, neurons: Ints) -> list[int]:
        """Tell those whom it concerns; returns the populations that currents reach at once."""
        cuts = np.searchsorted(neurons, self._offsets).tolist()
        releasing = [p for p in range(len(self._order)) if cuts[p] < cuts[p + 1]]
        taken = [route.targets for route in self._routes if route.is_taken_by(neurons, cuts)]
        reached = set().union(*taken)
        concerned = [self._grants[p] for p in sorted(reached.union(releasing))]
        send(concerned, RELEASE, 0, neurons)
        return sorted(reached)
