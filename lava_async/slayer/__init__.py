"""Training: SLAYER networks under any schedule, with unlayered backprop.

>>> from lava_async import slayer as async_slayer
>>> net = async_slayer.Network(blocks, schedule=la.Momentum(8))
>>> spikes = net(x)
"""

from lava_async.slayer.network import Network as Network
from lava_async.slayer.penalty import SpikePenalty as SpikePenalty
from lava_async.slayer.population import Population as Population
from lava_async.slayer.rules import Carried as Carried
from lava_async.slayer.sources import Sum as Sum

__all__ = ["Carried", "Network", "Population", "SpikePenalty", "Sum"]
