"""``lava-async demo``: the main job on the embedded data set, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lava_async._cli import _options as options
from lava_async._cli._console import print_json, print_table, progress, silenced, training_warnings
from lava_async.study.folders import results_folder
from lava_async.study.settings import DIGITS

DEFAULT_FOLDER = "lava-async-demo"


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help=f"A new or empty folder for the report; {DEFAULT_FOLDER} by default, with a "
            "number if that is taken.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option(
            "--epochs", **options.number(int, 1), metavar="N", help="Epochs of each training."
        ),
    ] = DIGITS.epochs,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", **options.number(int, 1), metavar="N",
            help="How many seeds each training starts from.",
        ),
    ] = 3,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", **options.number(int), metavar="S",
            help="The first seed, of weights, order and dropout.",
        ),
    ] = 0,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Train, export and run in Lava on the digits, end to end.

    Trains the same network layer-synchronized, so with the same penalty on spikes, and
    asynchronously (momentum, F = 8), from several seeds; runs each in both ways on the test
    digits, checks that trainer and Lava give the same spikes, and writes a report with figures.

    \b
    Examples:
      lava-async demo
      lava-async demo --out report --seeds 1 --epochs 5
    """
    from lava_async._kernel.ahead import compile_ahead  # loads numba

    compile_ahead()
    with silenced():
        from lava_async.study import comparison  # loads torch and SLAYER
    from lava_async.study.report import COLUMNS

    folder = _free_folder(Path(DEFAULT_FOLDER)) if out is None else out
    trainings = seeds * len(comparison.METHODS)
    bar = progress("starting", trainings * epochs)
    with results_folder(folder), training_warnings(), bar as advance:
        result = comparison.compare(
            folder, epochs, range(seed, seed + seeds), on_epoch=lambda text: advance(text=text)
        )
    if json:
        print_json({"out": str(folder), **result.document})
        return
    print_table(COLUMNS, result.rows)
    for line in (*result.findings, f"report: {folder / 'report.md'}"):
        print(line)


def _free_folder(path: Path) -> Path:
    """The path, or with the first number that makes it new."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
