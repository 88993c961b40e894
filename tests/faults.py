"""Process models that fail in a chosen way, and a network that has one of each kind."""

import contextlib
import os
import signal

import numpy as np
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from scipy.sparse import csr_matrix

from lava_async.netx import Network
from lava_async.netx.models import PyNetworkModelFixed
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler
from lava_async.proc.conv.models import PyAsyncConvModelFixed
from lava_async.proc.dense.models import PyAsyncDenseModelFixed
from lava_async.proc.lif.models import PyAsyncLIFModelFixed
from lava_async.proc.scheduler.models import PySpikeSchedulerModel
from lava_async.proc.sparse.models import PyAsyncSparseModelFixed

MODELS = {
    # name of the process: its model, an output of it
    "stock": (PyLifModelBitAcc, "s_out"),
    "conv": (PyAsyncConvModelFixed, "a_out"),
    "sparse": (PyAsyncSparseModelFixed, "forward_out"),
    "dense": (PyAsyncDenseModelFixed, "forward_out"),
    "population": (PyAsyncLIFModelFixed, "request_out"),
    "scheduler": (PySpikeSchedulerModel, "grant_out"),
    "network": (PyNetworkModelFixed, "out"),
}
FAULTS = {
    # fault: what the message says
    "start": "ValueError: broken",
    "first": "ValueError: broken",
    "later": "ValueError: broken",
    "shape": r"expected shape .* \(got \(7,\)\)",
    "kill": "killed by SIGKILL",
}


@contextlib.contextmanager
def broken(name, fault):
    """Inside the block a model fails: at its start, or at time step 1, 3, 2 or 2."""
    cls, output = MODELS[name]
    init, run_spk = cls.__init__, cls.run_spk

    def failing_init(self, proc_params):
        init(self, proc_params)
        if fault == "start":
            raise ValueError("broken")

    def failing_run(self):
        if self.time_step == {"first": 1, "later": 3, "shape": 2, "kill": 2}.get(fault):
            if fault == "shape":
                getattr(self, output).send(np.zeros(7, np.int32))
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("broken")
        run_spk(self)

    cls.__init__, cls.run_spk = failing_init, failing_run
    try:
        yield
    finally:
        cls.__init__, cls.run_spk = init, run_spk


def one_of_each(graph, buffer):
    """LIF -> conv -> population -> sparse, dense -> output -> fused network -> sink.

    ``output`` fires with all 9 neurons in every time step. Returns the sink.
    """
    neurons = {"du": 1500, "dv": 300, "vth": 50}
    stock = LIF(shape=(3, 3, 1), du=4095, dv=4095, vth=1, bias_mant=2, bias_exp=6, name="stock")
    conv = AsyncConv(weight=np.full((1, 1, 1, 1), 90), input_shape=(3, 3, 1), name="conv")
    population = AsyncLIF(shape=(3, 3, 1), **neurons, name="population")
    sparse = AsyncSparse(weights=csr_matrix(np.eye(9) * 60), name="sparse")
    dense = AsyncDense(weights=np.ones((9, 9)), name="dense")
    output = AsyncLIF(shape=(9,), **neurons, name="output")
    network = Network(graph, name="network")
    stock.s_out.connect(conv.s_in)
    conv.a_out.connect(population.a_in)
    for connection in (sparse, dense):
        population.release_out.connect(connection.release_in)
        connection.forward_out.connect(output.forward_in)
    SpikeScheduler([population, output], name="scheduler")
    output.s_out.connect(network.inp)
    sink = Sink(shape=graph.out_shape, buffer=buffer)
    network.out.connect(sink.a_in)
    return sink
