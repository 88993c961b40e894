"""Products of small matrices, summed in the processor's registers."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from lava_async._kernel._compiler import intrinsic

PLACES = 8  # rows of the result that are summed side by side, as the sums take turns to wait
ROW = 8  # entries of each
STEPS = 4  # rows that `add_matrix` sums side by side
COLUMNS = 16  # entries of each


def _load(builder, row, pointer, place):
    """A vector of entries, wherever they begin."""
    entries = builder.load(builder.bitcast(builder.gep(pointer, [place]), row.as_pointer()))
    entries.align = 4
    return entries


def _everywhere(builder, row, number):
    """A vector of one number."""
    lane = ir.IntType(32)
    lanes = builder.insert_element(ir.Constant(row, ir.Undefined), number, lane(0))
    return builder.shuffle_vector(
        lanes, lanes, ir.Constant(ir.VectorType(lane, row.count), None)
    )


def _add(builder, row, pointer, place, sums):
    """Add a vector to entries, wherever they begin."""
    added = builder.fadd(_load(builder, row, pointer, place), builder.load(sums))
    target = builder.bitcast(builder.gep(pointer, [place]), row.as_pointer())
    builder.store(added, target).align = 4


@intrinsic
def add_products(typing_context, out, corner, to, gains, weight, at, count):
    """Add to `PLACES` rows of ``out``, from ``corner[p] + to`` on, sums of rows of weights.

    Row p gets ``sum(gains[o * PLACES + p] * weight[at + o * ROW :][:ROW] for o in range(count))``,
    one after the other; rows may overlap.
    """
    row = ir.VectorType(ir.FloatType(), ROW)

    def generate(context, builder, signature, arguments):
        out, corner, gains, weight = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 1, 3, 4)
        )
        _, _, to, _, _, at, count = arguments
        def place_of(index, size, offset):
            start = builder.mul(index, index.type(size))
            return builder.add(start, index.type(offset))

        sums = [cgutils.alloca_once_value(builder, ir.Constant(row, None)) for _ in range(PLACES)]
        with cgutils.for_range(builder, count) as loop:
            weights = _load(builder, row, weight, builder.add(at, place_of(loop.index, ROW, 0)))
            for p in range(PLACES):
                gain = builder.load(builder.gep(gains, [place_of(loop.index, PLACES, p)]))
                product = builder.fmul(_everywhere(builder, row, gain), weights)
                builder.store(builder.fadd(builder.load(sums[p]), product), sums[p])
        for p in range(PLACES):
            begin = builder.add(to, builder.load(builder.gep(corner, [to.type(p)])))
            _add(builder, row, out, begin, sums[p])
        return context.get_dummy_value()

    place = types.uint64
    return types.void(out, corner, place, gains, weight, place, place), generate


@intrinsic
def add_matrix(typing_context, out, to, out_length, gains, gains_length, weight, at, length, count):
    """Add to `STEPS` rows of ``out``, ``out_length`` apart, sums of rows of weights.

    The first, from ``to`` on, gets ``sum(gains[o] * weight[at + o * length :][:COLUMNS] for o in
    range(count))``, one after the other; each row has its own gains, ``gains_length`` apart.
    """
    row = ir.VectorType(ir.FloatType(), COLUMNS)

    def generate(context, builder, signature, arguments):
        out, gains, weight = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 3, 5)
        )
        _, to, out_length, _, gains_length, _, at, length, count = arguments

        def place_of(start, number, apart):
            return builder.add(start, builder.mul(number, apart))

        first = [place_of(to.type(0), to.type(p), gains_length) for p in range(STEPS)]
        sums = [cgutils.alloca_once_value(builder, ir.Constant(row, None)) for _ in range(STEPS)]
        with cgutils.for_range(builder, count) as loop:
            weights = _load(builder, row, weight, place_of(at, loop.index, length))
            for p in range(STEPS):
                gain = builder.load(builder.gep(gains, [builder.add(first[p], loop.index)]))
                product = builder.fmul(_everywhere(builder, row, gain), weights)
                builder.store(builder.fadd(builder.load(sums[p]), product), sums[p])
        for p in range(STEPS):
            _add(builder, row, out, place_of(to, to.type(p), out_length), sums[p])
        return context.get_dummy_value()

    place = types.uint64
    return types.void(out, place, place, gains, place, weight, place, place, place), generate
