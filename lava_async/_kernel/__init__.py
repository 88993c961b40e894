"""Compiled, event-driven execution (Numba). Equal to `_semantics.reference`, bit for bit.

Cost grows with spikes × fan-out: a released spike walks its own synapses, convolutions are
walked tap by tap, and only neurons that received a current are evaluated. Once per time
step every neuron that has any state decays; one that has none costs its bit. Samples run in
parallel threads (the kernels release the GIL); each has its own state, so thread count and batch
composition cannot matter.

From the bottom up: `_compiler` compiles, to what `_linked` puts together, and `_cache` keeps it;
`_layout` holds the network and one sample's state as flat arrays, which `_lowering` fills, and
`_events` its input; `connections` has what is peculiar to each kind of them; `_delivery`, `_pool`
and `_neurons` work on them in place, one concern each (`_draws` has their random draws); `_steps`
makes time steps of these, `_listing` keeps their spikes where no dense record is wanted; `_entry`
is what Python calls, and kept on disk. On top, in Python, stand `batch` (in `_threads`, with memory
from a `_reserve`), `stepper` (one time step at a time, for Lava) and `training`, which remembers
what the gradient needs of a forward pass, and walks back. `ahead` compiles the way back in another
process.

What runs per neuron or per synapse takes the arrays it touches one by one: handing over a
whole `Net` or `State` there costs more than the work itself. For the same reason most of it is
inlined; delivery over single synapses is called, with pointers.
"""

from lava_async._kernel._lowering import check_schedule as check_schedule
from lava_async._kernel._lowering import is_compiled as is_compiled
from lava_async._kernel._threads import cores as cores
from lava_async._kernel.batch import run as run
from lava_async._kernel.stepper import Stepper as Stepper
from lava_async._kernel.stepper import StepResult as StepResult
