"""Process model of `Batch`."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async.netx._batch.process import Batch


@implements(proc=Batch, protocol=LoihiProtocol)
@requires(CPU)
class PyBatchModel(PyLoihiProcessModel):
    """Time step t (from 1) is time step (t - 1) % T of sample (t - 1) // T."""

    frame_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    spikes_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    trace_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    voltage: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._frames = proc_params["frames"]
        self._output: slice = proc_params["output"]
        self._results = proc_params["results"]

    def run_spk(self) -> None:
        """Send a frame, receive and store what the network made of it."""
        b, t = divmod(self.time_step - 1, self._frames.shape[-1])
        frame = self._frames[b, ..., t]
        # Ports are in (W, H, C) order, or flat.
        flat = len(self.frame_out._shape) == 1
        self.frame_out.send(frame.reshape(-1) if flat else frame.T)

        results = self._results
        results["spikes"][b, ..., t] = self.spikes_in.recv().T
        trace = self.trace_in.recv()
        numbers, fired_at, released_at = trace[:3], *np.split(trace[3:], 2)
        results["numbers"][:, b, t] = numbers
        results["all_spikes"][b, :, t] = fired_at >= 0
        results["output_steps"][b, :, t] = fired_at[self._output]
        if "fired_at" in results:
            results["fired_at"][b, :, t] = fired_at
            results["released_at"][b, :, t] = released_at

    def post_guard(self) -> bool:
        return "readout" in self._results

    def run_post_mgmt(self) -> None:
        """Store the voltages at the end of the time step."""
        b, t = divmod(self.time_step - 1, self._frames.shape[-1])
        self._results["readout"][b, :, t] = self.voltage.read()
