"""Compiles all kernels into the cache on disk: what they have in common, once."""

import numpy as np

import lava_async as la
from lava_async._kernel import Stepper, _entry, ahead
from lava_async._kernel._cache import is_kept
from lava_async.study import kernels, processes


def compile_missing():
    """In two processes, about as long."""
    missing = kernels.missing(for_training=True)
    if not is_kept("run_step", _entry.DIGEST):
        missing = [run_record_and_step, *(each for each in missing if each is ahead.main)]
    calls = [{place: (compile_now,)} for place, compile_now in enumerate(missing)]
    for _ in processes.each(call, calls, lambda place: "compiling kernels"):
        pass


def call(compile_now):
    compile_now()


def run_record_and_step():
    """Once more by itself, a time step takes as long as a batch."""
    kernels.run_and_record()
    graph = la.Graph(
        (1,), (la.Population("p", (1,), 0, 0, 1),), (la.Dense(la.INPUT, 0, np.ones((1, 1))),)
    )
    Stepper(graph, la.Momentum()).step(np.ones(1, np.int64))
