"""What Lava makes of each kind of connection: its process, and its part of the layer table.

A kind that is not registered here runs through its synapses one by one.
"""

from __future__ import annotations

import functools
from typing import Any

from scipy.sparse import csc_matrix

from lava_async._semantics.connections import Connection, Conv, Dense, OneToOne
from lava_async._semantics.spatial import ConvTranspose, Kernel
from lava_async.proc import AsyncConv, AsyncDense, AsyncSparse
from lava_async.proc._connection import AsyncConnection
from lava_async.proc.conv.process import to_lava

Shape = tuple[int, ...]


class Kind:
    """Any kind of connection."""

    flat = False
    """Whether a network that begins with it has a flat input port, as in netx."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def process(
        self, source_shape: Shape, input_shape: Shape, output_shape: Shape, **common: Any
    ) -> AsyncConnection:
        """A process that does what the connection does.

        Parameters
        ----------
        source_shape : tuple of int
            (C, H, W) or (n,).
        input_shape, output_shape : tuple of int
            Of its ports, (W, H, C) or (n,).
        common
            Arguments that every connection takes.
        """
        synapses = self._connection.all_synapses(source_shape)
        parts = synapses.weight, synapses.target, synapses.first
        return AsyncSparse(
            weights=csc_matrix(parts, synapses.shape),
            input_shape=input_shape, output_shape=output_shape, **common,
        )  # fmt: skip

    def label(self) -> str:
        """Type in the layer table."""
        return self._connection.kind.capitalize()

    def settings(self) -> list[str]:
        """Kernel, stride, padding, dilation and groups in the layer table."""
        return [""] * 5


@functools.singledispatch
def kind_of(connection: Connection) -> Kind:
    """The `Kind` of a connection."""
    return Kind(connection)


@kind_of.register(Dense)
class _Dense(Kind):
    flat = True

    def process(self, source_shape, input_shape, output_shape, **common):
        return AsyncDense(
            weights=self._connection.weight,
            input_shape=input_shape, output_shape=output_shape, **common,
        )  # fmt: skip


@kind_of.register(OneToOne)
class _OneToOne(Kind):
    def label(self):
        return "Input"


@kind_of.register(Conv)
class _Conv(Kind):
    def process(self, source_shape, input_shape, output_shape, **common):
        c = self._connection
        return AsyncConv(
            weight=to_lava(c.weight), input_shape=input_shape, padding=c.padding[::-1],
            stride=c.stride[::-1], dilation=c.dilation[::-1], groups=c.groups, **common,
        )  # fmt: skip

    def settings(self):
        return _windows(self._connection, self._connection.groups)


@kind_of.register(Kernel)
class _Kernel(Kind):
    def settings(self):
        return _windows(self._connection, "")


@kind_of.register(ConvTranspose)
class _ConvTranspose(Kind):
    def label(self):
        return "ConvT"

    def settings(self):
        return _windows(self._connection, self._connection.groups)


def _windows(c: Any, groups: int | str) -> list[str]:
    pairs = c.weight.shape[-2:], c.stride, c.padding, c.dilation
    return [*(f"{x:2d},{y:2d}" for y, x in pairs), f"{groups:5}"]
