"""Compiled training: the kernel's forward pass with a tape, and the decisive gradient.

Equal to `_semantics.decisive` up to the rounding of float32; the spikes are the kernel's own.
`layout` says what is remembered of a forward pass, `record` writes it down; `surrogate` has the
derivatives of the spike function; `credit` walks back through a sample, and `synapses` turns what
it found into gradients of weights. `entry` is what is kept on disk, and `batch` what is called.

All sums are taken in an order that the network and the batch alone determine, over rows that
become vector code without reassociation: the same bits for any number of threads, and on any
processor.
"""

from lava_async._kernel._events import MOST_COUNT as MOST_COUNT
from lava_async._kernel._threads import OwnThreads as OwnThreads
from lava_async._kernel._threads import Team as Team
from lava_async._kernel.training.batch import MANY as MANY
from lava_async._kernel.training.batch import Loaded as Loaded
from lava_async._kernel.training.batch import Neurons as Neurons
from lava_async._kernel.training.batch import Pass as Pass
from lava_async._kernel.training.batch import Surrogate as Surrogate
from lava_async._kernel.training.batch import Trainer as Trainer
from lava_async._kernel.training.layout import ARCTAN as ARCTAN
from lava_async._kernel.training.layout import EXPONENTIAL as EXPONENTIAL
from lava_async._kernel.training.layout import FAST_SIGMOID as FAST_SIGMOID
from lava_async._kernel.training.layout import GIVEN as GIVEN
