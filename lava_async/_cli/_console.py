"""What is printed where: results on stdout, everything else on stderr.

Control characters go to terminals only, and a notebook's `!` counts as one.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, ContextVar
from time import monotonic
from typing import Any

from lava_async._compiling import LOGGER
from lava_async.errors import TrainingWarning

_NARROWEST = 8  # columns of a table whose heading is longer than its numbers
REFRESH_INTERVAL = 0.1  # seconds between two drawings of a progress bar
LINE_INTERVAL = 30.0  # seconds between two lines of progress where no bar can be drawn
_BAR = 20  # columns
_WIDEST = 10_000  # columns, of what is no terminal
_UNKNOWN_WIDTH = 80  # columns, of a terminal that has none set, for which Python 3.10 says 0

_is_quiet: ContextVar[bool] = ContextVar("_is_quiet", default=False)
_drawn: ContextVar[_Bar | None] = ContextVar("_drawn", default=None)


def be_quiet(asked: bool) -> None:
    """From here on nothing but errors on stderr, if that is asked for."""
    _is_quiet.set(asked)


def note(message: str) -> None:
    """One line for the human at the terminal."""
    if not _is_quiet.get():
        complain(message)


def complain(message: str) -> None:
    """One line that is told even to those who want quiet."""
    print(message, file=sys.stderr, flush=True)


def fail(status: int, message: str) -> int:
    """Print the one line of a failure; returns ``status``."""
    complain(f"lava-async: {' '.join(message.split())}")
    return status


def print_json(document: dict[str, Any]) -> None:
    """The one JSON document on stdout."""
    print(json.dumps(document, indent=2))


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """For imports that print: SLAYER's tell of toolboxes that nobody asked for."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


class _Notes(logging.Handler):
    """Notes what the library logs, whichever of its threads does, as one call of ours wants it."""

    def __init__(self, context: Context) -> None:
        super().__init__(logging.INFO)
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        if not self._context.get(_is_quiet, False):
            bar, line = self._context.get(_drawn), self.format(record)
            complain(line) if bar is None else bar.make_room(line)


@contextlib.contextmanager
def library_log(context: Context) -> Iterator[None]:
    """Notes what the library logs in the block, in which a call runs in this context."""
    handler, level, propagates = _Notes(context), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # Lava sets up logging of its own, in its own words
    try:
        yield
    finally:
        LOGGER.propagate = propagates
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)


def users_code() -> contextlib.AbstractContextManager[object]:
    """For what may call a user's code: what that prints is no result, and goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def training_warnings() -> Iterator[None]:
    """Notes what goes wrong in training, a line each, once the block ends and no bar is drawn."""
    with warnings.catch_warnings(record=True) as caught:
        if not sys.warnoptions:
            warnings.simplefilter("always", TrainingWarning)
        try:
            yield
        finally:
            for warning in caught:
                note(f"warning: {' '.join(str(warning.message).split())}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; columns of numbers are aligned to the right, and as narrow.

    Where it is too wide for the terminal texts go over several lines; elsewhere nothing is.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for place, heading in enumerate(columns):
        cells = [row[place] for row in rows]
        if all(map(_is_number, cells)):
            longest = max(map(len, cells))
            heading = textwrap.fill(heading, max(_NARROWEST, longest), break_long_words=False)
            table.add_column(heading, justify="right", min_width=longest)
        else:
            table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal else _WIDEST
    # Notebooks ask for colours, by the environment, even of what goes into files.
    Console(force_terminal=is_terminal, width=width).print(table)


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, maybe with its spread."""
    return all(part.replace(".", "").replace(",", "").isdigit() for part in cell.split(" ± "))


@contextlib.contextmanager
def progress(description: str, total: int, at_once: int = 1) -> Iterator[Callable[..., None]]:
    """Tell on stderr how far work is: by a bar in a terminal, else by a line now and then.

    Of the steps so many are under way at a time. Yields ``advance(done=1, text=None)``, which adds
    finished work and may change the text.
    """
    if total < 2 or _is_quiet.get():
        yield lambda done=1, text=None: None
        return
    bar = _Bar() if _is_terminal() else None
    tells = bar or _Lines()
    pace, begin, finished = _Pace(total, at_once), monotonic(), 0

    def advance(done: int = 1, text: str | None = None) -> None:
        nonlocal description, finished
        description = text or description
        finished += done
        seconds = monotonic() - begin
        position = _position(finished, total, pace.left(finished, seconds))
        tells.tell(description, min(finished / total, 1.0), position, seconds)

    before = _drawn.set(bar)
    try:
        advance(0)
        yield advance
    finally:
        _drawn.reset(before)
        tells.close()


class _Pace:
    """How long the rest of some work takes, by what was done after its first step.

    That one may compile or load, or have been done at another time, and so counts for nothing; nor
    do those that end with it.
    """

    def __init__(self, total: int, at_once: int) -> None:
        self._total, self._at_once = total, at_once
        self._first, self._begin = 0, 0.0  # what was done first, and when
        self._until = 0.0  # what ends so soon ends with it

    def left(self, done: int, seconds: float) -> float | None:
        """Seconds; None where nothing tells yet."""
        if not self._first:
            self._until = seconds + REFRESH_INTERVAL
        if not self._first or seconds < self._until:
            self._first, self._begin = done, seconds
        rounds = (done - self._first) // self._at_once
        if not rounds:
            return None
        return (seconds - self._begin) / rounds * math.ceil((self._total - done) / self._at_once)


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class _Bar:
    """One line, drawn over and over; no control character but the return, for notebooks.

    And no thread that draws: Lava forks, and a child must not wait for a lock that was held at
    this moment.
    """

    def __init__(self) -> None:
        self._drawn_at = -REFRESH_INTERVAL
        self._line = ""

    def tell(self, text: str, part: float, position: str, seconds: float) -> None:
        if seconds - self._drawn_at < REFRESH_INTERVAL:
            return
        self._drawn_at = seconds
        filled = int(_BAR * part)
        bar = "━" * filled + "─" * (_BAR - filled)
        self._draw(f"{text} {bar} {position}")

    def make_room(self, message: str) -> None:
        """Print a line above the bar."""
        line = self._line
        self.close()
        complain(message)
        self._draw(line)

    def close(self) -> None:
        self._draw("")
        self._draw("")  # and return

    def _draw(self, line: str) -> None:
        line = line[: _columns(sys.stderr) - 1]
        print(f"\r{line:{len(self._line)}}", end="", file=sys.stderr, flush=True)
        self._line = line


def _columns(stream: Any) -> int:
    """Of the terminal that a stream is, whatever the others are; ``COLUMNS`` comes first."""
    found = 0
    with contextlib.suppress(OSError):
        found = 0 if "COLUMNS" in os.environ else os.get_terminal_size(stream.fileno()).columns
    return found or shutil.get_terminal_size().columns or _UNKNOWN_WIDTH


class _Lines:
    """Lines for a log, few enough to be read."""

    def __init__(self) -> None:
        self._told_at = 0.0

    def tell(self, text: str, part: float, position: str, seconds: float) -> None:
        if seconds - self._told_at >= LINE_INTERVAL:
            self._told_at = seconds
            note(f"{text} {position}")

    def close(self) -> None:
        """Nothing stays that would have to be wiped."""


def _position(done: int, total: int, seconds: float | None) -> str:
    """Where work is, and how many seconds the rest takes if that is known."""
    if seconds is None:
        return f"{done}/{total}"
    left = int(seconds)
    return f"{done}/{total}, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
