"""Calls in other processes, through joblib: on the cores of this machine, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lava_async.errors import ExecutionError, ValidationError

_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
_CONNECT_TIMEOUT = "30s"


def each(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[int, Any]]:
    """What each call returns, with its place, as soon as it is there.

    Parameters
    ----------
    function : callable
        Of a module; so are its arguments and results what can be pickled.
    calls : sequence of tuple
        Arguments.
    jobs : int, optional
        Processes on this machine, 1 for this one alone; as many as it has cores by default.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are taken instead.

    Raises
    ------
    ValidationError
        The cluster cannot be reached, or Dask is not installed.
    ExecutionError
        A process ended before its call did.
    """
    import joblib  # takes a tenth of a second
    from joblib.externals.loky.process_executor import BrokenProcessPool

    if not calls:
        return
    numbered = [joblib.delayed(_numbered)(i, function, call) for i, call in enumerate(calls)]
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            # Whole arrays to each process: as maps of files the kernels would take them for
            # another type, and compile anew.
            settings: dict[str, Any] = {
                "backend": "loky", "n_jobs": min(jobs or joblib.cpu_count(), len(calls)),
                "max_nbytes": None, "inner_max_num_threads": 1,
            }  # fmt: skip
        else:
            client = stack.enter_context(_connected(scheduler))
            settings = {"backend": "dask", "client": client, "n_jobs": -1}
        stack.enter_context(joblib.parallel_config(**settings))
        try:
            results: Any = joblib.Parallel(return_as="generator_unordered")(numbered)
            yield from results
        except BrokenProcessPool as error:
            raise ExecutionError(
                "study", "worker process", "one that ends by itself; what is done stands, and the "
                "same command goes on, maybe with fewer --jobs if memory was short", "a killed one",
            ) from error  # fmt: skip


def _numbered(
    place: int, function: Callable[..., Any], call: tuple[Any, ...]
) -> tuple[int, Any]:
    return place, function(*call)


def _connected(scheduler: str) -> Any:
    """A client of the cluster, closed with the block."""
    try:
        from dask.distributed import Client
    except ModuleNotFoundError as error:
        raise ValidationError(
            "--scheduler", "package", "dask[distributed], as with lava-async[cluster]", "none"
        ) from error
    wanted = "that of a Dask scheduler that answers, as tcp://HOST:PORT"
    if not _ADDRESS.fullmatch(scheduler):  # of others Dask's client may wait for ever
        raise ValidationError("--scheduler", "address", wanted, scheduler)
    try:
        return Client(scheduler, timeout=_CONNECT_TIMEOUT, set_as_default=False)
    except OSError as error:
        raise ValidationError("--scheduler", "address", wanted, scheduler) from error
