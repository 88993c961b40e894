"""The commands of ``lava-async``."""

from __future__ import annotations

from typing import Annotated

import typer

from lava_async._cli import demo, doctor, evaluate, info, run, study, train, verify

app = typer.Typer(
    name="lava-async",
    help=(
        "Train SLAYER networks for asynchronous execution and run exactly the same spikes, "
        "neuron by neuron, in Lava."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from lava_async import __version__

        print(f"lava-async {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None: ...


for command in (
    demo.demo, train.train, evaluate.evaluate, run.run, verify.verify, info.info,
    study.study, doctor.doctor,
):  # fmt: skip
    app.command()(command)
