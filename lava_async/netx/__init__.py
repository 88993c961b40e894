"""Network files as one Lava process that runs asynchronously."""

from lava_async.netx.process import Network as Network
