"""Lava's runtime, supervised: the one place where its faults are worked around.

Lava 0.10 is archived, so what it gets wrong is mended here, by overriding:

- An error in a process model leaves its neighbours waiting for messages, and the caller
  waiting for them. Here every wait of the caller also watches the processes.
- After ``pause()`` no later run reports its end, and ``pause()`` and ``stop()`` fail when the
  run ends at the same moment.
- Channels live in named shared memory, served by one more process, and both outlive a crash.
  See `_lava_channels` for ours, which leave nothing to clean up.
- Every process registers itself and its Vars for ever, and adds one more handler to the
  root logger.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection
from typing import Any, NoReturn

import numpy as np
from lava.magma.compiler.channels.interfaces import Channel, ChannelType
from lava.magma.compiler.channels.pypychannel import CspSelector
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.process.process import LogConfig, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_conditions import AbstractRunCondition
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND, MGMT_RESPONSE, enum_equal
from lava.magma.runtime.runtime import Runtime
from lava.magma.runtime.runtime_services.runtime_service import LoihiPyRuntimeService

from lava_async._lava_channels import ForkedChannel, Memory, select
from lava_async.errors import ExecutionError, ProcessError

POLL_INTERVAL = 0.05  # seconds between two looks at the processes while waiting
STOP_TIMEOUT = 5.0  # seconds that processes have to end by themselves
REPORT_TIMEOUT = 1.0  # seconds that a traceback may come later than the first sign of failure
STALL_TIMEOUT = 60.0  # seconds without any use of the CPU: all processes wait for each other


class _OutOfTime(ProcessError):
    """A wait has exceeded its time limit."""


class _Child(mp.Process):
    """An operating-system process that runs one Lava process model or runtime service."""

    def __init__(self, label: str, builder: Any) -> None:
        super().__init__(name=label)
        self.label = label
        self.ready = False
        self.failure: tuple[str, str] | None = None  # summary, traceback
        self._builder = builder
        self._reports, self._sender = mp.Pipe(duplex=False)

    def start(self) -> None:
        # Ctrl-C reaches the whole process group, but only the caller decides what ends. The
        # mask is inherited, which leaves no moment in which the child could be interrupted.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._sender.close()  # so that the death of the child ends the pipe

    def run(self) -> None:
        threading.Thread(target=_exit_with_parent, daemon=True).start()
        CspSelector.select = select  # type: ignore[method-assign]  # in this process only
        try:
            actor = self._builder.build()
            self._sender.send(None)
            actor.start()
        except BaseException as error:
            # Text only: not every exception survives pickling.
            summary = f"{type(error).__name__}: {error}".partition("\n")[0]
            self._sender.send((summary, traceback.format_exc()))
            sys.exit(1)

    def _update(self) -> None:
        """Take in what the child has reported."""
        with contextlib.suppress(EOFError, OSError):
            while self._reports.poll():
                report = self._reports.recv()
                if report is None:
                    self.ready = True
                else:
                    self.failure = report

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait until the model is built. False if it is not (yet)."""
        if not self.ready:
            self._reports.poll(timeout)
            self._update()
        return self.ready

    def wait_until_gone(self, timeout: float) -> bool:
        self.join(timeout)
        return self.exitcode is not None

    def has_failed(self, may_end: bool) -> bool:
        """Whether the child has failed, or ended although it must not."""
        self._update()
        return self.failure is not None or (
            self.exitcode is not None and not (may_end and self.exitcode == 0)
        )

    def describe_failure(self) -> str | None:
        """What happened: one line, then the traceback in the child if there is one."""
        self._update()
        if self.failure is not None:
            summary, stack = self.failure
            return f"process {self.label}: {summary}\n\n{stack}"
        if self.exitcode is not None and self.exitcode < 0:
            return f"process {self.label}: killed by {signal.Signals(-self.exitcode).name}"
        if self.exitcode:
            return f"process {self.label}: ended with exit status {self.exitcode}"
        return None

    def release(self) -> None:
        """Make sure that the child is gone; free what belongs to it."""
        if self.exitcode is None:
            self.kill()
        self.join()
        self.close()
        self._reports.close()


def _exit_with_parent() -> None:
    """A child whose parent was killed would wait for ever."""
    parent = mp.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


class _Infrastructure(MultiProcessing):
    """Starts children that report, and channels without threads."""

    _actors: list[Any]

    def __init__(self, labels: dict[int, str]) -> None:
        super().__init__()
        self._labels = labels

    def start(self) -> None:
        """Nothing to start: there is no manager of shared memory."""

    @property
    def smm(self) -> _Infrastructure:
        """What serves memory to the channels between caller and network, which stay Lava's."""
        return self

    def create_shared_memory(self, size: int) -> Memory:
        return Memory(size)

    def build_actor(self, target_fn: Callable, builder: Any, exception_q: Any = None) -> _Child:
        child = _Child(self._labels.get(id(builder), "runtime service"), builder)
        child.start()
        self._actors.append(child)
        return child

    def channel_class(self, channel_type: ChannelType) -> type[Channel]:
        if channel_type == ChannelType.PyPy:
            return ForkedChannel
        return super().channel_class(channel_type)

    def stop(self) -> None:
        for child in self._actors:
            child.release()
        self._actors.clear()


class _ResumableLoihiService(LoihiPyRuntimeService):
    """Forgets a pause once it is over; Lava's never reports the end of a run again."""

    def _handle_pause(self) -> None:
        super()._handle_pause()
        self.pausing = self.req_pause = False


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


class _Progress:
    """Notices when all processes wait for each other: none uses the CPU any more."""

    def __init__(self, children: list[_Child]) -> None:
        self._children = children
        self._cpu_time = -1
        self._since = self._looked = time.monotonic()

    def has_stalled(self) -> bool:
        now = time.monotonic()
        if now - self._looked > 1:
            self._looked = now
            cpu_time = sum(_cpu_time(child.pid) for child in self._children)
            if cpu_time != self._cpu_time:
                self._cpu_time, self._since = cpu_time, now
        return now - self._since > STALL_TIMEOUT


def _cpu_time(pid: int | None) -> int:
    """CPU time of a process in clock ticks; where the system does not tell, it seems busy."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return time.monotonic_ns()
    return int(fields[11]) + int(fields[12])


class SupervisedRuntime(Runtime):
    """A Lava runtime that cannot hang.

    Every wait ends in its answer, or in `ProcessError` as soon as a process has failed or
    disappeared, or time is up; everything has been stopped by then.

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
        self._failed = False
        self._stopping = False
        self._messaging_infrastructure = _Infrastructure(
            {
                id(builder): f"{process.name!r} ({type(process).__name__})"
                for process, builder in executable.proc_builders.items()
            }
        )

    # ------------------------------------------------------------ life cycle

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Start all processes and wait until each is built."""
        for builder in (self._executable.runtime_service_builders or {}).values():
            if builder.rs_class is LoihiPyRuntimeService:
                builder.rs_class = _ResumableLoihiService
        self._build_watchdog_manager()
        self._messaging_infrastructure.start()
        self._build_channels()
        self._build_sync_channels()
        self._build_processes()
        self._build_runtime_services()
        self.exception_q = []  # the children report through pipes of their own
        self._start_ports()
        self.runtime_to_service = [_WatchedPort(p, self._wait) for p in self.runtime_to_service]
        self.service_to_runtime = [_WatchedPort(p, self._wait) for p in self.service_to_runtime]
        for child in self._children:
            self._wait(child.wait_until_ready)
        self._limit = self._timeout
        self._is_initialized = True

    def start(self, run_condition: AbstractRunCondition) -> None:
        if not self._is_initialized or self._stopping:
            raise ExecutionError("the Lava runtime does not run (any more)")
        if self._is_running:
            raise ExecutionError("a run is in progress: pause() or wait() first")
        super().start(run_condition)

    def pause(self) -> None:
        if self._is_running:
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
        self._stopping = True
        try:
            if self._is_initialized and not self._failed:
                self._stop_by_request()
        finally:
            self._is_running = self._is_started = False
            self._release()

    def _stop_by_request(self) -> None:
        self._limit = STOP_TIMEOUT
        with contextlib.suppress(_OutOfTime):
            for port in self.runtime_to_service:
                port.send(MGMT_COMMAND.STOP)
            for port in self.service_to_runtime:
                self._receive(port, MGMT_RESPONSE.TERMINATED)
            for child in self._children:
                self._wait(child.wait_until_gone)

    def _release(self) -> None:
        self._messaging_infrastructure.stop()
        self.join()
        if self._watchdog_manager is not None:
            self._watchdog_manager.stop()
        # Lava's registries keep every process and its data for ever, only to number them.
        gone = {id(process) for process in self._executable.process_list}
        processes, variables = ProcessServer(), VarServer()
        processes.processes = [p for p in processes.processes if id(p) not in gone]
        variables.vars = [v for v in variables.vars if id(v.process) not in gone]
        # The processes keep this object, which must not keep the channels.
        self.runtime_to_service = self.service_to_runtime = []
        self._executable = None

    # ------------------------------------------------------------ requests

    def get_var(self, var_id: int, idx: Any = None) -> np.ndarray:
        self._check_started()
        return super().get_var(var_id, idx)

    def set_var(self, var_id: int, value: np.ndarray, idx: Any = None) -> None:
        self._check_started()
        super().set_var(var_id, value, idx)

    def _check_started(self) -> None:
        if not self._is_started:
            raise ExecutionError("Vars can be read and set after the first run, until the stop")

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
        """Wait for an answer; the end of a run may come just before it."""
        while not enum_equal(response := port.recv(), answer):
            self._check_done(response)

    def _check_done(self, response: np.ndarray) -> None:
        """Any other response means that a child is about to report an error."""
        if not enum_equal(response, MGMT_RESPONSE.DONE):
            self._raise_failure()

    # ------------------------------------------------------------ supervision

    @property
    def _children(self) -> list[_Child]:
        return self._messaging_infrastructure.actors

    def _wait(self, arrived: Callable[[float], bool]) -> None:
        """Wait for something, and watch the processes meanwhile.

        arrived : waits for at most so many seconds, returns whether it is there.
        """
        if arrived(0):
            return
        progress = _Progress(self._children)
        deadline = None if self._limit is None else time.monotonic() + self._limit
        while not arrived(POLL_INTERVAL):
            if any(child.has_failed(self._stopping) for child in self._children):
                self._raise_failure()
            if deadline is not None and time.monotonic() > deadline:
                self._fail(_OutOfTime(f"the Lava network did not answer within {self._limit} s"))
            if deadline is None and progress.has_stalled():
                self._fail(
                    ProcessError(
                        "the Lava network stands still: its processes wait for messages that "
                        f"none sends (no use of the CPU for {STALL_TIMEOUT} s)"
                    )
                )

    def _raise_failure(self) -> NoReturn:
        """Name the process that failed, once its report is there."""
        deadline = time.monotonic() + REPORT_TIMEOUT
        while True:
            reports = filter(None, [child.describe_failure() for child in self._children])
            report = next(reports, None)
            if report is not None or time.monotonic() > deadline:
                self._fail(ProcessError(report or "a Lava process ended without a report"))
            time.sleep(POLL_INTERVAL / 10)

    def _fail(self, error: ProcessError) -> NoReturn:
        self._failed = True
        self.stop()
        raise error


def drop_duplicate_log_handlers() -> None:
    """Every Lava process adds a handler to the root logger: leave one of them."""
    root = logging.getLogger()
    ours = [
        handler
        for handler in root.handlers
        if type(handler) is logging.StreamHandler
        and handler.formatter is not None
        and handler.formatter._fmt == LogConfig.format
    ]
    for handler in ours[1:]:
        root.removeHandler(handler)
