"""Calls in other processes, through joblib: on the cores of this machine, or on a Dask cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from lava_async._compiling import leave_untold
from lava_async._interrupts import without_ctrl_c
from lava_async.errors import ExecutionError, ValidationError

Batch = Mapping[int, tuple[Any, ...]]
"""Arguments of calls that are made one after the other in one process, by their places."""

_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
_CONNECT_TIMEOUT = "30s"
_GOES_ON = "what is done stands, and the same command goes on"
_MOST_NAMES = 4


def count(jobs: int | None) -> int:
    """Processes on this machine, where so many are asked for; by default one for each core."""
    import joblib  # takes a tenth of a second

    return jobs or joblib.cpu_count()


def each(
    function: Callable[..., Any],
    batches: Sequence[Batch],
    name_of: Callable[[int], str],
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[int, Any]]:
    """What each call returns, with its place, as soon as its batch is there.

    Once a call has failed no other batch begins; what those under way return still comes, before
    the error.

    Parameters
    ----------
    function : callable
        Of a module; so are its arguments and results what can be pickled.
    batches : sequence of Batch
        All places differ.
    name_of : callable
        A call in words, of its place.
    jobs : int, optional
        Processes on this machine, 1 for this one alone; as many as it has cores by default.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are taken instead.

    Raises
    ------
    ValidationError
        The cluster cannot be reached, or Dask is not installed.
    ExecutionError
        A call raised, which is the cause; or a process ended before its calls did, or the
        cluster. Names the call, or those that it may have been.
    """
    import joblib  # takes a tenth of a second

    if not batches:
        return
    caller = os.getpid() if scheduler is None else None
    under_way: dict[int, Batch] = {}
    failed: list[_Failed] = []

    def hand_out() -> Iterator[Any]:
        for number, batch in enumerate(batches):
            if failed:
                return
            under_way[number] = batch
            yield joblib.delayed(_compute)(number, function, batch, caller)

    with contextlib.ExitStack() as stack:
        if scheduler is None:
            # Whole arrays to each process: as maps of files the kernels would take them for
            # another type, and compile anew.
            settings: dict[str, Any] = {
                "backend": "loky", "n_jobs": min(count(jobs), len(batches)),
                "max_nbytes": None, "inner_max_num_threads": 1,
            }  # fmt: skip
        else:
            client = stack.enter_context(_connected(scheduler))
            settings = {"backend": _cluster_backend(client), "n_jobs": -1}
        stack.enter_context(joblib.parallel_config(**settings))
        try:
            # One at a time: of what is under way in a process that is killed all is lost.
            options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
            # Processes of this machine begin here; to reach a cluster may take long.
            with _begun_without_ctrl_c() if scheduler is None else contextlib.nullcontext():
                results: Any = joblib.Parallel(**options)(hand_out())
            for number, done, failure in results:
                del under_way[number]
                failed += [] if failure is None else [failure]
                yield from done.items()
        except Exception as error:  # of the processes: those of calls come as results
            names = [name_of(place) for batch in under_way.values() for place in batch]
            raise _lost(error, names, scheduler) from error
    for failure in failed:
        where = f"study, {name_of(failure.place)}"
        raise ExecutionError(where, "cell", f"a result; {_GOES_ON}", failure.text) from (
            failure.error
        )


@contextlib.contextmanager
def _begun_without_ctrl_c() -> Iterator[None]:
    """Loky's own code would print a traceback: this process answers for all, by ending."""
    from joblib.externals.loky.backend import resource_tracker as loky_tracker

    for tracker in (resource_tracker, loky_tracker):  # their start would let it through again
        tracker.ensure_running()
    with without_ctrl_c():
        yield


def _lost(error: Exception, names: Sequence[str], scheduler: str | None) -> ExecutionError:
    """The complaint about processes that ended while they had to do what the names say."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = len(names) - _MOST_NAMES
    told = "; ".join([*names[:_MOST_NAMES], *([f"{left} others"] if left > 0 else [])])
    if scheduler is None and isinstance(error, TerminatedWorkerError):
        wanted = f"one that ends by itself; {_GOES_ON}, maybe with fewer --jobs if memory was short"
        got = f"a killed one; under way were: {told}"
        return ExecutionError("study", "worker process", wanted, got)
    wanted = f"processes that stay, and what can be handed to them; {_GOES_ON}"
    got = f"{type(error).__name__}: {error}; under way were: {told}"
    where = "study" if scheduler is None else f"study, --scheduler {scheduler}"
    return ExecutionError(where, "workers", wanted, got)


@dataclass
class _Failed:
    """A call that raised.

    Attributes
    ----------
    place : int
    text : str
        What it raised, in one line.
    error : Exception
        In another process a copy, whose cause is a text with the traceback.
    """

    place: int
    text: str
    error: Exception

    def __reduce__(self) -> tuple[object, ...]:
        try:
            content = pickle.dumps(self.error)
        except Exception:  # whatever it holds
            content = b""
        told = "".join(traceback.format_exception(self.error))
        return _failed_elsewhere, (self.place, self.text, content, told)


class _Traceback(Exception):
    """Text of a traceback from another process."""


def _failed_elsewhere(place: int, text: str, content: bytes, told: str) -> _Failed:
    try:
        error = pickle.loads(content)
    except Exception:  # it cannot be copied, or its class is not known here
        error = ExecutionError(text)
    error.__cause__ = _Traceback(f"\n{told}")
    return _Failed(place, text, error)


def _compute(
    number: int, function: Callable[..., Any], batch: Batch, caller: int | None
) -> tuple[int, dict[int, Any], _Failed | None]:
    """The number, what the calls return up to the first that raises, and that one."""
    if multiprocessing.parent_process() is not None:
        leave_untold()  # the caller's terminal has a bar, and heard of it already
    if caller not in (None, os.getpid()):
        # A process that works for the caller alone has its stdout, too, where results belong and
        # not what a user's code prints.
        sys.stdout = sys.stderr
    done = {}
    for place, arguments in batch.items():
        try:
            done[place] = function(*arguments)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return number, done, _Failed(place, text, error)
    return number, done, None


def _cluster_backend(client: Any) -> Any:
    """Joblib's own, but for calls that fail with their workers: it would wait for them for ever."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)

            def tell(done: concurrent.futures.Future[Any]) -> None:
                if done.exception() is not None:
                    callback(done)

            future.add_done_callback(tell)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, concurrent.futures.Future):
                return out.result()  # raises
            if isinstance(out, BaseException):  # of calls that the scheduler dropped
                raise out
            return super().retrieve_result_callback(out)

    return Backend(client=client)


def _connected(scheduler: str) -> Any:
    """A client of the cluster, closed with the block."""
    try:
        from dask.distributed import Client
    except ModuleNotFoundError as error:
        wanted = "it installed (pip install 'lava-async[cluster]')"
        raise ValidationError("--scheduler", "package dask", wanted, "none") from error
    wanted = "that of a Dask scheduler that answers, as tcp://HOST:PORT"
    if not _ADDRESS.fullmatch(scheduler):  # of others Dask's client may wait for ever
        raise ValidationError("--scheduler", "address", wanted, scheduler)
    try:
        return Client(scheduler, timeout=_CONNECT_TIMEOUT, set_as_default=False)
    except OSError as error:
        raise ValidationError("--scheduler", "address", wanted, scheduler) from error
