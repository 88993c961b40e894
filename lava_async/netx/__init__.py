"""Network files as one Lava process that runs asynchronously.

**Samples from Lava's** ``SpikeDataloader``. It loads a sample at the end of a time step, so that
the first frame leaves in the time step after: the first sample of a loader with ``offset=0``
begins in time step 2, after a frame of zeros. The network begins a new sample *before* the time
step with ``(t - 1) % reset_interval == reset_offset``, and its output belongs to the same time
step as its input. So ``reset_interval`` is the loader's ``interval``, ``reset_offset`` its
``offset + 1``, and the output of the first sample begins in column ``offset + 1`` of a sink. The
loader fills a sample that is shorter than its interval with zeros, and cuts a longer one. Samples
have the shape of the port, time last.

>>> import numpy as np
>>> from lava.magma.core.run_configs import Loihi2SimCfg
>>> from lava.proc.io.dataloader import SpikeDataloader
>>> from lava.proc.io.sink import RingBuffer as Sink
>>> import lava_async as la
>>> from lava_async import netx
>>> from lava_async.runtime import Runner

>>> rng = np.random.default_rng(0)
>>> cells = la.Population("cells", (4,), i_decay=1500, v_decay=300, threshold=50)
>>> graph = la.Graph((6,), [cells], [la.Dense(la.INPUT, 0, rng.integers(-40, 90, (4, 6)))])
>>> samples, num_steps = rng.integers(0, 2, (3, 6, 10)), 10

>>> loader = SpikeDataloader(dataset=[(x, 0) for x in samples], interval=num_steps)
>>> network = netx.Network(graph, reset_interval=num_steps, reset_offset=1)
>>> sink = Sink(shape=network.out.shape, buffer=1 + 3 * num_steps)
>>> loader.s_out.connect(network.inp)
>>> network.out.connect(sink.a_in)
>>> with Runner(network, Loihi2SimCfg(select_tag="fixed_pt")) as run:
...     run(num_steps=1 + 3 * num_steps)
...     spikes = np.split(sink.data.get()[..., 1:], 3, axis=-1)  # sample by sample
>>> np.array_equal(spikes, la.simulate(graph, samples).spikes)
True

Each sample draws by its place in the data set, as in `lava_async.simulate`; ``sample_ids`` says
otherwise. Where the loader's ``offset + 1`` is its ``interval``, the resets begin with time step 1:
the zeros before the loader's first sample are then the network's first sample.
"""

from lava_async.netx.process import Network as Network
