"""Marks of entries that are looked at together: one bit of a word for each, the lowest first."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from lava_async._kernel._compiler import BLOCK, inline, intrinsic

_ALL = np.uint64((1 << 64) - 1)
AT_ONCE = 8  # places that `list_marked` writes at once, needed or not


@intrinsic
def trailing_zeros(typing_context, word):
    """Number of the lowest bit that is set; of 0, as many as there are bits."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


def _marks(context, builder, array, operator, arguments, limit):
    """One bit for each of the `BLOCK` entries from a place on, the lowest first: how it compares.

    All at once, in the processor's vector registers.
    """
    data = context.make_array(array)(context, builder, arguments[0]).data
    block = ir.VectorType(context.get_data_type(array.dtype), BLOCK)
    place = builder.bitcast(builder.gep(data, [arguments[1]]), block.as_pointer())
    entries = builder.load(place)
    entries.align = 1
    lanes = ir.Constant(block, ir.Undefined)
    lanes = builder.insert_element(lanes, limit, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), None)
    limits = builder.shuffle_vector(lanes, lanes, everywhere)
    is_float = isinstance(block.element, (ir.FloatType, ir.DoubleType))
    compare = builder.fcmp_unordered if is_float else builder.icmp_signed
    flags = compare(operator, entries, limits)
    return builder.bitcast(flags, ir.IntType(BLOCK))


@intrinsic
def differ(typing_context, array, first, value):
    """Marks, in one word, of those of the `BLOCK` entries from ``first`` on that are not ``value``.

    Of the array's own type.
    """

    def generate(context, builder, signature, arguments):
        return _marks(context, builder, array, "!=", arguments, arguments[2])

    return types.uint64(array, types.uint64, array.dtype), generate


@inline
def not_zero(array, first):
    """Marks of those that are not 0."""
    return differ(array, first, array.dtype.type(0))


@intrinsic
def above(typing_context, array, first, limit):
    """Marks of those that exceed a limit of their own, signed type."""

    def generate(context, builder, signature, arguments):
        return _marks(context, builder, array, ">", arguments, arguments[2])

    return types.uint64(array, types.uint64, array.dtype), generate


@inline
def inside(left):
    """Marks of the first ``left`` entries, 1..`BLOCK`."""
    return _ALL >> np.uint64(np.int32(BLOCK) - left)


@intrinsic
def ones(typing_context, word):
    """How many bits are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@inline
def list_marked(found, place, first, marks):
    """Write the number of each marked entry, ``first`` on, to ``found`` from a place on.

    Returns the place behind. Some that follow, up to `AT_ONCE`, are written, too: how many there
    are is hard to predict, and a branch that is foretold wrongly takes longer than all of them.
    """
    last = place + ones(marks)
    for i in range(np.uint64(AT_ONCE)):
        found[place + i] = first + trailing_zeros(marks)
        marks &= marks - np.uint64(1)
    while marks != 0:
        place += np.uint64(AT_ONCE)
        for i in range(np.uint64(AT_ONCE)):
            found[place + i] = first + trailing_zeros(marks)
            marks &= marks - np.uint64(1)
    return last
