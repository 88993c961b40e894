"""Connections in compiled code, one file a kind: layout in flat arrays, delivery, the way back.

`lay_out` describes a connection to the compiled code; `_delivery` chooses by what it wrote. A
kind without a file of its own is laid out by its `synapses`, one by one.
"""

from lava_async._kernel.connections import conv, conv_credit, conv_learn, dense, one_to_one, sparse
from lava_async._kernel.connections.layout import Arrays as Arrays
from lava_async._kernel.connections.layout import arrange as arrange
from lava_async._kernel.connections.layout import lay_out as lay_out
from lava_async._kernel.connections.layout import restore as restore
from lava_async._kernel.connections.layout import room_for_targets as room_for_targets
from lava_async._kernel.connections.layout import room_to_learn as room_to_learn
from lava_async._kernel.connections.layout import turn_round as turn_round

__all__ = [
    "Arrays", "arrange", "conv", "conv_credit", "conv_learn", "dense", "lay_out", "one_to_one",
    "restore", "room_for_targets", "room_to_learn", "sparse", "turn_round",
]  # fmt: skip
