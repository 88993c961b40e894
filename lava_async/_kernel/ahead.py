"""Compile what a command will need later, while it does something else, in another process."""

from __future__ import annotations

import atexit
import subprocess
import sys

import numpy as np

from lava_async._kernel import _entry, training
from lava_async._kernel._cache import is_kept
from lava_async._kernel.batch import run
from lava_async._kernel.stepper import Stepper
from lava_async._semantics.connections import INPUT, Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Momentum

_LATER = ("credit_samples", "run_samples", "run_step")  # training compiles its first pass itself


def compile_ahead() -> None:
    """Start, unless all of it was compiled before. The process ends with this one."""
    if all(is_kept(name, _entry.DIGEST) for name in _LATER):
        return
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
    atexit.register(process.terminate)


def main() -> None:
    """Call each once, on next to nothing, in the order in which training needs them."""
    dense = Dense(INPUT, 0, np.ones((1, 1), np.int16))
    graph = Graph((1,), (Population("neuron", (1,), 0, 0, 1),), (dense,))
    weights, frame = [np.ones((1, 1), np.float32)], np.zeros((1, 1), np.uint8)
    neurons = training.Neurons(i_decay=[0], v_decay=[0], threshold=[1], bias=[None])
    trainer = training.Trainer(graph, layered=False)
    blank = trainer.blank(trainer.load(weights, neurons))
    blank.backward(np.zeros((1, 1, 1), np.float32), training.Surrogate())
    run(graph, frame[None], Momentum())
    Stepper(graph, Momentum()).step(frame[0])
