"""A process that passes numbers on until it fails in a chosen way."""

import os
import signal
import time

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class UnpicklableError(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.reason = lambda: None


class Relay(AbstractProcess):
    """Adds 1. ``fault`` happens at time step ``at``; 0 is while the model is built.

    ``seen`` is the last input, ``steps`` the number of time steps.
    """

    def __init__(self, fault="none", at=-1, name=None, shape=(2,)):
        super().__init__(fault=fault, at=at, name=name)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)
        self.seen = Var(shape=shape, init=0)
        self.steps = Var(shape=(1,), init=0)


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
class PyRelayModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    seen: np.ndarray = LavaPyType(np.ndarray, np.int64)
    steps: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        if proc_params["at"] == 0:
            self.fail(proc_params["fault"])

    def run_spk(self):
        data = self.inp.recv()
        self.seen = data.astype(np.int64)
        self.steps += 1
        if self.time_step == self.proc_params["at"]:
            if self.proc_params["fault"] == "fraction":
                data = data - 0.5
            self.fail(self.proc_params["fault"])
        self.out.send(data + 1)

    def fail(self, fault):
        if fault == "raise":
            raise ValueError("the relay is broken")
        if fault == "raise unpicklable":
            raise UnpicklableError("the relay is broken")
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "exit":
            os._exit(3)
        if fault == "exit as if done":
            os._exit(0)
        if fault == "wrong shape":
            self.out.send(np.zeros(3, np.int32))
        if fault == "wait for nothing":
            self.inp.recv()
        if fault == "sleep":
            time.sleep(600)
        if fault == "ask for a pause":
            self._req_pause = True
        if fault == "make a Var unreadable":
            self.seen = None
        if fault == "interrupt the caller":
            os.kill(os.getppid(), signal.SIGINT)
