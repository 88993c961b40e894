"""Train SLAYER networks for asynchronous execution and run the same spikes in Lava.

>>> import lava_async as la
>>> graph = la.load("network.net")
>>> record = la.simulate(graph, x, la.Momentum(group_size=8))

This module needs NumPy and h5py only. What needs more is imported by name:
``lava_async.slayer`` (training), ``lava_async.netx`` (the Lava process),
``lava_async.runtime`` (running Lava networks safely), ``lava_async.datasets``.
"""

from lava_async._files.hdf5 import load as load
from lava_async._files.nir import from_nir as from_nir
from lava_async._files.nir import to_nir as to_nir
from lava_async._files.nir.report import Rounding as Rounding
from lava_async._files.save import save as save
from lava_async._lava import importing as _lava_importing
from lava_async._semantics.connections import INPUT as INPUT
from lava_async._semantics.connections import Connection as Connection
from lava_async._semantics.connections import Conv as Conv
from lava_async._semantics.connections import Dense as Dense
from lava_async._semantics.connections import OneToOne as OneToOne
from lava_async._semantics.connections import Sparse as Sparse
from lava_async._semantics.connections import Synapses as Synapses
from lava_async._semantics.decoding import Decoding as Decoding
from lava_async._semantics.graph import Graph as Graph
from lava_async._semantics.graph import Population as Population
from lava_async._semantics.record import Events as Events
from lava_async._semantics.record import Record as Record
from lava_async._semantics.record import SparseRecord as SparseRecord
from lava_async._semantics.schedule import AsyncSchedule as AsyncSchedule
from lava_async._semantics.schedule import Fifo as Fifo
from lava_async._semantics.schedule import LayerSync as LayerSync
from lava_async._semantics.schedule import Mixture as Mixture
from lava_async._semantics.schedule import Momentum as Momentum
from lava_async._semantics.schedule import Random as Random
from lava_async._semantics.schedule import Schedule as Schedule
from lava_async._semantics.spatial import ConvTranspose as ConvTranspose
from lava_async._semantics.spatial import Pool as Pool
from lava_async._semantics.spatial import Unpool as Unpool
from lava_async._simulate import simulate as simulate
from lava_async._verify import Difference as Difference
from lava_async._verify import verify as verify

_lava_importing.install()

__version__ = "0.2.0.dev0"
