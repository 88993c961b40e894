"""Functions that only compiled code calls: code for LLVM to link, none for the processor.

Numba makes of every function code that Python can call, optimized and down to the machine's
instructions, and then of its callers once more, with it inside. Nine in ten of these are never
called so, and what is nested five deep goes through LLVM five times. Here a function is
simplified by itself, as Numba does (without, all takes longer), and the rest is done once, in the
entry, when everything is put together: to compile that takes less than half the time.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from numba.core import codegen
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import IRLegalization


class _Library(codegen.JITCodeLibrary):
    """Code as it was lowered and simplified; whoever links it optimizes it."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_specific(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        """What Python would call: it raises `TypeError`, as what it gets cannot be called."""
        return ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value or 0


class _Codegen(codegen.JITCPUCodegen):
    """Makes such libraries, and none is ever loaded."""

    _library_class = _Library

    def _add_module(self, module: Any) -> None:
        pass

    def set_env(self, env_name: str, env: Any) -> None:
        pass  # `complete` does it where the function went


@functools.cache
def _codegen() -> _Codegen:
    return _Codegen(__name__)


@register_pass(mutates_CFG=False, analysis_only=True)
class _Link(AnalysisPass):
    """Has a function lowered into such a library, without what Python and C would call."""

    _name = "lava_async_link"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        state.library = _codegen().create_library(state.func_id.func_qualname)
        return False


def complete(entry: CompileResult) -> None:
    """Give what was linked into an entry its Python objects, as where one is loaded from disk.

    Kernels have none. But without them `print` would hang, which somebody may put there to look
    for a fault, and errors that say a value would be others.
    """
    for environment in entry._find_referenced_environments():
        entry.library.codegen.set_env(environment.env_name, environment)


class Linked(CompilerBase):
    """``pipeline_class`` of functions that are there to be linked."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_Link, IRLegalization)
        passes.finalize()
        return [passes]
