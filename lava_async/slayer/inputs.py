"""What comes into a network: frames and sample ids, checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._kernel.training import MOST_COUNT
from lava_async._semantics import random
from lava_async._semantics.connections import Shape
from lava_async._semantics.dropout import Dropout
from lava_async.errors import ValidationError

_DTYPES = frozenset({
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
})  # fmt: skip


def _is_plain(x: Tensor) -> bool:
    """Whether a tensor holds real numbers, one for each of its entries, here and now."""
    dense = not x.is_nested and x.layout == torch.strided
    return dense and x.dtype in _DTYPES and not x.is_meta


def check_shape(x: Tensor, shape: Shape | None) -> None:
    """Raise `ValidationError` unless an input is (N, *shape, T), as far as that is known."""
    if isinstance(x, Tensor) and not _is_plain(x):
        layout = "nested" if x.is_nested else str(x.layout)
        raise ValidationError(
            "Network", "input", "a dense tensor of real numbers (sparse ones: x.to_dense())",
            f"{x.dtype}, {layout}, on {x.device}",
        )  # fmt: skip
    known = () if shape is None else (len(shape) + 2,)
    if not isinstance(x, Tensor) or x.dim() not in (3, 5, *known) or 0 in x.shape:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValidationError(
            "Network", "input", "(N, C, T) or (N, C, H, W, T), none of them 0", got
        )


def check_counts(x: Tensor) -> float:
    """The highest count of an input.

    Raises
    ------
    ValidationError
        Values that are not whole numbers >= 0, or too large.
    """
    with torch.no_grad():
        low, high = (float(extreme) for extreme in torch.aminmax(x))
        # Sample by sample: a copy of all would not fit into the processor's cache.
        whole = not x.is_floating_point() or all(torch.equal(s, s.floor()) for s in x)
    if not (low >= 0 and high < MOST_COUNT and whole):
        raise ValidationError("Network", "input", "whole numbers >= 0", f"values in {low}..{high}")
    return high


def as_counts(x: Tensor) -> npt.NDArray:
    """An input as an array of a type that the kernel reads, which checks its values itself.

    As it is, if it is uint8, int32 or float32.
    """
    x = x.detach().cpu()
    if x.dtype == torch.bool:
        x = x.to(torch.uint8)
    elif x.dtype not in (torch.uint8, torch.int32, torch.float32):
        check_counts(x)  # of more bits than are left below
        x = x.to(torch.float32)
    return x.contiguous().numpy()


def check_ids(sample_ids: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    """Sample ids (count,).

    Raises
    ------
    ValidationError
        They are not that many integers in 0..2**32 - 1.
    """
    ids = np.asarray(sample_ids)
    if ids.shape != (count,) or ids.dtype.kind not in "iu":
        got = f"{ids.dtype}{ids.shape}"
        raise ValidationError("Network", "sample_ids", f"{count} integers", got)
    if ids.min() < 0 or ids.max() > random.MAX_INDEX:
        raise ValidationError("Network", "sample_ids", "0 <= id < 2**32", (ids.min(), ids.max()))
    return ids.astype(np.int64)


def lost(
    counts: npt.NDArray, ids: npt.NDArray[np.int64], dropout: Dropout, first_step: int
) -> tuple[npt.NDArray[np.intp], ...]:
    """Indices of the counts (N, inputs, T) that are lost. Draws only where there is one."""
    sample, index, time_step = np.nonzero(counts)
    gone = dropout.input_lost(ids[sample], first_step + time_step, index)
    return sample[gone], index[gone], time_step[gone]


def kept(
    frames: Tensor, ids: npt.NDArray[np.int64], dropout: Dropout, first_step: int
) -> Tensor:
    """(N, inputs, T), 0 where an input is lost."""
    counts = frames.cpu().numpy()
    mask = np.ones_like(counts)
    mask[lost(counts, ids, dropout, first_step)] = 0
    return torch.from_numpy(mask).to(frames.device)
