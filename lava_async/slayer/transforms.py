"""What PyTorch can do with a module, and would do wrong with this one."""

from __future__ import annotations

import torch

from lava_async.errors import UnsupportedError


def refuse_transforms() -> None:
    """Raise `UnsupportedError` where a trace is made, or inside `torch.func`'s transforms.

    A trace would keep the spikes of its own input for all others; transforms see no numbers.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        raise unsupported("torch.jit.trace or torch.onnx")
    if torch._C._functorch.maybe_current_level() is not None:  # type: ignore[attr-defined]
        raise unsupported("torch.func's grad, vmap, jvp, …")


def unsupported(got: str) -> UnsupportedError:
    return UnsupportedError(
        "Network", "PyTorch", "eager execution (torch.compile leaves it so), with backward() or "
        "torch.autograd.grad", got,
    )  # fmt: skip
