"""What each linear node of NIR does: a map, and a constant that it adds in every time step."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lava_async._files.nir import maps
from lava_async._files.nir.maps import Floats, Map, Pair
from lava_async._files.nir.wiring import Node
from lava_async._semantics.connections import Shape
from lava_async.errors import GraphError, LavaAsyncError, UnsupportedError


def map_of(node: Node, source: Shape) -> Map:
    """The map of a linear node, for an input of this shape.

    Raises
    ------
    GraphError
        The input does not fit.
    """
    match node.kind:
        case "Affine" | "Linear":
            return _matrix(node, source)
        case "Scale":
            return maps.Gain(source, source, node.spread("scale", source))
        case "Conv2d":
            return _convolution(node, source)
        case "SumPool2d" | "AvgPool2d":
            return _pool(node, source)
        case "Flatten":
            return maps.identity(source, _flattened(node, source))
    return maps.identity(source)


def constant_of(node: Node, target: Shape) -> Floats | None:
    """(target size,) what a node adds to each element, or None."""
    if node.kind not in ("Affine", "Conv2d") or getattr(node.content, "bias", None) is None:
        return None
    bias = node.spread("bias", target, trailing=2 if node.kind == "Conv2d" else 0)
    return bias if bias.any() else None


def delays(node: Node, source: Shape, dt: float) -> npt.NDArray[np.int64]:
    """(source size,) time steps of a Delay."""
    times = node.spread("delay", source)
    steps = np.rint(times / dt)
    # Times in single precision are off by less, and none that was meant between steps by more.
    bad = np.flatnonzero(np.abs(times / dt - steps) > 1e-3)
    if len(bad):
        wanted = f"a multiple of the time step dt={dt:g}"
        raise UnsupportedError(node.where, "delay", wanted, times[bad[0]])
    return steps.astype(np.int64)


def is_linear(node: Node) -> bool:
    return not node.is_neuron and node.kind != "Input"


def _matrix(node: Node, source: Shape) -> Map:
    weight = node.numbers("weight")
    if weight.ndim != 2 or 0 in weight.shape or weight.shape[1] != math.prod(source):
        wanted = f"(outputs, {math.prod(source)})"
        raise GraphError(node.where, "weight shape", wanted, weight.shape)
    return maps.Matrix(source, weight.shape[:1], weight)


def _convolution(node: Node, source: Shape) -> Map:
    weight = node.numbers("weight")
    if weight.ndim != 4 or 0 in weight.shape:
        raise GraphError(node.where, "weight shape", "(out, in/groups, kh, kw)", weight.shape)
    stride, dilation = node.integers("stride", 1), node.integers("dilation", 1)
    groups = node.integers("groups", 1)[0]
    padding = node.content.padding
    if not isinstance(padding, str):
        pair = node.integers("padding", 0)
    elif padding == "same":
        weight, dilation, pair = _same(node, weight, stride, dilation)
    elif padding == "valid":
        pair = (0, 0)
    else:
        raise GraphError(node.where, "padding", "integers, 'same' or 'valid'", repr(padding))
    return _fitted(node, source, weight, stride, pair, dilation, groups)


def _same(
    node: Node, weight: Floats, stride: Pair, dilation: Pair
) -> tuple[Floats, Pair, Pair]:
    """Kernel, dilation and padding of PyTorch's "same": if uneven, one more behind than before."""
    if stride != (1, 1):
        raise UnsupportedError(node.where, "stride with padding 'same'", (1, 1), stride)
    padding = [0, 0]
    steps = list(dilation)
    for axis in (0, 1):
        kernel = weight.shape[2 + axis]
        total = steps[axis] * (kernel - 1)
        if total % 2:
            # With the gaps written out and a tap of 0 in front, both sides are padded alike.
            shape = list(weight.shape)
            shape[2 + axis] = total + 2
            wide = np.zeros(shape)
            places: list[slice] = [slice(None)] * 4
            places[2 + axis] = slice(1, None, steps[axis])
            wide[tuple(places)] = weight
            weight, steps[axis], total = wide, 1, total + 1
        padding[axis] = total // 2
    return weight, (steps[0], steps[1]), (padding[0], padding[1])


def _pool(node: Node, source: Shape) -> Map:
    kernel, stride = node.integers("kernel_size", 1), node.integers("stride", 1)
    padding = node.integers("padding", 0)
    if len(source) != 3:
        raise GraphError(node.where, "input shape", "(C, H, W)", source)
    # What is padded counts in an average, as in PyTorch by default.
    value = 1 / math.prod(kernel) if node.kind == "AvgPool2d" else 1.0
    weight = np.full((source[0], 1, *kernel), value)
    return _fitted(node, source, weight, stride, padding, (1, 1), source[0])


def _fitted(
    node: Node, source: Shape, weight: Floats, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> Map:
    try:
        return maps.convolution(source, weight, stride, padding, dilation, groups)
    except LavaAsyncError as error:
        raise error.at(node.where, GraphError) from error


def _flattened(node: Node, source: Shape) -> Shape:
    first, last = (
        int(n) + len(source) * (n < 0)
        for n in (node.numbers(what).reshape(-1)[0] for what in ("start_dim", "end_dim"))
    )
    if not 0 <= first <= last < len(source):
        if len(source) == 1:  # nothing is left to flatten
            return source
        raise GraphError(node.where, "start_dim and end_dim", f"dimensions of {source}",
                         (first, last))  # fmt: skip
    return (*source[:first], math.prod(source[first : last + 1]), *source[last + 1 :])
