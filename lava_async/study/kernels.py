"""Kernels compiled once, before processes begin that would each compile the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lava_async import _kernel
from lava_async._kernel import _entry, ahead, training
from lava_async._kernel._cache import announce, is_kept
from lava_async._semantics.connections import INPUT, Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Momentum
from lava_async.study import processes

Compile = Callable[[], object]

_WEIGHT = np.ones((1, 1), np.int16)
_GRAPH = Graph((1,), (Population("neuron", (1,), 0, 0, 1),), (Dense(INPUT, 0, _WEIGHT),))
_NOTHING = np.zeros((1, 1, 1), np.uint8)


def missing(for_training: bool) -> list[Compile]:
    """What compiles those kernels of a study's cells that are not on this machine's disk."""
    wanted = [run_and_record, ahead.main] if for_training else [run]
    return [compile_now for compile_now in wanted if _names_missing(compile_now)]


def compile_all(kernels: Sequence[Compile], jobs: int | None) -> None:
    """Compile at a time as many as there are ``jobs``, and say so here.

    Raises
    ------
    ExecutionError
        As `processes.each` does.
    """
    for kernel in kernels:
        for name in _names_missing(kernel):
            announce(name)
    calls = [{place: (kernel,)} for place, kernel in enumerate(kernels)]
    for _ in processes.each(_call, calls, lambda place: "compiling kernels", jobs):
        pass


def run() -> None:
    """Run a network in which nothing happens."""
    _kernel.run(_GRAPH, _NOTHING, Momentum(), num_threads=1)


def run_and_record() -> None:
    """The same, also as training does it: what both have in common is compiled once."""
    run()
    trainer = training.Trainer(_GRAPH, layered=False)
    neurons = training.Neurons(i_decay=[0], v_decay=[0], threshold=[1], bias=[None])
    trainer.run(
        trainer.load([_WEIGHT.astype(np.float32)], neurons), _NOTHING[0], 1, np.zeros(1, np.int64),
        Momentum(), neuron_range=(0, 1), taped=True, team=training.OwnThreads(1),
    )  # fmt: skip


_NAMES: dict[Compile, tuple[str, ...]] = {
    run: ("run_samples",),
    run_and_record: ("run_samples", "record_samples"),
    ahead.main: ("credit_samples", "learn_samples"),
}
"""What each compiles."""


def _names_missing(compile_now: Compile) -> list[str]:
    return [name for name in _NAMES[compile_now] if not is_kept(name, _entry.DIGEST)]


def _call(kernel: Compile) -> None:
    kernel()
