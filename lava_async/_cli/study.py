"""``lava-async study``: what layer synchronization costs, and how networks trained for it do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_async import cost
from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, print_table, progress
from lava_async.datasets import registry
from lava_async.errors import ValidationError
from lava_async.study.grid import METHODS, PRESETS, Study
from lava_async.study.settings import RECIPES, TUTORIAL
from lava_async.study.table import Row

_COLUMNS = ("network", "run", "accuracy", "spikes a sample", "forward steps to decision")


def study(
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="For the results; goes on where it holds this study."
        ),
    ],
    preset: Annotated[
        str,
        typer.Option(
            "--preset", **options.one_of(PRESETS),
            help="What the options below do not say: minutes, the paper's comparison, or all.",
        ),
    ] = "quick",
    data: Annotated[
        str | None,
        typer.Option(
            "--data", **options.one_of(registry.NAMES),
            help="Data set; digits by default, which comes with the package.",
            show_default=False,
        ),
    ] = None,
    data_root: options.DataRootOption = None,
    neuron: Annotated[
        str | None,
        typer.Option(
            "--neuron", **options.one_of(RECIPES),
            help="Whose recipe all train by; motion and vowels need the tutorials' neurons, which "
            "have memory.",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods", metavar="NAME", show_default=False,
            help=f"How to train: {'; '.join(METHODS)}. Give it several times for several.",
        ),
    ] = None,
    given: Annotated[
        list[Path] | None,
        typer.Option(
            "--given", metavar="NET.net", show_default=False,
            help="Networks to run, with no training unless --methods says so too.",
        ),
    ] = None,
    train_schedules: Annotated[
        str | None,
        typer.Option(
            "--train-schedules", metavar="NAME,…", show_default=False,
            help="Orders that unlayered methods train with.",
        ),
    ] = None,
    group_size: Annotated[
        str | None,
        typer.Option(
            "--group-size", metavar="F,…", show_default=False,
            help="F to train with, and to run with where --schedules says none.",
        ),
    ] = None,
    schedules: Annotated[
        str | None,
        typer.Option(
            "--schedules", metavar="NAME[:F],…", show_default=False,
            help="What every network runs under.",
        ),
    ] = None,
    stop_after: Annotated[
        str | None,
        typer.Option(
            "--stop-after", metavar="K,…", show_default=False,
            help="Early decision, beside none: K forward steps after the first output spike.",
        ),
    ] = None,
    penalty: Annotated[
        str | None,
        typer.Option(
            "--penalty", metavar="X,…", show_default=False,
            help="Added to the loss for each spike a sample.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="How many, from 0 on.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", help="Of each training.", show_default=False),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", metavar="N", help="So many of each split only.", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", help="Processes; one for each core by default.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="tcp://HOST:PORT", show_default=False,
            help="Dask cluster that works instead (lava-async[cluster]).",
        ),
    ] = None,
    cost_model: Annotated[
        str | None,
        typer.Option(
            "--cost-model", metavar="NAME|FILE", show_default=False,
            help=f"Estimates of energy and latency in the report: {', '.join(cost.MODELS)}, or a "
            "JSON file of your own.",
        ),
    ] = None,
    json: options.JsonOption = False,
) -> None:
    """Train in several ways, run each network under several schedules, make tables of it.

    FOLDER gets table.csv and table.json (a row for each network and way to run it), curves.csv
    (accuracy against forward steps), report.md and report.html with figures, the networks and
    all else that is known in cells, and study.json (versions and machine). Interrupted or killed,
    the same command goes on to the same bytes.

    \b
    Examples:
      lava-async study --out study
      lava-async study --out all --preset full --scheduler tcp://localhost:8786
      lava-async study --out mine --given network.net --schedules layer,momentum:8,random:1
      lava-async study --out speech --data vowels --neuron tutorial
      lava-async study --out two --methods layered --methods decisive --penalty 0,0.003 --seeds 5
    """
    from lava_async.study.engine import run_study  # loads joblib and numba

    asked = _read_options(
        data=data, methods=methods and tuple(methods), given=given and tuple(given),
        train_schedules=_split("--train-schedules", train_schedules, str),
        group_sizes=_split("--group-size", group_size, int),
        schedules=_split("--schedules", schedules, str),
        stop_after=_split("--stop-after", stop_after, int),
        penalties=_split("--penalty", penalty, float), seeds=seeds, samples=samples,
    )  # fmt: skip
    if given and not methods:
        asked["methods"] = ()
    if neuron == "tutorial":
        # The published gradient goes without a penalty there, too.
        asked |= {"recipe": TUTORIAL, "unrolled_recipe": dataclasses.replace(TUTORIAL, penalty=0.0)}
        asked.setdefault("penalties", (TUTORIAL.penalty,))
    wanted = _with_epochs(dataclasses.replace(PRESETS[preset], **asked), epochs)
    outcome = run_study(
        wanted, out, jobs=jobs, scheduler=scheduler, data_root=data_root,
        model=None if cost_model is None else cost.load(cost_model), progress=progress,
    )  # fmt: skip
    for text in outcome.warnings:
        note(f"warning: {' '.join(text.split())}")
    if json:
        rows = [dataclasses.asdict(row) for row in outcome.rows]
        print_json({"out": str(out), "computed": outcome.computed, "rows": rows})
        return
    print_table(_COLUMNS, _summarise(outcome.rows))
    print(f"table: {out / 'table.csv'}, report: {out / 'report.html'}")


def _read_options(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _split(option: str, text: str | None, kind: type) -> tuple[Any, ...] | None:
    """The values of an option that has several, with commas between them."""
    if text is None:
        return None
    try:
        return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        wanted = {int: "integers such as 1,8", float: "numbers such as 0,0.003"}[kind]
        raise ValidationError(option, "value", wanted, repr(text)) from None


def _with_epochs(study: Study, epochs: int | None) -> Study:
    if epochs is None:
        return study
    recipes = {
        name: dataclasses.replace(getattr(study, name), epochs=epochs)
        for name in ("recipe", "unrolled_recipe")
    }
    return dataclasses.replace(study, **recipes)


def _summarise(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Rows without early decision, means over the seeds."""
    from lava_async.study.report import with_spread  # loads more than reading options needs

    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.stop_after is None:
            found.setdefault((row.name, row.run), []).append(row)
    return [
        (
            *way,
            with_spread([row.accuracy for row in several], 3),
            with_spread([row.spikes_per_sample for row in several], 0),
            with_spread([s for row in several if (s := row.decision_step) is not None], 1),
        )
        for way, several in found.items()
    ]
