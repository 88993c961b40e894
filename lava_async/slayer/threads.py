"""The threads that the compiled passes of a network run in."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

import torch

from lava_async._kernel.training import OwnThreads, Team


class OpenMPThreads(Team):
    """Those of PyTorch's own operations.

    After an operation they wait for the next one for some milliseconds, and keep the processor
    busy meanwhile: threads beside them would have to share it with threads that do nothing.
    """

    def _together(self, work_on, most):
        # As many as an operation has: a team of another size would be put together each time.
        function = _FUNCTION(lambda _: work_on())
        _parallel()(function, None, self.size, 0)


def team(size: int) -> Team:
    """So many threads, those that PyTorch has if these are as many."""
    same = size == torch.get_num_threads() and os.getpid() == _HOME
    if same and _parallel() is not None:
        return OpenMPThreads(size)
    return OwnThreads(size)


_HOME = os.getpid()  # a child made by fork has none of PyTorch's threads, and would wait for them
_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def _parallel() -> Any:
    """What compilers make of ``#pragma omp parallel``, in the OpenMP library of PyTorch.

    A function, an argument for it, how many threads call it, flags; None where there is no such
    library, as GCC's and LLVM's are on Linux.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        parallel = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.argtypes = [_FUNCTION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel
