"""Energy and latency of a run, as estimates by a named cost model.

Spikes and synaptic operations are counted (`lava_async.metrics`); joules and seconds are not: they
are those counts times constants that somebody published for a chip, or your own. So each
`CostModel` names its source, and an `Estimate` says the counts first and that the rest is one.

>>> print(cost.estimate(record, cost.MODELS["loihi"]))
>>> print(cost.estimate(record, cost.load("my_chip.json")))

What is estimated: each event at its own constant, one after another, as on a single core. Cores
that share the work take less time; memory, spikes that travel farther, input and output of the
chip and leakage are in no constant, and so in no estimate. It serves to compare networks on one
model, not chips.
"""

from lava_async.cost._estimate import Estimate as Estimate
from lava_async.cost._estimate import count_events as count_events
from lava_async.cost._estimate import estimate as estimate
from lava_async.cost._estimate import of_events as of_events
from lava_async.cost._model import CostModel as CostModel
from lava_async.cost._model import PerEvent as PerEvent
from lava_async.cost._published import ADDITIONS_45NM as ADDITIONS_45NM
from lava_async.cost._published import LOIHI as LOIHI
from lava_async.cost._published import MODELS as MODELS
from lava_async.cost._read import load as load
