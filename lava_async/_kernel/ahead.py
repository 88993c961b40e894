"""Compile what training needs in two processes, the first time."""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from lava_async._kernel import _entry, training
from lava_async._kernel._cache import is_kept
from lava_async._kernel.batch import run
from lava_async._kernel.stepper import Stepper
from lava_async._semantics.connections import INPUT, Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Momentum

_FIRST, _BACK = "record_samples", "credit_samples"
_POLL = 0.05  # seconds


def compile_ahead() -> Callable[[], None]:
    """Start another process on the time step, and all that consists of it.

    Returns
    -------
    callable
        To be called before training begins: compiles the way back here, and waits for the
        forward pass. It does nothing if both were compiled before.
    """
    if is_kept(_FIRST, _entry.DIGEST) and is_kept(_BACK, _entry.DIGEST):
        return lambda: None
    command = [sys.executable, "-c", f"from {__name__} import step_forward; step_forward()"]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
    atexit.register(process.terminate)

    def meet() -> None:
        walk_back()
        while process.poll() is None and not is_kept(_FIRST, _entry.DIGEST):
            time.sleep(_POLL)

    return meet


def walk_back() -> None:
    """Walk back through a pass in which nothing happened."""
    trainer, loaded = _trainer()
    loss = np.zeros((1, 1, 1), np.float32)
    trainer.blank(loaded).backward(loss, training.Surrogate())


def step_forward() -> None:
    """Run one time step in all ways, in the order in which they will be needed."""
    trainer, loaded = _trainer()
    frame, ids, momentum = np.zeros((1, 1), np.uint8), np.zeros(1, np.int64), Momentum()
    trainer.run(
        loaded, frame, 1, ids, momentum, neuron_range=(0, 1), taped=True,
        team=training.OwnThreads(1),
    )  # fmt: skip
    run(trainer.graph, frame[None], momentum)
    Stepper(trainer.graph, momentum).step(frame[0])


def _trainer() -> tuple[training.Trainer, training.Loaded]:
    """A network of one neuron, whose types are those of all."""
    dense = Dense(INPUT, 0, np.ones((1, 1), np.int16))
    graph = Graph((1,), (Population("neuron", (1,), 0, 0, 1),), (dense,))
    neurons = training.Neurons(i_decay=[0], v_decay=[0], threshold=[1], bias=[None])
    trainer = training.Trainer(graph, layered=False)
    return trainer, trainer.load([np.ones((1, 1), np.float32)], neurons)
