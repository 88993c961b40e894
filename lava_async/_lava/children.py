"""The operating-system processes of a Lava network: they report what becomes of them."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection, process
from typing import Any

import numpy as np
from lava.magma.compiler.channels.interfaces import AbstractCspPort, Channel, ChannelType
from lava.magma.compiler.channels.pypychannel import CspSelector
from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing
from lava.magma.runtime.runtime_services.runtime_service import LoihiPyRuntimeService
from scipy.sparse import issparse

from lava_async._interrupts import without_ctrl_c
from lava_async._lava.channels import ForkedChannel, Memory, select
from lava_async._lava.fork import FORK

SERVICE = "runtime service"  # label of the processes that only pass on the caller's requests
_ASK = signal.SIGUSR1  # what is the child waiting for?
_REQUESTS = "service_to_process"  # the port at which a process waits between its time steps


class Child(FORK.Process):
    """An operating-system process that runs one Lava process model or runtime service."""

    def __init__(self, label: str, builder: Any) -> None:
        super().__init__(name=label)
        self.label = label
        self.ready = False
        self.failure: tuple[str, str] | None = None  # summary, traceback
        self.position: str | None = None  # as of `ask_position`
        self._builder = builder
        self._reports, self._sender = mp.Pipe(duplex=False)

    def start(self) -> None:
        try:
            with without_ctrl_c():
                super().start()
        finally:
            self._sender.close()  # so that the death of the child ends the pipe

    def run(self) -> None:
        threading.Thread(target=_exit_with_parent, daemon=True).start()
        signal.signal(_ASK, lambda _, frame: self._sender.send(_describe_position(frame)))
        CspSelector.select = select  # type: ignore[method-assign]  # in this process only
        for request in ("_get_var", "_set_var"):
            served = _with_scalars(getattr(AbstractPyProcessModel, request))
            setattr(AbstractPyProcessModel, request, served)
        status = 0
        try:
            actor = self._builder.build()
            self._sender.send(None)
            actor.start()
        except BaseException as error:
            # Text only: not every exception survives pickling.
            self._sender.send((_summarise(error), traceback.format_exc()))
            status = 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        # Past the exit hooks that the child inherited, which are the caller's: that of
        # `concurrent.futures`, for one, waits for threads that exist there only.
        os._exit(status)

    def _update(self) -> None:
        """Take in what the child has reported."""
        with contextlib.suppress(EOFError, OSError):
            while self._reports.poll():
                report = self._reports.recv()
                if report is None:
                    self.ready = True
                elif isinstance(report, str):
                    self.position = report
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
        # Where the caller ignores SIGCHLD, or starts processes in other threads, the exit
        # status may go elsewhere.
        return self.exitcode is not None or bool(connection.wait([self.sentinel], 0))

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

    def ask_position(self) -> None:
        """Have the child tell where it stands, before it waits on."""
        if self.exitcode is None and self.pid is not None:
            os.kill(self.pid, _ASK)

    def wait_for_position(self, timeout: float) -> None:
        if self._reports.poll(timeout):
            self._update()

    def release(self) -> None:
        """Make sure that the child is gone; free what belongs to it."""
        if self.exitcode is None:
            self.kill()
        # Without `close`, which fails where the exit status went elsewhere, and makes another
        # thread fail that starts a process at this moment; what it frees goes with this object.
        self.join()
        # It would keep for ever a child whose exit status went elsewhere.
        process._children.discard(self)  # type: ignore[attr-defined]
        self._reports.close()


def _summarise(error: BaseException) -> str:
    """One line."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be had)"
    return f"{type(error).__name__}: {message}".partition("\n")[0]


def _with_scalars(request: Callable[[Any], None]) -> Callable[[Any], None]:
    """Serve a get or set of a Var whose model holds a number instead of an array.

    Lava's own cannot get or set it, or turn an int into a float, which then they cannot.
    """

    def serve(model: Any) -> None:
        names = model.var_id_to_var_map.values()
        before = {name: getattr(model, name) for name in names}
        scalars = {n: v for n, v in before.items() if isinstance(v, (int, float, np.generic))}
        for name, value in scalars.items():
            setattr(model, name, np.array([value]))
        update = model.on_var_update
        changes = []
        model.on_var_update = lambda: changes.append(True)
        try:
            request(model)
        finally:
            model.on_var_update = update
        for name, value in scalars.items():
            setattr(model, name, type(value)(getattr(model, name)[0]))
        for name, value in before.items():
            if issparse(value):
                setattr(model, name, getattr(model, name).astype(value.dtype, copy=False))
        if changes:
            update()

    return serve


def _exit_with_parent() -> None:
    """A child whose parent was killed would wait for ever."""
    parent = mp.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _describe_position(frame: Any) -> str:
    """Where this process stands, in the words of `describe_waiting`: a port, or a line."""
    line = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
    while frame is not None:
        port = frame.f_locals.get("self")
        if isinstance(port, AbstractCspPort):
            return port.name
        frame = frame.f_back
    return line


def describe_waiting(children: list[Child], timeout: float) -> str:
    """The processes in the middle of a time step, and the port or line where each waits."""
    models = sorted((c for c in children if c.label != SERVICE), key=lambda c: c.label)
    for child in models:
        child.ask_position()
    deadline = time.monotonic() + timeout
    for child in models:
        child.wait_for_position(max(0, deadline - time.monotonic()))
    busy = [c for c in models if c.position is None or not c.position.startswith(_REQUESTS)]
    return ", ".join(f"{c.label} at {c.position or 'an unknown place'}" for c in busy or models)


class Infrastructure(MultiProcessing):
    """Starts children that report, and channels without threads.

    Parameters
    ----------
    labels : dict
        How to call the process of a builder, given by its ``id``.
    """

    _actors: list[Any]

    def __init__(self, labels: dict[int, str]) -> None:
        super().__init__()
        self._labels = labels

    def start(self) -> None:
        """Nothing to start: there is no manager of shared memory."""

    @property
    def smm(self) -> Infrastructure:
        """What serves memory to the channels between caller and network, which stay Lava's."""
        return self

    def create_shared_memory(self, size: int) -> Memory:
        return Memory(size)

    def build_actor(self, target_fn: Callable, builder: Any, exception_q: Any = None) -> Child:
        child = Child(self._labels.get(id(builder), SERVICE), builder)
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


class ResumableLoihiService(LoihiPyRuntimeService):
    """Forgets a pause once it is over; Lava's never reports the end of a run again."""

    def _handle_pause(self) -> None:
        super()._handle_pause()
        self.pausing = self.req_pause = False


class Progress:
    """Notices when all processes wait for each other: none uses the CPU any more."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._cpu_time = -1
        self._since = self._looked = time.monotonic()

    def idle_time(self) -> float:
        """Seconds since the CPU was last seen to be used."""
        now = time.monotonic()
        if now - self._looked > 1:
            self._looked = now
            cpu_time = sum(_cpu_time(child.pid) for child in self._children)
            if cpu_time != self._cpu_time:
                self._cpu_time, self._since = cpu_time, now
        return now - self._since


def _cpu_time(pid: int | None) -> int:
    """CPU time of a process in clock ticks; where the system does not tell, it seems busy."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return time.monotonic_ns()
    return int(fields[11]) + int(fields[12])
