"""Lava's runtime, supervised: the one place where its faults are worked around.

Lava 0.10 is archived, so what it gets wrong is mended here, by overriding:

- An error in a process model leaves its neighbours waiting for messages, and the caller
  waiting for them. Here every wait of the caller also watches the processes.
- After ``pause()`` no later run reports its end, and ``pause()`` and ``stop()`` fail when the
  run ends at the same moment.
- Ctrl-C leaves the run going on, and a message half-sent.
- Reading a Var during a run returns None, setting it does nothing; a wrong index, or one in
  `Var.set`, ends in a message too few or too many.
- A program that does not stop its network never ends.
- Channels live in named shared memory, served by one more process, and both outlive a crash.
  See `channels` for ours, which leave nothing to clean up.

What it gets wrong before anything runs is mended in `compile`.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from typing import Any, NoReturn

import numpy as np
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.run_conditions import AbstractRunCondition
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND, MGMT_RESPONSE, enum_equal
from lava.magma.runtime.runtime import Runtime
from lava.magma.runtime.runtime_services.runtime_service import LoihiPyRuntimeService
from scipy.sparse import spmatrix

from lava_async._lava.children import (
    Child,
    Infrastructure,
    Progress,
    ResumableLoihiService,
    describe_waiting,
)
from lava_async._lava.interrupts import Interrupts
from lava_async.errors import ExecutionError, ProcessError, ValidationError

POLL_INTERVAL = 0.05  # seconds between two looks at the processes while waiting
STOP_TIMEOUT = 5.0  # seconds that processes have to pause after Ctrl-C, or to end by themselves
REPORT_TIMEOUT = 1.0  # seconds that a report may come later than the first sign of failure
STALL_TIMEOUT = 60.0  # seconds without any use of the CPU: all processes wait for each other


class _OutOfTime(ProcessError):
    """A wait has exceeded its time limit."""


class _WatchedPort:
    """A port of the caller whose blocking calls watch the processes meanwhile."""

    def __init__(self, port: Any, wait: Callable[[Callable[[float], bool]], None]) -> None:
        self._wait = wait
        self._port = port
        self.wait = port.wait

    def send(self, data: np.ndarray) -> None:
        self._wait(self._port.wait)
        self._port.send(data)

    def recv(self) -> np.ndarray:
        self._wait(self._port.wait)
        return self._port.recv()


class SupervisedRuntime(Runtime):
    """A Lava runtime that cannot hang.

    Every wait ends in its answer, or in `ProcessError` as soon as a process has failed or
    disappeared, or time is up; everything has been stopped by then. Ctrl-C pauses a run;
    where that fails, everything has been stopped too.

    Parameters
    ----------
    executable : Executable
        The compiled network.
    timeout : float, optional
        Seconds that one wait may last. None: for as long as the processes make progress.
    """

    # Lava's declarations are narrower than what they stand for here.
    runtime_to_service: Any
    service_to_runtime: Any
    _executable: Any
    _messaging_infrastructure: Any

    def __init__(self, executable: Executable, timeout: float | None = None) -> None:
        super().__init__(executable, ActorType.MultiProcessing)
        self._timeout = timeout
        self._limit: float | None = None  # the start may take as long as it needs
        self._owner = os.getpid()
        self._interrupts = Interrupts()
        self._lock = threading.RLock()  # of whoever exchanges messages with the network
        self._at_exit: Any = None
        self._stopping = False
        self._failure: str | None = None  # what happened, if the network cannot be asked to stop
        self._messaging_infrastructure = Infrastructure(
            {
                id(builder): f"{process.name!r} ({type(process).__name__})"
                for process, builder in executable.proc_builders.items()
            }
        )

    # ------------------------------------------------------------ life cycle

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Start all processes and wait until each is built."""
        # Before multiprocessing waits for all children.
        self._at_exit = Finalize(None, self.stop, exitpriority=10)
        with self._exchange():
            for builder in (self._executable.runtime_service_builders or {}).values():
                if builder.rs_class is LoihiPyRuntimeService:
                    builder.rs_class = ResumableLoihiService
            self._build_watchdog_manager()
            self._messaging_infrastructure.start()
            self._build_channels()
            self._build_sync_channels()
            self._build_processes()
            self._build_runtime_services()
            self.exception_q = []  # the children report through pipes of their own
            self._start_ports()
            to_service, from_service = self.runtime_to_service, self.service_to_runtime
            self.runtime_to_service = [_WatchedPort(p, self._wait) for p in to_service]
            self.service_to_runtime = [_WatchedPort(p, self._wait) for p in from_service]
            for child in self._children:
                self._wait(child.wait_until_ready)
            self._limit = self._timeout
            self._is_initialized = True
            # Lava waits for the first run, but services and models take requests from here on.
            self._is_started = True

    def start(self, run_condition: AbstractRunCondition) -> None:
        self._check_at_rest()
        with self._exchange(pausable=True):
            super().start(run_condition)

    def wait(self) -> None:
        with self._exchange(pausable=True):
            super().wait()

    def pause(self) -> None:
        self._check_alive()
        if self._is_running:
            with self._exchange():
                for port in self.runtime_to_service:
                    port.send(MGMT_COMMAND.PAUSE)
                for port in self.service_to_runtime:
                    self._receive(port, MGMT_RESPONSE.PAUSED)
                self._is_running = False

    def stop(self) -> None:
        """End all processes: by request, and by force where that takes too long."""
        # A forked child inherits this object, and must not stop its siblings.
        if self._stopping or os.getpid() != self._owner:
            return
        with self._interrupts:
            self._stopping = True
            try:
                if self._is_initialized and self._failure is None:
                    self._stop_by_request()
            finally:
                self._is_running = self._is_started = False
                self._release()

    def _stop_by_request(self) -> None:
        self._limit = STOP_TIMEOUT

        def all_gone(timeout: float) -> bool:
            return all(c.wait_until_gone(timeout / len(self._children)) for c in self._children)

        with contextlib.suppress(_OutOfTime):
            for port in self.runtime_to_service:
                port.send(MGMT_COMMAND.STOP)
            for port in self.service_to_runtime:
                self._receive(port, MGMT_RESPONSE.TERMINATED)
            self._wait(all_gone)

    def _release(self) -> None:
        self._messaging_infrastructure.stop()
        self.join()
        if self._watchdog_manager is not None:
            self._watchdog_manager.stop()
        if self._at_exit is not None:
            self._at_exit.cancel()
        # The processes keep this object, which must not keep the channels.
        self.runtime_to_service = self.service_to_runtime = []
        self._executable = None

    # ------------------------------------------------------------ requests

    def get_var(self, var_id: int, idx: Any = None) -> np.ndarray:
        self._check_at_rest()
        with self._exchange():
            value = super().get_var(var_id)
        return value if idx is None else value[idx]

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        self._check_at_rest()
        value = np.asarray(value)
        var: Any = self._executable.node_configs[0].var_models.get(var_id)
        if var is not None and not issubclass(var.dtype, (str, spmatrix)):  # whose sizes vary
            if idx is not None:
                whole = self.get_var(var_id)
                whole[idx] = value
                value = whole
            # Values left over would be taken for requests.
            if value.size != math.prod(var.shape):
                raise ValidationError("Var.set", var.name, f"shape {var.shape}", value.shape)
            if value.dtype.kind not in "buif":
                raise ValidationError("Var.set", var.name, "numbers", value.dtype)
        with self._exchange():
            super().set_var(var_id, value)

    def _check_alive(self) -> None:
        if not self._is_initialized or self._stopping:
            raise ExecutionError(
                f"Lava network: does not run any more: {self._failure or 'it was stopped'}"
            )

    def _check_at_rest(self) -> None:
        self._check_alive()
        if self._is_running:
            wanted = "at rest: pause() or wait() first"
            raise ExecutionError("Lava network", "state", wanted, "a run in progress")

    def _get_resp_for_run(self) -> None:
        """Wait until every runtime service has reported the end of the run."""
        waiting = list(self.service_to_runtime) if self._is_running else []

        def any_arrived(timeout: float) -> bool:
            return any(port.wait(timeout / len(waiting)) for port in waiting)

        while waiting:
            self._wait(any_arrived)
            port = next(port for port in waiting if port.wait(0))
            response = port.recv()
            if enum_equal(response, MGMT_RESPONSE.REQ_PAUSE):
                return self.pause()
            if enum_equal(response, MGMT_RESPONSE.REQ_STOP):
                return self.stop()
            self._check_done(response)
            waiting.remove(port)
        self._is_running = False

    def _receive(self, port: _WatchedPort, answer: np.ndarray) -> None:
        """Wait for an answer; the end of a run, or the wish to end it, may come just before."""
        wishes = MGMT_RESPONSE.REQ_PAUSE, MGMT_RESPONSE.REQ_STOP
        while not enum_equal(response := port.recv(), answer):
            if not any(enum_equal(response, wish) for wish in wishes):
                self._check_done(response)

    def _check_done(self, response: np.ndarray) -> None:
        """Any other response means that a child is about to report an error."""
        if not enum_equal(response, MGMT_RESPONSE.DONE):
            self._raise_failure()

    # ------------------------------------------------------------ supervision

    @property
    def _children(self) -> list[Child]:
        return self._messaging_infrastructure.actors

    @contextlib.contextmanager
    def _exchange(self, pausable: bool = False) -> Iterator[None]:
        """Exchange messages with the network, to the end or never again.

        Ctrl-C takes effect while a message does not come, or after the exchange. Whatever
        ends it before (Ctrl-C or any other exception) may have left a message half-sent or
        unread. A run can be paused even so: where the channels are out of step, no answer
        comes. All else is stopped.
        """
        if not self._lock.acquire(blocking=False):
            raise ExecutionError(
                "Lava network", "caller", "one thread at a time", "another that waits for it"
            )
        with contextlib.ExitStack() as held:
            held.callback(self._lock.release)
            held.enter_context(self._interrupts)
            try:
                yield
            except BaseException as error:
                if self._stopping:
                    raise
                if pausable and self._is_running:
                    self._limit = STOP_TIMEOUT
                    with contextlib.suppress(ProcessError):  # all has been stopped then
                        self.pause()
                    self._limit = self._timeout
                else:
                    self._failure = f"interrupted by {type(error).__name__}"
                    self.stop()
                raise

    def _wait(self, arrived: Callable[[float], bool]) -> None:
        """Wait for something, and watch the processes meanwhile.

        arrived : waits for at most so many seconds, returns whether it is there.
        """
        if arrived(0):
            return
        progress = Progress(self._children)
        deadline = math.inf if self._limit is None else time.monotonic() + self._limit
        while not arrived(POLL_INTERVAL):
            self._interrupts.deliver()
            if any(child.has_failed(self._stopping) for child in self._children):
                self._raise_failure()
            if time.monotonic() > deadline:
                self._give_up(f"did not answer within {self._limit} s")
            if self._limit is None and progress.idle_time() > STALL_TIMEOUT:
                self._give_up(
                    "stands still: its processes wait for messages that none sends "
                    f"(no use of the CPU for {STALL_TIMEOUT} s)"
                )

    def _give_up(self, what: str) -> NoReturn:
        if not self._stopping:
            what += f"; waiting: {describe_waiting(self._children, REPORT_TIMEOUT)}"
        self._fail(_OutOfTime(f"Lava network: {what}"))

    def _raise_failure(self) -> NoReturn:
        """Name the process that failed, once its report is there."""
        deadline = time.monotonic() + REPORT_TIMEOUT
        while True:
            reports = filter(None, [child.describe_failure() for child in self._children])
            report = next(reports, None)
            if report is not None or time.monotonic() > deadline:
                gone = ", ".join(f"process {c.label}" for c in self._children if c.exitcode == 0)
                self._fail(
                    ProcessError(report or f"{gone or 'a Lava process'}: ended without a report")
                )
            time.sleep(POLL_INTERVAL / 10)

    def _fail(self, error: ProcessError) -> NoReturn:
        self._failure = str(error).partition("\n")[0]
        self.stop()
        raise error
