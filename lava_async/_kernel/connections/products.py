"""Products of small matrices, summed in the processor's registers."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from lava_async._kernel._compiler import intrinsic

PLACES = 8  # rows of the result that are summed side by side, as the sums take turns to wait
ROW = 8  # entries of each


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
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), ROW), None)

        def load(pointer, place):
            entries = builder.load(builder.bitcast(builder.gep(pointer, [place]), row.as_pointer()))
            entries.align = 4
            return entries

        def place_of(index, size, offset):
            start = builder.mul(index, index.type(size))
            return builder.add(start, index.type(offset))

        sums = [cgutils.alloca_once_value(builder, ir.Constant(row, None)) for _ in range(PLACES)]
        with cgutils.for_range(builder, count) as loop:
            weights = load(weight, builder.add(at, place_of(loop.index, ROW, 0)))
            for p in range(PLACES):
                gain = builder.load(builder.gep(gains, [place_of(loop.index, PLACES, p)]))
                lanes = builder.insert_element(
                    ir.Constant(row, ir.Undefined), gain, ir.Constant(ir.IntType(32), 0)
                )
                lanes = builder.shuffle_vector(lanes, lanes, everywhere)
                product = builder.fmul(lanes, weights)
                builder.store(builder.fadd(builder.load(sums[p]), product), sums[p])
        for p in range(PLACES):
            begin = builder.add(to, builder.load(builder.gep(corner, [to.type(p)])))
            added = builder.fadd(load(out, begin), builder.load(sums[p]))
            target = builder.bitcast(builder.gep(out, [begin]), row.as_pointer())
            builder.store(added, target).align = 4
        return context.get_dummy_value()

    place = types.uint64
    return types.void(out, corner, place, gains, weight, place, place), generate
