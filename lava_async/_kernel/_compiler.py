"""How functions are compiled, and what Numba lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

from lava_async._kernel._linked import Linked

LINE = 64  # bytes that come from memory together
BLOCK = 64  # entries that are looked at together: as many as a word has bits

# No fastmath: integer-exact, and the only floating-point numbers are keys of spikes and quotients
# of whole numbers.
entry = numba.njit(nogil=True)  # what Python calls; all else is there for compiled code alone
jit = numba.njit(nogil=True, pipeline_class=Linked)
# By LLVM: with Numba's own way a time step would compile anew for all entries. But arrays are
# counted at each call then, which matters where little is done in one.
inline = numba.njit(nogil=True, forceinline=True, pipeline_class=Linked)
inline_early = numba.njit(nogil=True, inline="always", pipeline_class=Linked)


def apart(function: Callable[..., Any]) -> Any:
    """`inline` for loops over arrays that share no memory.

    The compiler need not check that then, which takes as long as a loop over 64 entries.
    """
    return _sharing_nothing(inline(function))


def alone(function: Callable[..., Any]) -> Any:
    """The same, not inlined, for `call`."""
    return _sharing_nothing(jit(function))


def _sharing_nothing(dispatcher: Any) -> Any:
    def customize(flags: Any) -> Any:
        flags.noalias = True
        return flags

    dispatcher._compiler._customize_flags = customize
    return dispatcher


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.extending.intrinsic`, typed as what callers see: Numba adds the context itself."""
    return numba.extending.intrinsic(define)


@intrinsic
def borrow(typing_context, value):
    """The same array, or tuple of arrays, without reference counting.

    The caller keeps them alive. Numba counts at each use, atomically; on a few neurons that
    takes longer than the work, and threads that count the same arrays slow each other. A function
    that is compiled by itself has to say so anew.
    """

    def without_count(context, builder, kind, value):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = context.get_constant_null(types.MemInfoPointer(types.voidptr))
            return array._getvalue()
        if isinstance(kind, (types.Tuple, types.UniTuple, types.NamedTuple, types.NamedUniTuple)):
            members = [
                without_count(context, builder, member, builder.extract_value(value, i))
                for i, member in enumerate(kind)
            ]
            return context.make_tuple(builder, kind, members)
        return value

    def generate(context, builder, signature, arguments):
        return without_count(context, builder, value, arguments[0])

    return value(value), generate


@intrinsic
def pointer(typing_context, array, first):
    """Where the entries of a contiguous array are, from one on."""
    if array.layout != "C":
        raise numba.TypingError(f"pointer: expected a contiguous array (got {array})")

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return builder.gep(data, [arguments[1]])

    return types.CPointer(array.dtype)(array, types.uint64), generate


@intrinsic
def call(typing_context, function, arguments):
    """Call an `alone` function with a tuple of arguments.

    For short loops that want the registers for themselves: inlined amid much else, they fetch from
    the stack in each turn where their arrays are. They get these as `pointer`, as an array is seven
    numbers. And code that is called from many places is compiled once.
    """
    kind = function.get_call_type(typing_context, tuple(arguments), {})

    def generate(context, builder, signature, values):
        compiled = function.dispatcher.overloads[kind.args]
        context.active_code_library.add_linking_library(compiled.library)
        status, result = context.call_conv.call_function(
            builder, context.declare_function(builder.module, compiled.fndesc),
            kind.return_type, kind.args, cgutils.unpack_tuple(builder, values[1]),
            attrs=("noinline",),
        )  # fmt: skip
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return result

    return kind.return_type(function, arguments), generate


@intrinsic
def draw_number(typing_context, counter):
    """Where a counter, (1,) int64, is at; it goes on by one, and nobody draws the same."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(counter)(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.IntType(64)(1), "monotonic")

    return types.int64(counter), generate
