"""Lava processes of asynchronous networks, to be wired by hand to any directed graph.

Inside one Lava time step the populations of a `SpikeScheduler` run forward step by forward
step until no spike waits:

1. the scheduler opens the time step; every population decays, takes in what came to ``a_in``
   and sends the spikes it fired, with their momenta, to the scheduler;
2. the scheduler tells those whom it concerns which spikes are released;
3. a population whose spikes are released hands them to its connections, and these send the
   currents to their targets;
4. the populations that received currents evaluate their neurons and send what fired; back
   to 2, until none waits. Then the scheduler closes the time step, and ``s_out`` of every
   population carries the spikes of the time step.

That is what happens, and with ``SpikeScheduler(..., compiled=False)`` also how. Otherwise compiled
code in the scheduler's process does all of it at once, with the same results: see `_compiled`.

Ports come in two kinds. ``a_in``, ``s_out`` of populations and ``s_in``, ``a_out`` of
connections carry one message per time step, as those of stock processes, to which they
connect. ``release_out`` → ``release_in`` and ``forward_out`` → ``forward_in`` carry as many
messages as the forward steps need, and connect populations of one scheduler:

>>> hidden, output = AsyncLIF(shape=(64,), vth=80), AsyncLIF(shape=(10,), vth=80)
>>> scheduler = SpikeScheduler([hidden, output], Momentum(8))
>>> first, second = AsyncDense(weights=w0), AsyncDense(weights=w1)
>>> source.s_out.connect(first.s_in)
>>> first.a_out.connect(hidden.a_in)
>>> hidden.release_out.connect(second.release_in)
>>> second.forward_out.connect(output.forward_in)
>>> output.s_out.connect(sink.a_in)

Spikes over a connection with a ``delay`` arrive so many time steps later, with the input of that
time step, under every schedule; those of a population with an ``output_delay`` leave from
``s_out`` so much later. A reset empties what is under way. Connections that delay frames on their
way to ``a_in`` are told of it:

>>> first = AsyncDense(weights=w0, delay=2)
>>> scheduler.reset_out.connect(first.reset_in)

Shapes are Lava's, (W, H, C) or (n,). Neurons are numbered, and Vars laid out, in C order of
(C, H, W), as in network files.

What waits for its own output within a time step is refused before the runtime starts. Circles
are possible over ``release_out`` and ``forward_in``, through a connection that delays the spikes
of all its sources, or through stock `Dense`, `Conv` or `Sparse`, which send what arrived in the
time step before.

This is not Lava's ``AsyncProtocol``: all processes share the time steps of the Loihi protocol.
"""

from lava_async.proc._vars import Range as Range
from lava_async.proc.conv.process import AsyncConv as AsyncConv
from lava_async.proc.dense.process import AsyncDense as AsyncDense
from lava_async.proc.lif.process import AsyncLIF as AsyncLIF
from lava_async.proc.scheduler.process import SpikeScheduler as SpikeScheduler
from lava_async.proc.sparse.process import AsyncSparse as AsyncSparse
