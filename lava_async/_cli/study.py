"""``lava-async study``: what layer synchronization costs, and how networks trained for it do."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_async import cost
from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, print_table, progress, users_code
from lava_async.errors import ValidationError
from lava_async.study.chance import what_mark_says
from lava_async.study.grid import METHODS, PRESETS, Study
from lava_async.study.settings import RECIPES, TUTORIAL
from lava_async.study.table import Row

_NONE = "none"
"""Of early decision: time steps run to their end, as those of every study do, too."""

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
    data: options.DataOption = None,
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
            "--stop-after", metavar=f"K,…|{_NONE}", show_default=False,
            help="Early decision: K forward steps after the first output spike, beside time steps "
            f"that run to their end; {_NONE}: these alone.",
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
        typer.Option(
            "--seeds", **options.number(int), metavar="N", help="How many, from 0 on.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", **options.number(int), metavar="N", help="Of each training.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", **options.number(int), metavar="N", help="So many of each split only.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", **options.number(int), metavar="N",
            help="Processes; one for each core by default.", show_default=False,
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
    quiet: options.QuietOption = False,
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
      lava-async study --out speech --data vowels --neuron tutorial --stop-after none
      lava-async study --out two --methods layered --methods decisive --penalty 0,0.003 --seeds 5
    """
    from lava_async.study.engine import run_study  # loads joblib and numba

    asked = _read_options(
        data=data, methods=methods and tuple(methods), given=given and tuple(given),
        train_schedules=_split("--train-schedules", train_schedules, str),
        group_sizes=_split("--group-size", group_size, int),
        schedules=_split("--schedules", schedules, str),
        stop_after=_split("--stop-after", stop_after, int, none=_NONE),
        penalties=_split("--penalty", penalty, float), seeds=seeds, samples=samples,
    )  # fmt: skip
    if given and not methods:
        asked["methods"] = ()
    if neuron == "tutorial":
        # The published gradient goes without a penalty there, too.
        asked |= {"recipe": TUTORIAL, "unrolled_recipe": dataclasses.replace(TUTORIAL, penalty=0.0)}
        asked.setdefault("penalties", (TUTORIAL.penalty,))
    wanted = _with_epochs(dataclasses.replace(PRESETS[preset], **asked), epochs)
    with users_code():
        outcome = run_study(
            wanted, out, jobs=jobs, scheduler=scheduler, data_root=data_root,
            model=None if cost_model is None else cost.load(cost_model),
            progress=functools.partial(progress, at_once=_at_once(jobs, scheduler)),
        )  # fmt: skip
    for text in outcome.warnings:
        note(f"warning: {' '.join(text.split())}")
    if json:
        rows = [dataclasses.asdict(row) for row in outcome.rows]
        print_json({"out": str(out), "computed": outcome.computed, "rows": rows})
        return
    shown = [row for row in outcome.rows if row.stop_after is None]
    print_table(_COLUMNS, _summarise(shown))
    if marked := what_mark_says(shown):
        print(marked)
    print(f"table: {out / 'table.csv'}, report: {out / 'report.html'}")


def _at_once(jobs: int | None, scheduler: str | None) -> int:
    """How many cells are under way at a time; of a cluster that is not known, and counts as one."""
    from lava_async.study import processes

    return 1 if scheduler is not None else processes.count(jobs)


def _read_options(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _split(
    option: str, text: str | None, kind: type, none: str = ""
) -> tuple[Any, ...] | None:
    """The values of an option that has several, with commas between them.

    none : a word for what goes without saying, alone or beside values.
    """
    if text is None:
        return None
    parts = [part for each in text.split(",") if (part := each.strip()) not in ("", none)]
    try:
        return tuple(map(kind, parts))
    except ValueError:
        wanted = {int: "integers such as 1,8", float: "numbers such as 0,0.003"}[kind]
        wanted += f", or {none}" if none else ""
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
    """A line each network and run, means over the seeds."""
    from lava_async.study.results import mark, with_spread

    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.name, row.run), []).append(row)
    return [
        (
            *way,
            with_spread([row.accuracy for row in several], 3) + mark(several),
            with_spread([row.spikes_per_sample for row in several], 0),
            with_spread([s for row in several if (s := row.decision_step) is not None], 1),
        )
        for way, several in found.items()
    ]
