"""Channels between Lava processes without threads.

Lava's own channels have a thread at each end, which hands every message on to the thread
that waits for it: two switches of the interpreter lock per message. Here the process waits
at the semaphore itself. Memory is anonymous and shared by forking.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.compiler.channels.interfaces import Channel
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort

from lava_async._lava.fork import FORK

_FIRST_WAIT, _LAST_WAIT = 1e-4, 2e-3  # seconds, while several ports are watched in turn


class Memory:
    """Anonymous memory, shared with processes forked later; gone with its last user."""

    def __init__(self, size: int) -> None:
        self.buf = memoryview(mmap.mmap(-1, max(size, 1)))


def shared_array(shape: tuple[int, ...], dtype: type) -> npt.NDArray:
    """Zeros in anonymous memory, shared with processes forked later.

    Reading a Var takes one message per element; reading this takes none.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, Memory(nbytes).buf)


class _Port:
    """One end of a ring of slots; `count` counts what this end may take from the ring."""

    def __init__(
        self, name: str, slots: np.ndarray, lost: np.ndarray, count: Any, other: Any
    ) -> None:
        self._name = name
        self._slots = slots
        self._lost = lost
        self._count = count
        self._other = other
        self._next = 0
        self._taken = False  # a slot taken from `count` by looking for it

    @property
    def name(self) -> str:
        return self._name

    @property
    def d_type(self) -> np.dtype:
        return self._slots.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._slots.shape[1:]

    @property
    def size(self) -> int:
        return len(self._slots)

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""

    def probe(self) -> bool:
        """Whether `send` or `recv` would not block."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until `send` or `recv` would not block."""
        if not self._taken:
            self._taken = self._count.acquire(timeout != 0, timeout)
        return self._taken

    def _pass(self) -> None:
        """The slot belongs to the other end now."""
        self._taken = False
        self._next = (self._next + 1) % len(self._slots)
        self._other.release()


class SendPort(_Port, CspSendPort):  # Lava tells ports by these two types
    def send(self, data: np.ndarray) -> None:
        """Send; blocks while the ring is full."""
        if data.shape != self.shape:
            raise ValueError(f"{self._name}: expected shape {self.shape} (got {data.shape})")
        self.wait()
        self._slots[self._next] = data
        if data.dtype != self.d_type:
            changed = self._slots[self._next] != data
            if changed.any():
                self._lost[0] = data[changed][0]
        self._pass()


class RecvPort(_Port, CspRecvPort):
    @property
    def lost(self) -> float:
        """A value sent so far that the channel's type could not hold; 0 if there is none.

        Lava would cut 0.7 to 0 and say nothing. Whether that is an error, receivers know.
        """
        return float(self._lost[0])

    def recv(self) -> np.ndarray:
        """Receive; blocks while the ring is empty."""
        data = self.peek()
        self._pass()
        return data

    def peek(self) -> np.ndarray:
        """Like `recv`, but what was received stays."""
        self.wait()
        return np.array(self._slots[self._next])


class ForkedChannel(Channel):
    """Stands in for Lava's PyPyChannel: same arguments, same behaviour."""

    def __init__(
        self, message_infrastructure: Any, src_name: str, dst_name: str,
        shape: tuple[int, ...], dtype: Any, size: int, *watchdogs: Any,
    ) -> None:  # fmt: skip
        nbytes = size * int(np.prod(shape)) * np.dtype(dtype).itemsize
        slots = np.ndarray((size, *shape), dtype, Memory(nbytes).buf)
        lost = np.ndarray(1, np.float64, Memory(8).buf)
        free, filled = FORK.Semaphore(size), FORK.Semaphore(0)
        self._src_port = SendPort(src_name, slots, lost, free, filled)
        self._dst_port = RecvPort(dst_name, slots, lost, filled, free)

    @property
    def src_port(self) -> SendPort:
        return self._src_port

    @property
    def dst_port(self) -> RecvPort:
        return self._dst_port


def select(self: Any, *channel_actions: tuple[_Port, Callable[[], Any]]) -> Any:
    """Wait for any of several ports, run its action: stands in for ``CspSelector.select``."""
    (first, action), *others = channel_actions
    timeout = _FIRST_WAIT
    while not first.wait(timeout if others else None):
        for port, other_action in others:
            if port.probe():
                return other_action()
        timeout = min(2 * timeout, _LAST_WAIT)
    return action()
