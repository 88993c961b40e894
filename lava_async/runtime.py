"""Run any Lava network without hanging.

Lava runs each process of a network in an operating-system process of its own. When one of
them fails, its neighbours wait for its messages, and Lava waits for them, for ever. `Runner`
watches the processes while it waits.

>>> with Runner(network, Loihi2SimCfg(select_tag="fixed_pt")) as run:
...     run(num_steps=100)
...     network.spike_count.get()
...     run(num_steps=100)
"""

from __future__ import annotations

from types import TracebackType

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava.magma.core.run_configs import RunConfig

from lava_async._lava.compile import compile_network
from lava_async._lava.supervised import SupervisedRuntime
from lava_async.errors import ExecutionError, ProcessError, ValidationError

__all__ = ["ProcessError", "Runner"]


class Runner:
    """Runs a Lava network and stops it at the end of the ``with`` block, whatever happens.

    Inside the block, `Var.get`, `Var.set`, ``pause()`` and ``wait()`` of the network's
    processes are watched too. Vars can be read and set while no run is in progress, before the
    first one too. A network runs in one block only: Lava compiles it once.

    Ctrl-C during a run pauses it at the end of its time step before it raises
    `KeyboardInterrupt`, so that a caller who catches that inside the block can go on. Where the
    network does not pause within seconds, or on a second Ctrl-C, everything is stopped.

    Parameters
    ----------
    process : AbstractProcess
        Any process of the network; all that are connected to it run.
    run_cfg : RunConfig
        Chooses the process models, e.g. ``Loihi2SimCfg(select_tag="fixed_pt")``.
    timeout : float, optional
        Seconds that one run may last. None: no limit as long as the processes make
        progress; a network in which none has used the CPU for a minute is taken to be
        deadlocked. ``math.inf``: no limit as long as they are alive.

    Raises
    ------
    ProcessError
        A process failed, was killed, or time is up. The first line of the message names the
        process and the error, the traceback in that process follows. All processes have
        been stopped by then.
    """

    def __init__(
        self, process: AbstractProcess, run_cfg: RunConfig, timeout: float | None = None
    ) -> None:
        if not isinstance(process, AbstractProcess):
            raise ValidationError("Runner", "process", "a Lava process", type(process).__name__)
        if not isinstance(run_cfg, RunConfig):
            raise ValidationError("Runner", "run_cfg", "a RunConfig", type(run_cfg).__name__)
        if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
            raise ValidationError("Runner", "timeout", "None or seconds > 0", repr(timeout))
        self._process = process
        self._run_cfg = run_cfg
        self._timeout = timeout
        self._runtime: SupervisedRuntime | None = None

    def __enter__(self) -> Runner:
        """Compile the network and start its processes."""
        executable = compile_network(self._process, self._run_cfg)
        self._runtime = SupervisedRuntime(executable, self._timeout)
        try:
            executable.assign_runtime_to_all_processes(self._runtime)
            self._process.runtime = self._runtime
            self._runtime.initialize()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, num_steps: int | None = None) -> None:
        """Run, and return when done.

        Parameters
        ----------
        num_steps : int, optional
            Time steps. None: return at once, and run until `pause` or the end of the block.
        """
        if num_steps is None:
            self._running.start(RunContinuous())
        elif (
            isinstance(num_steps, bool)
            or not isinstance(num_steps, (int, np.integer))
            or num_steps < 1
        ):
            raise ValidationError("Runner", "num_steps", "None or an integer >= 1", repr(num_steps))
        else:
            self._running.start(RunSteps(int(num_steps)))

    def pause(self) -> None:
        """End a run without a number of time steps, at the end of its time step."""
        self._running.pause()

    @property
    def _running(self) -> SupervisedRuntime:
        if self._runtime is None:
            raise ExecutionError("Runner", "state", "inside a with block", "outside")
        return self._runtime

    def _stop(self) -> None:
        if self._runtime is not None:
            try:
                self._runtime.stop()
            finally:
                self._runtime = None
