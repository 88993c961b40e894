"""Every backend, and the trainer, on a tiny network, in a process of its own.

What is broken may crash the process that tries it, or wait for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from lava_async._doctor.findings import Finding
from lava_async._semantics.connections import INPUT, Conv, Dense
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Momentum
from lava_async._simulate import BACKENDS, simulate
from lava_async._verify import first_difference
from lava_async.errors import UnsupportedError

_TRAINER = "trainer"
TRIED = (*BACKENDS, _TRAINER)
_COMPILED = "run_samples", "run_step", "record_samples"
"""Kernels that they call."""
TIME_LIMIT = 900.0  # seconds that one of them may take, compilation included

_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main(sys.argv[1:])"


def try_backends() -> Iterator[Finding]:
    """Run the network on each backend and in the trainer, and compare with the definition.

    Takes some seconds once the kernels have been compiled, most of them the import of SLAYER, and
    never longer than `TIME_LIMIT` for each of `TRIED`.
    """
    _announce_compiling()
    left: list[str] = list(TRIED)
    while left:
        with tempfile.TemporaryFile() as complaints:
            for backend, text, ok in _answers(tuple(left), complaints):
                left.remove(backend)
                name = backend if backend == _TRAINER else f"backend {backend}"
                yield Finding(name, text, ok)


def _announce_compiling() -> None:
    """Say what the attempts, which nobody hears, are going to compile."""
    try:
        from lava_async._kernel._cache import announce, is_kept
        from lava_async._kernel._entry import DIGEST
    except Exception:  # whatever a broken compiler raises, they tell of it
        return
    for kernel in _COMPILED:
        if not is_kept(kernel, DIGEST):
            announce(kernel)


def _answers(backends: Sequence[str], complaints: IO[bytes]) -> Iterator[tuple[str, str, bool]]:
    """Of a process that tries one after the other; the last of them says how that ended."""
    program = _START.format(path=sys.path, module=__name__)
    process = subprocess.Popen(
        [sys.executable, "-c", program, *backends],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints,
        start_new_session=True,
    )  # fmt: skip
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
    try:
        for backend in backends:
            try:
                line = lines.get(timeout=TIME_LIMIT)
            except queue.Empty:
                yield backend, f"no answer within {TIME_LIMIT:.0f} s", False
                return
            if line is None:
                yield backend, _ending(process.wait(), complaints), False
                return
            text, ok = json.loads(line)
            yield backend, text, ok
    finally:
        _kill(process)


def _pass_on(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _ending(status: int, complaints: IO[bytes]) -> str:
    complaints.seek(0)
    told = complaints.read().decode(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"the process ended ({how}){': ' + told[-1] if told else ''}"


def main(backends: Sequence[str]) -> None:
    """Print a line of JSON for each backend: how it did, and whether that is well."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print
    for backend in backends:
        tried = _try_trainer() if backend == _TRAINER else _try(backend)
        print(json.dumps(tried), file=answers, flush=True)


def _try_trainer() -> tuple[str, bool]:
    """Without a gradient, whose kernels take half a minute to compile."""
    graph, x, schedule = _network()
    begin = time.perf_counter()
    try:
        import torch

        from lava_async.slayer import Network

        with torch.no_grad():
            net = Network.from_graph(graph, schedule=schedule)
            _, spikes = net(torch.from_numpy(x).float(), return_spikes=True)
        right = simulate(graph, x, schedule, backend="reference").all_spikes
    except Exception as error:  # whatever it is, it is what the user asks about
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        if missing in ("torch", "lava"):  # of which it is told whether they should be there
            return f"not without {missing}", True
        return _told(error), False
    if not np.array_equal(spikes.numpy(), right):
        return "other spikes than the reference", False
    return f"ok, same spikes, {time.perf_counter() - begin:.1f} s", True


def _try(backend: str) -> tuple[str, bool]:
    graph, x, schedule = _network()
    begin = time.perf_counter()
    try:
        record = simulate(graph, x, schedule, backend=backend, trace=True)
        took = f"{time.perf_counter() - begin:.1f} s"
        if not record.spikes.any():
            return "no spike came out", False
        right = simulate(graph, x, schedule, backend="reference", trace=True)
        different = first_difference(graph, right, record, ("reference", backend))
    except UnsupportedError as error:
        missing = (getattr(error.__cause__, "name", None) or str(error)).partition(".")[0]
        return f"not without {missing}", missing == "lava"
    except Exception as error:  # whatever it is, it is what the user asks about
        return _told(error), False
    if different is not None:
        return str(different), False
    return f"ok, {took}" if backend == "reference" else f"ok, same spikes, {took}", True


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _network() -> tuple[Graph, np.ndarray, Momentum]:
    """A convolution, a dense population that sees itself, and delays; and what it runs on."""
    rng = np.random.default_rng(0)
    populations = (
        Population("conv", (2, 3, 3), 1024, 128, 20),
        Population("dense", (6,), 4096, 512, 30),
    )
    kernel, weight, back = (
        rng.integers(-20, 40, shape).astype(np.int16) for shape in ((2, 1, 2, 2), (6, 18), (6, 6))
    )
    connections = (
        Conv(INPUT, 0, kernel, (1, 1), (0, 0), (1, 1), 1),
        Dense(0, 1, weight, delay=1),
        Dense(1, 1, -back),
    )
    graph, x = Graph((1, 4, 4), populations, connections), rng.integers(0, 2, (1, 1, 4, 4, 6))
    return graph, x, Momentum(2, noise=0.5)
