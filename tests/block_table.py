"""What is tried of SLAYER's blocks, and the table of docs/blocks.md that says what came of it.

``python tests/block_table.py`` writes the table anew.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl.slayer import neuron as neurons
    from lava.lib.dl.slayer.block import alif, cuba, rf, sigma_delta

import lava_async as la
from lava_async import slayer as async_slayer
from lava_async.errors import UnsupportedError

PAGE = Path(__file__).parent.parent / "docs" / "blocks.md"
BEGIN, END = "<!-- what tests found: begin -->\n", "<!-- what tests found: end -->\n"
HEAD = (
    "| block | option | trained: decisive | unrolled | file and back | every backend |"
    " layer by layer |\n|---|---|---|---|---|---|---|\n"
)

NEURON = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2, "tau_grad": 0.1}
FORGETS = {**NEURON, "current_decay": 1.0}
PERSISTS = {**NEURON, "persistent_state": True}
OFF = {"delay_shift": False}
FRAMES = (2, 6, 6)

Build = Callable[[], Sequence[torch.nn.Module]]


@dataclass(frozen=True)
class Row:
    """A network that is tried; ``settings`` are of `Network`."""

    block: str
    option: str
    build: Build
    shape: tuple[int, ...] = (12,)
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.block}: {self.option}"


def dense(inputs=12, outputs=8, neuron=None, **settings):
    return cuba.Dense(dict(neuron or NEURON), inputs, outputs, weight_scale=8, **OFF, **settings)


def conv(neuron=None, **settings):
    return cuba.Conv(dict(neuron or NEURON), 2, 4, 3, weight_scale=8, **OFF, **settings)


def after_frames(*blocks, size):
    """A network of frames that ends in dense neurons."""
    return lambda: [*(block() for block in blocks), cuba.Flatten(), dense(size, 5)]


def with_neuron(**changes):
    return lambda: [dense(neuron={**NEURON, **changes}), dense(8, 5)]


def with_statistics():
    blocks = with_neuron(norm=neurons.norm.MeanOnlyBatchNorm)()
    blocks[0].neuron.norm.running_mean = torch.linspace(-0.5, 0.5, 8)
    return blocks


def without_neurons(cls, *shape):
    """As SLAYER builds it, but cannot run it."""
    block = cls(
        None, *shape, weight_scale=8, **OFF, pre_hook_fx=neurons.cuba.Neuron(**NEURON).quantize_8bit
    )
    return block


OTHERS: dict[str, Build] = {
    "sigma_delta.Dense": lambda: [
        sigma_delta.Dense({"threshold": 0.1, "activation": torch.relu}, 12, 8)
    ],
    "rf.Dense": lambda: [rf.Dense({"threshold": 1.0, "period": 6, "decay": 0.1}, 12, 8)],
    "alif.Dense": lambda: [
        alif.Dense(
            {"threshold": 1.0, "threshold_step": 0.1, "current_decay": 0.1, "voltage_decay": 0.1,
             "threshold_decay": 0.1, "refractory_decay": 0.1}, 12, 8,
        )
    ],
}  # fmt: skip

ROWS = [
    Row("Input", "shape", lambda: [cuba.Input(**OFF), dense(), dense(8, 5)]),
    Row("Input", "neurons, weight", lambda: [
        cuba.Input(dict(NEURON), weight=1.5, **OFF), dense(), dense(8, 5)]),
    Row("Input", "neurons, bias, current_decay 1", lambda: [
        cuba.Input(dict(FORGETS), weight=1.5, bias=0.25, **OFF), dense(), dense(8, 5)]),
    Row("Input", "neurons, bias, current_decay < 1", lambda: [
        cuba.Input(dict(NEURON), weight=1.5, bias=0.25, **OFF), dense()]),
    Row("Dense", "in_neurons a number", lambda: [dense(), dense(8, 5)]),
    Row("Dense", "in_neurons a shape", lambda: [conv(), dense((4, 4, 4), 5)], FRAMES),
    Row("Dense", "weight_norm", lambda: [dense(weight_norm=True), dense(8, 5)]),
    Row("Dense", "mask", lambda: [
        dense(mask=(torch.arange(96).reshape(8, 12) % 3 > 0).float()), dense(8, 5)]),
    Row("Dense", "mask with weight_norm", lambda: [
        dense(mask=torch.ones(8, 12), weight_norm=True)]),
    Row("Dense", "delay", lambda: [dense(delay=True), dense(8, 5)]),
    Row("Dense", "count_log", lambda: [dense(count_log=True), dense(8, 5)]),
    Row("Dense", "without neurons", lambda: [dense(), without_neurons(cuba.Dense, 8, 5)]),
    Row("Conv", "stride, padding, dilation, groups", after_frames(
        lambda: conv(stride=(2, 1), padding=1, dilation=(1, 2), groups=2), size=4 * 3 * 4), FRAMES),
    Row("Conv", "delay", after_frames(lambda: conv(delay=True), size=64), FRAMES),
    Row("Conv", "without neurons", lambda: [without_neurons(cuba.Conv, 2, 3, 3)], FRAMES),
    Row("ConvT", "", after_frames(
        lambda: cuba.ConvT(dict(NEURON), 2, 3, 2, stride=2, weight_scale=8, **OFF),
        size=3 * 12 * 12), FRAMES),
    Row("Pool", "", after_frames(
        lambda: cuba.Pool(dict(NEURON), 2, weight_scale=1.2, **OFF), size=2 * 3 * 3), FRAMES),
    Row("Unpool", "", after_frames(
        lambda: cuba.Unpool(dict(NEURON), 2, weight_scale=1.5, **OFF), size=2 * 6 * 6), (2, 3, 3)),
    Row("Recurrent", "", lambda: [
        cuba.Recurrent(dict(NEURON), 12, 8, weight_scale=6, **OFF), dense(8, 5)]),
    Row("KWTA", "", lambda: [
        cuba.KWTA(dict(NEURON), 12, 8, 2, weight_scale=8, **OFF), dense(8, 5)]),
    Row("Affine", "dynamics", lambda: [dense(), cuba.Affine(dict(NEURON), 8, 5)]),
    Row("Affine", "no dynamics", lambda: [
        dense(), cuba.Affine(dict(NEURON), 8, 5, dynamics=False)]),
    Row("Average", "", lambda: [dense(), dense(8, 6), cuba.Average(3)]),
    Row("TimeDecimation", "", lambda: [dense(), dense(8, 6), cuba.TimeDecimation(2)]),
    Row("neurons", "shared_param=False", with_neuron(
        shared_param=False, current_decay=(0.2, 0.6), voltage_decay=(0.1, 0.3))),
    Row("neurons", "requires_grad=True", with_neuron(requires_grad=True)),
    Row("neurons", "norm, whose statistics rest", with_statistics),
    Row("neurons", "norm, whose statistics learn",
        with_neuron(norm=neurons.norm.MeanOnlyBatchNorm)),
    Row("neurons", "dropout", with_neuron(dropout=neurons.Dropout(0.2))),
    Row("neurons", "persistent_state=True", lambda: [
        dense(neuron=PERSISTS), dense(8, 5, neuron=PERSISTS)]),
    Row("neurons", "persistent_state=True of some", with_neuron(persistent_state=True)),
    Row("neurons", "graded_spike=True", with_neuron(graded_spike=True)),
    Row("networks", "channels of several blocks", lambda: [dense(), dense(12, 6), dense(14, 5)],
        settings=(("sources", {1: [la.INPUT], 2: [0, 1]}),)),
    Row("networks", "spikes of several blocks added", lambda: [dense(), dense(12, 8), dense(8, 5)],
        settings=(("sources", {1: [la.INPUT], 2: [async_slayer.Sum(0, 1)]}),)),
    Row("networks", "recurrence, delays between", lambda: [dense(), dense(16, 8), dense(8, 5)],
        settings=(("sources", {1: [0, (1, 2)]}),)),
    *(Row(name, "", build) for name, build in OTHERS.items()),
]  # fmt: skip


def tried(row: Row) -> str:
    """The line of the table."""
    rng = np.random.default_rng(2)
    x = torch.from_numpy((rng.random((2, *row.shape, 6)) < 0.5).astype(np.float32))
    try:
        own = _own(row, x)
        decisive = _network(row, _built(row), "decisive")
        trained = _trains(row, decisive, x)
    except UnsupportedError as error:
        refused = f"{error.what}: expected {error.expected}".split("; ")[0]
        return f"| {_name(row)} | {row.option} | refused: {refused} | | | | |\n"
    layered = "–" if own is None else _yes(own)
    unrolled = _trains(row, _network(row, _built(row), "unrolled"), x)
    same = _everywhere(row, decisive, x)
    cells = (_name(row), row.option, trained, unrolled, *same, layered)
    return f"| {' | '.join(cells)} |\n"


def _built(row: Row) -> list[torch.nn.Module]:
    torch.manual_seed(1)
    return list(row.build())


def _network(row: Row, blocks, gradient: str) -> async_slayer.Network:
    return async_slayer.Network(
        blocks, schedule=la.Momentum(3), gradient=gradient, input_shape=row.shape,
        **dict(row.settings),
    )  # fmt: skip


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def _ran(row: Row, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Its output; neurons that persist go on from a first call to a second one."""
    parts = x.split(4, -1) if row.option.startswith("persistent_state") else [x]
    return torch.cat([_first(model(part)) for part in parts], -1)


def _trains(row: Row, net, x: torch.Tensor) -> str:
    """Whether all that learns gets a gradient."""
    try:
        _ran(row, net.train(), x).square().sum().backward()
    except UnsupportedError as error:
        return f"no: {error.what}"
    learning = [p for p in net.parameters() if p.requires_grad]
    assert learning and all(p.grad is not None and p.grad.isfinite().all() for p in learning)
    return "yes"


def _everywhere(row: Row, net, x: torch.Tensor) -> tuple[str, str]:
    """Whether the file and what comes back of it, and all backends, give what the trainer does."""
    net.reset_state()
    with torch.no_grad():
        y = _ran(row, net.eval(), x).numpy()
    assert y.any(), row.name
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "network.net")
        net.export_hdf5(path)
        graph = la.load(path)
        with torch.no_grad():
            again = async_slayer.Network.from_hdf5(path).eval()(x).numpy()
    frames = x.numpy().astype(int)
    record = la.simulate(graph, frames, la.Momentum(3))
    found = record.decoded if graph.decoding else record.output
    unit = 1 if graph.output_can_fire else 1 << 12
    file = np.array_equal(found.reshape(y.shape) / unit, y) and np.array_equal(
        again.reshape(y.shape), y
    )
    return _yes(file), _yes(la.verify(graph, frames, la.Momentum(3)) is None)


def _own(row: Row, x: torch.Tensor) -> bool | None:
    """Whether it is SLAYER's own forward; None: SLAYER does not run it, or not as a chain."""
    ours = _network(row, _built(row), "decisive")
    if row.settings or row.option in ("without neurons", "count_log"):
        return None
    ours.schedule = la.LayerSync()
    want = x
    with torch.no_grad():
        for block in ours.blocks:  # the first, to draw what it draws in a first forward pass
            want = _ran(row, block.eval(), want)
        got = _ran(row, ours.eval(), x)
    return torch.equal(got.reshape(want.shape), want)


def _name(row: Row) -> str:
    return row.block if row.block in ("neurons", "networks") else f"`{row.block}`"


def _yes(found: bool) -> str:
    return "yes" if found else "NO"


def page(lines: Sequence[str]) -> str:
    """The page with these lines as its table."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return before + BEGIN + HEAD + "".join(lines) + END + after


if __name__ == "__main__":
    PAGE.write_text(page([tried(row) for row in ROWS]))
