"""What is printed where: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lava_async.errors import TrainingWarning

_NARROWEST = 8  # columns of a table whose heading is longer than its numbers
REFRESH_INTERVAL = 0.1  # seconds between two drawings of a progress bar


def note(message: str) -> None:
    """One line for the human at the terminal."""
    print(message, file=sys.stderr, flush=True)


def fail(status: int, message: str) -> int:
    """Print the one line of a failure; returns ``status``."""
    note(f"lava-async: {' '.join(message.split())}")
    return status


def print_json(document: dict[str, Any]) -> None:
    """The one JSON document on stdout."""
    print(json.dumps(document, indent=2))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """For imports that print: SLAYER's tell of toolboxes that nobody asked for."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


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
    """A table on stdout; columns of numbers are aligned to the right, and as narrow."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for place, heading in enumerate(columns):
        cells = [row[place] for row in rows]
        numbers = all(map(_is_number, cells))
        if numbers:
            width = max(_NARROWEST, *map(len, cells))
            heading = textwrap.fill(heading, width, break_long_words=False)
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, maybe with its spread."""
    return all(part.replace(".", "").isdigit() for part in cell.split(" ± "))


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr, if that is a terminal.

    Yields ``advance(done=1, text=None)``, which adds finished work and may change the text.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda done=1, text=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # Without redirection and without a thread that draws: Lava forks, and a child must not
    # wait for a lock that was held at this moment.
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(description, total=total)
        drawn = time.monotonic()

        def advance(done: int = 1, text: str | None = None) -> None:
            nonlocal drawn
            now = time.monotonic()
            due = now - drawn >= REFRESH_INTERVAL
            bar.update(task, advance=done, description=text, refresh=due)
            if due:
                drawn = now

        yield advance
