"""The weights that a synapse would use in a forward pass, as the integers that are exported."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lava.lib.dl.slayer.neuron.base import Neuron
from lava.lib.dl.slayer.utils import quantize
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async.errors import UnsupportedError, ValidationError

SCALE = 1 << dyn.STATE_SHIFT
"""SLAYER's default: a weight of 1 is the integer 64, a threshold of 1 a mantissa of 64."""


_SLAYERS = Neuron.quantize_8bit


def quantize_in_ones(weight: Tensor, descale: bool = False) -> Tensor:
    """A quantizer as SLAYER's ``quantize_8bit``, at the default scale, for odd integers too."""
    return _quantize(weight, descale, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)


def quantize_bias(bias: Tensor, descale: bool = False) -> Tensor:
    """The same for biases, whose mantissas have 13 bits."""
    return _quantize(bias, descale, dyn.BIAS_MIN, dyn.BIAS_MAX)


def _quantize(parameter: Tensor, descale: bool, low: int, high: int) -> Tensor:
    steps: Any = quantize(parameter, step=1 / SCALE)  # type: ignore[arg-type]
    whole = steps.clamp(low / SCALE, high / SCALE)
    return whole * SCALE if descale else whole


def synapse_weight(where: str, synapse: torch.nn.Module) -> Tensor:
    """The real-valued weight, differentiable, by whatever reparametrisation there is.

    Parametrizations work by themselves; forward pre-hooks, as of ``torch.nn.utils.weight_norm``
    and ``prune``, are run as a forward pass would, but without an input, which asynchronous
    execution has only spike by spike.

    Raises
    ------
    UnsupportedError
        A hook does more than make the weight.
    """
    wanted = "one that makes the weight, whatever the input"
    for key, hook in synapse._forward_pre_hooks.items():
        hook: Callable[..., object]
        name = getattr(hook, "__qualname__", type(hook).__qualname__)
        what = f"forward pre-hook {name} of the synapse"
        arguments = ({},) if key in synapse._forward_pre_hooks_with_kwargs else ()
        try:
            result = hook(synapse, (object(),), *arguments)
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            raise UnsupportedError(where, what, wanted, got) from error
        if result is not None:
            raise UnsupportedError(where, what, wanted, "one that replaces the input")
    weight: Any = synapse.weight
    return weight


def shaped(where: str, what: str, parameter: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A parameter in the shape that it must have; where that is one value, one of any shape.

    Raises
    ------
    ValidationError
        Its shape is another.
    """
    if parameter.shape == shape:
        return parameter
    if parameter.numel() != 1 or math.prod(shape) != 1:
        raise ValidationError(where, f"{what} shape", tuple(shape), tuple(parameter.shape))
    return parameter.reshape(shape)


@contextlib.contextmanager
def unchanged(module: torch.nn.Module) -> Iterator[None]:
    """Weights may be looked at while this is open; nothing that hooks and masks do stays.

    Modules are in evaluation mode meanwhile, in which hooks such as spectral norm go no step.
    """
    tensors = [(tensor, tensor.detach().clone()) for tensor in module.state_dict().values()]
    attributes = [(m, dict(vars(m))) for m in module.modules()]
    try:
        with torch.no_grad():
            for m, _ in attributes:
                m.training = False
            yield
    finally:
        for tensor, before in tensors:
            if not tensor.is_meta and not torch.equal(tensor, before):
                tensor.data.copy_(before)
        for m, before in attributes:
            vars(m).clear()
            vars(m).update(before)


def integers(
    where: str,
    what: str,
    parameter: Tensor,
    quantizer: Callable[..., Tensor] | None,
    low: int = dyn.WEIGHT_MIN,
    high: int = dyn.WEIGHT_MAX,
) -> Tensor:
    """A parameter as the whole numbers that are exported, straight through.

    Raises
    ------
    UnsupportedError
        The quantizer gives something else.
    ValidationError
        The parameter is not finite.
    """
    if quantizer is None:
        raise UnsupportedError(
            where, "pre_hook_fx", "a quantizer such as quantize_8bit", quantizer
        )
    scale = _scale_of_slayers(quantizer)
    if scale and parameter.dtype in (torch.float32, torch.float64) and parameter.numel():
        value: Any = _Even.apply(where, what, parameter, scale)
        return value
    try:
        value = quantizer(parameter, descale=True)
    except TypeError as error:
        wanted = "a function (weight, descale=False), as quantize_8bit"
        raise UnsupportedError(where, "pre_hook_fx", wanted, error) from error
    if value.numel() == 0:
        return value
    now = value.detach()
    rounded = now.round()
    # The quantizer divides and multiplies by the scale, which may leave the last bits off.
    missing = rounded - now
    extremes = (*torch.aminmax(rounded), *torch.aminmax(missing))
    lowest, highest, least, most = (float(number) for number in extremes)
    if not math.isfinite(lowest + highest):
        raise _not_finite(where, what)
    if not (max(-least, most) < 1e-3 and lowest >= low and highest <= high):
        got = f"{float(now.min())}..{float(now.max())}"
        raise UnsupportedError(where, "pre_hook_fx", f"integers in {low}..{high}", got)
    value = value + missing if least or most else value
    # What runs, and is gone back through, must not change with the parameter meanwhile.
    return value.clone() if _share_memory(value, parameter) else value


def _share_memory(a: Tensor, b: Tensor) -> bool:
    # The storages themselves: what stands in for a tensor elsewhere has no address.
    return a.untyped_storage()._cdata == b.untyped_storage()._cdata


def _scale_of_slayers(quantizer: Callable[..., Tensor]) -> int:
    """The scale of SLAYER's own quantizer, if `_Even` does the very same, or else 0."""
    if getattr(quantizer, "__func__", None) is not _SLAYERS:
        return 0
    scale = quantizer.__self__.w_scale  # type: ignore[attr-defined]
    # Of another one quotients and products are rounded.
    return scale if isinstance(scale, int) and scale > 0 and not scale & (scale - 1) else 0


class _Even(torch.autograd.Function):
    """SLAYER's ``quantize_8bit(parameter, descale=True)``, bit by bit, in half the time.

    All weights go through it in each training step, which a small batch feels.
    """

    @staticmethod
    def forward(ctx, where, what, parameter, scale):  # type: ignore[override]
        value = (parameter * (scale / 2)).round_().mul_(2)
        lowest, highest = (float(extreme) for extreme in torch.aminmax(value))
        if not (math.isfinite(lowest + highest) or bool(parameter.isfinite().all())):
            raise _not_finite(where, what)
        ctx.scale, clamped = scale, lowest < dyn.WEIGHT_MIN or highest > dyn.WEIGHT_MAX
        inside = (value >= dyn.WEIGHT_MIN) & (value <= dyn.WEIGHT_MAX) if clamped else None
        ctx.save_for_backward(inside)
        return value.clamp_(dyn.WEIGHT_MIN, dyn.WEIGHT_MAX) if clamped else value

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (inside,) = ctx.saved_tensors
        grad = grad * ctx.scale
        return None, None, grad if inside is None else torch.where(inside, grad, 0), None


def _not_finite(where: str, what: str) -> ValidationError:
    return ValidationError(where, what, "finite numbers", "nan or inf: training diverged?")
