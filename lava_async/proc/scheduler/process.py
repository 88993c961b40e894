"""The scheduler of asynchronous populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lava.magma.core.process.ports.ports import AbstractPort

from lava_async._semantics.schedule import Momentum, Schedule
from lava_async.errors import ValidationError
from lava_async.proc import _messages
from lava_async.proc._compiled import CompiledGroup
from lava_async.proc._population import AsyncPopulation, Group
from lava_async.proc._ports import (
    GrantOut,
    RequestIn,
    ResetOut,
    SynopsIn,
    SynopsOut,
    check_peers,
    describe,
)
from lava_async.proc._scheduled import ScheduledProcess


class SpikeScheduler(ScheduledProcess):
    """Decides which spikes of its populations are released in each forward step.

    Fired spikes wait in one pool over all populations; in each forward step the schedule
    removes ``min(F, |pool|)`` of them. The time step ends when the pool is empty.

    Parameters
    ----------
    populations : sequence of AsyncLIF
        Neurons are numbered through them, in this order.
    schedule : Schedule
        ``Momentum(8)`` by default; may be of your own. With `LayerSync`, populations are
        evaluated one after the other, in topological order. Of a `Mixture`, each sample runs with
        the schedule that its index draws.
    output : AsyncLIF, optional
        The population that ``stop_after`` watches; the last one by default.
    stop_after : int, optional
        Early decision: forward steps that still run after the first output spike of a time
        step. Asynchronous schedules only.
    reset_interval : int, optional
        Time steps per sample: all populations are zeroed, and the next sample begins, before
        time step t (from 1) wherever ``(t - 1) % reset_interval == reset_offset % reset_interval``.
        None: never.
    reset_offset : int
        Phase of the resets; what runs before the first reset belongs to the first sample.
    sample_ids : sequence of int, optional
        Index of each sample in its data set or stream, the key of its random draws, used
        again from the start when all are; 0, 1, 2, … by default.
    compiled : bool
        Whether compiled code may run all populations in the scheduler's process, with the same
        results. False: populations and connections exchange messages in every forward step, which
        takes many times as long. So they do anyway where the schedule, a process or its model is of
        your own.
    name : str, optional

    Attributes
    ----------
    request_in : RequestIn
    grant_out : GrantOut
        From and to the populations; connected here.
    synops_in : SynopsIn, (1,)
        ``synops_out`` of the connections whose synaptic operations are to be counted.
    reset_out : ResetOut, (1,)
        Whether a sample begins, once per time step: to ``reset_in`` of the connections that delay
        frames on their way to ``a_in``.
    trace, spike_count, forward_steps, synops, overflows, total_forward_steps, total_synops,
    total_overflows, reset
        See `ScheduledProcess`.

    Raises
    ------
    ValidationError
        Any argument is outside what is described here, or a population has a scheduler.
    """

    def __init__(
        self,
        populations: Sequence[AsyncPopulation],
        schedule: Schedule | None = None,
        *,
        output: AsyncPopulation | None = None,
        stop_after: int | None = None,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        sample_ids: Sequence[int] | None = None,
        compiled: bool = True,
        name: str | None = None,
    ) -> None:
        populations = _check_populations(populations)
        output = populations[-1] if output is None else output
        if not any(output is p for p in populations):
            raise ValidationError(
                "SpikeScheduler", "output", "one of its populations", repr(output)
            )
        place = next(i for i, p in enumerate(populations) if p is output)
        super().__init__(
            sum(p.size for p in populations),
            Momentum() if schedule is None else schedule,
            stop_after=stop_after,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            sample_ids=sample_ids,
            output=place,
            name=name,
        )
        self.may_compile, self.output = compiled, place
        self.stop_after: int | None = self._arguments["stop_after"]
        self.compiled_group: CompiledGroup | None = None
        self._group = Group(self, populations)
        self.request_in = RequestIn(shape=_messages.SPIKES_WITH_MOMENTA)
        self.grant_out = GrantOut(shape=_messages.SPIKES)
        self.synops_in = SynopsIn(shape=(1,))
        self.reset_out = ResetOut(shape=(1,))
        for population in populations:
            population.request_out.connect(self.request_in)
            self.grant_out.connect(population.grant_in)

    def wiring(self) -> dict[str, Any]:
        self._check_ports()
        return {"compiled": self._group.compiled(), **self._group.wiring()}

    def _check_ports(self) -> None:
        """Only those whom the constructor connected may request or be granted anything."""

        def is_ours(port: Any) -> bool:
            return any(port.process is population for population in self._group.populations)

        check_peers(self.request_in, "request_out of its populations", is_ours)
        check_peers(self.grant_out, "grant_in of its populations", is_ours)
        check_peers(
            self.synops_in, "synops_out of connections", lambda port: isinstance(port, SynopsOut)
        )

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        return {self.trace: [*self._group.inputs(), self.synops_in]}


def _check_populations(populations: object) -> list[AsyncPopulation]:
    found = list(populations) if isinstance(populations, Sequence) else []
    what = "populations"
    if not found or not all(isinstance(p, AsyncPopulation) for p in found):
        single = isinstance(populations, AsyncPopulation)
        got = describe(populations) if single else repr(populations)
        raise ValidationError("SpikeScheduler", what, "a sequence of one or more AsyncLIF", got)
    for i, population in enumerate(found):
        if any(population is p for p in found[:i]):
            raise ValidationError(
                "SpikeScheduler", what, "each once", f"{describe(population)} twice"
            )
    return found
