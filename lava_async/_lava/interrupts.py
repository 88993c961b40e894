"""Ctrl-C only where nothing is left half-done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Interrupts:
    """Holds Ctrl-C back inside a ``with`` block: until `deliver`, or the end of the block.

    Python calls the handler of a signal between any two instructions of the main thread, and
    never in another one, where this does nothing. Blocking the signal would not do: any other
    thread could still receive it. Blocks may be nested.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._has_arrived = False
        self._handler: Callable[[int, Any], Any] | None = None

    def __enter__(self) -> None:
        if self._depth == 0 and threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):  # else Ctrl-C is ignored, or not Python's business
                self._has_arrived = False
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._handler is not None:
            handler, self._handler = self._handler, None
            signal.signal(signal.SIGINT, handler)
            if self._has_arrived:
                handler(signal.SIGINT, None)

    def _note(self, signum: int, frame: Any) -> None:
        self._has_arrived = True

    def deliver(self) -> None:
        """Let a Ctrl-C that has arrived take effect: usually `KeyboardInterrupt`."""
        if self._has_arrived and self._handler is not None:
            self._has_arrived = False
            self._handler(signal.SIGINT, None)
