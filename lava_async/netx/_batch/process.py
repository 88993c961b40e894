"""`Batch`: source and sink of a batch in one process."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess

from lava_async._lava.channels import shared_array
from lava_async.netx.process import Network


class Batch(AbstractProcess):
    """Sends one input frame per time step and stores what comes back in the same time step.

    Source and sink share a process because each process costs Lava several messages per
    time step.

    Parameters
    ----------
    network : Network
        Connected to the new process.
    frames : (B, *input_shape, T) array
    trace : bool
        Whether to store all of ``fired_at`` and ``released_at``.

    Attributes
    ----------
    results : dict of array
        ``spikes`` (B, *out_shape, T) from the network's ``out``; from its ``trace``
        ``numbers`` (3, B, T), ``all_spikes`` and, with ``trace``, ``fired_at`` and
        ``released_at`` (B, N, T), ``output_steps`` (B, outputs, T); where the output population
        cannot fire, its voltages ``readout`` (B, outputs, T), when they were.
    """

    def __init__(self, network: Network, frames: npt.NDArray, trace: bool) -> None:
        graph = network.graph
        batch, num_steps = frames.shape[0], frames.shape[-1]
        output = graph.slice(graph.output)
        shape = (batch, graph.num_neurons, num_steps)
        self.results = {
            "spikes": shared_array((batch, *graph.out_shape, num_steps), np.int8),
            "all_spikes": shared_array(shape, np.int8),
            "numbers": shared_array((3, batch, num_steps), np.int64),
            "output_steps": shared_array((batch, output.stop - output.start, num_steps), np.int32),
        }
        if trace:
            self.results["fired_at"] = shared_array(shape, np.int32)
            self.results["released_at"] = shared_array(shape, np.int32)
        if not graph.output_can_fire:
            size = output.stop - output.start
            self.results["readout"] = shared_array((batch, size, num_steps), np.int32)
        super().__init__(frames=frames, output=output, results=self.results)
        self.frame_out = OutPort(shape=network.inp.shape)
        self.spikes_in = InPort(shape=network.out.shape)
        self.trace_in = InPort(shape=network.trace.shape)
        self.frame_out.connect(network.inp)
        network.out.connect(self.spikes_in)
        network.trace.connect(self.trace_in)
        self.voltage = RefPort(shape=network.v_out.shape)
        if "readout" in self.results:
            self.voltage.connect_var(network.v_out)
