"""``lava-async info``: what a network file holds, and what of it would not run."""

from __future__ import annotations

from typing import Any

import typer

from lava_async._cli import _options as options
from lava_async._cli._console import complain, print_json, print_table
from lava_async._describe import describe
from lava_async._files.hdf5 import examine
from lava_async._files.hdf5_layers import Found
from lava_async._simulate import BACKENDS
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

_COLUMNS = (
    "population", "shape", "synapses from", "synapses", "weights", "iDecay", "vDecay", "vThMant",
    "bias",
)  # fmt: skip


def info(
    net: options.NetArgument,
    input_shape: options.InputShapeOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Say what a network file holds: layers, neurons, synapses, schedule.

    Of a network that would not run, its layers, and for each what is in the way; the exit status
    is then 1.

    \b
    Examples:
      lava-async info network.net
      lava-async info slayer.net --input-shape 2,34,34 --json
    """
    try:
        graph = options.load_network(net, input_shape)
    except (UnsupportedError, FileFormatError) as error:
        found = examine(net, options.parse_shape(input_shape))
        if not found:
            raise
        _print_problems(str(net), found, error, json)
        raise typer.Exit(1) from None
    found = describe(graph)
    if json:
        print_json({"network": str(net), "runs": True, **found, "backends": list(BACKENDS)})
        return
    print(
        f"{net}: input {_shape(found['input_shape'])}, {found['neurons']} neurons, "
        f"{found['synapses']} synapses of {found['weights']} weights; "
        f"output {found['output']}{_late(found['output_delay'])}{_read_out(found)}"
    )
    print_table(_COLUMNS, [_row(population) for population in found["populations"]])
    print(f"schedule: {options.choose_schedule(graph.schedule)[1]}")
    print(f"runs on: {', '.join(BACKENDS)}")


def _read_out(found: dict[str, Any]) -> str:
    """What becomes of the output."""
    told = ", read out as voltages" if found["readout"] else ""
    decoding = found["decoding"] or {"groups": None, "time_bin": 1}
    if decoding["groups"] is not None:
        told += f", means of {decoding['groups']} groups"
    if decoding["time_bin"] > 1:
        told += f", bins of {decoding['time_bin']} time steps"
    return told


def _row(population: dict[str, Any]) -> tuple[str, ...]:
    arriving = population["connections"]
    threshold = population["threshold"]
    return (
        population["name"],
        _shape(population["shape"]),
        ", ".join(f"{c['source']} ({c['kind']}{_late(c['delay'])})" for c in arriving),
        str(sum(c["synapses"] for c in arriving)),
        str(sum(c["weights"] for c in arriving)),
        _value(population["i_decay"]),
        _value(population["v_decay"]),
        "never fires" if threshold is None else str(threshold),
        "" if population["bias"] is None else _value(population["bias"]),
    )


def _shape(shape: list[int] | tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _value(value: int | list[int]) -> str:
    return "..".join(map(str, value)) if isinstance(value, list) else str(value)


def _late(delay: int | list[int]) -> str:
    return f", {_value(delay)} time steps late" if delay else ""


def _print_problems(
    net: str, found: list[Found], error: ValidationError, json: bool
) -> None:
    """Of each layer; ``error`` is what loading ended with, where no layer is to blame."""
    if json:
        problems = [
            {"name": layer.name, "shape": layer.shape and list(layer.shape),
             "problem": layer.problem and _problem(layer.problem)}
            for layer in found
        ]  # fmt: skip
        print_json({"network": net, "runs": False, "error": str(error), "layers": problems})
        return
    rows = [
        (layer.name, _shape(layer.shape or ()) or "?",
         _problem(layer.problem) if layer.problem else "runs")
        for layer in found
    ]  # fmt: skip
    print_table(("layer", "shape", "what is in the way"), rows)
    complain(f"{net}: does not run: {str(error).removeprefix(f'{net}: ')}")


def _problem(error: ValidationError) -> str:
    return f"{error.what}: expected {error.expected} (got {error.got})"
