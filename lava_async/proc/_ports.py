"""Ports that know by type what passes through them, and what is at the other end.

`InPort` and `OutPort` carry frames: one message per time step, as the ports of stock processes.
Their subclasses here connect our processes with each other alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort
from lava.magma.core.process.ports.ports import InPort as LavaInPort
from lava.magma.core.process.ports.ports import OutPort as LavaOutPort
from lava.magma.core.process.process import AbstractProcess

from lava_async.errors import GraphError


class _NamedPort(AbstractPort):
    """Refuses what does not fit in our words, where it is asked."""

    def _validate_ports(self, ports: list[AbstractPort], *args: Any, **kwargs: Any) -> None:
        try:
            super()._validate_ports(ports, *args, **kwargs)
        except AssertionError as error:
            raise GraphError(
                describe(self.process), self.name, f"a port of shape {self.shape}",
                f"{names(ports)}: {error}",
            ) from None


class InPort(_NamedPort, LavaInPort):
    """Lava's, but what `connect_from` does not fit is a `GraphError`."""


class OutPort(_NamedPort, LavaOutPort):
    """Lava's, but what `connect` does not fit is a `GraphError`."""


class MessagesOut(OutPort):
    """As many messages per time step as the forward steps need: no frames."""


class ReleaseOut(MessagesOut):
    """Released spikes of a population, for its connections."""


class ReleaseIn(InPort):
    """Released spikes, in a connection."""


class ForwardOut(MessagesOut):
    """Currents of released spikes, from a connection."""


class ForwardIn(InPort):
    """Currents of released spikes, in a population."""


class RequestOut(MessagesOut):
    """What a population fired, for its scheduler."""


class RequestIn(InPort):
    """What populations fired, in their scheduler."""


class GrantOut(MessagesOut):
    """What a scheduler tells its populations."""


class GrantIn(InPort):
    """What the scheduler tells a population."""


class SynopsOut(OutPort):
    """Synaptic operations of a connection, once per time step."""


class SynopsIn(InPort):
    """Synaptic operations of connections, in a scheduler."""


class ResetOut(OutPort):
    """Whether a sample begins, once per time step, from a scheduler."""


class ResetIn(InPort):
    """Whether a sample begins, in a connection that holds spikes back."""


def describe(process: AbstractProcess) -> str:
    """A process for messages, e.g. ``AsyncLIF 'hidden'``."""
    return f"{type(process).__name__} {process.name!r}"


def names(ports: Iterable[Any]) -> str:
    return ", ".join(f"{port.name} of {describe(port.process)}" for port in ports) or "none"


def sources(port: AbstractPort) -> list[Any]:
    """Ports of other processes behind an input."""
    return list(port.get_src_ports())


def destinations(port: AbstractPort) -> list[Any]:
    """Ports of other processes behind an output."""
    return list(port.get_dst_ports())


def check_peers(port: AbstractPort, wanted: str, fits: Callable[[Any], bool]) -> None:
    """Refuse ports at the other end of connections unless they fit."""
    wrong = [peer for peer in (*sources(port), *destinations(port)) if not fits(peer)]
    if wrong:
        raise GraphError(describe(port.process), port.name, wanted, names(wrong))


def check_frames(port: InPort) -> None:
    """Refuse senders of messages where frames are received."""
    check_peers(
        port, "one message per time step, as stock processes send",
        lambda peer: not isinstance(peer, MessagesOut),
    )


def check_tuple(where: str, what: str, shape: Any) -> tuple[int, ...]:
    """Shapes of ports are tuples, also those of one dimension."""
    if np.ndim(shape) != 1:
        raise GraphError(where, what, "a tuple, (W, H, C) or (n,)", repr(shape))
    return tuple(shape)
